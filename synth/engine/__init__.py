"""Runs a line of stages over folders of shards: durable, resumable, knowing nothing of Prefect."""
