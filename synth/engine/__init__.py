"""Runs a recipe's stages over folders of shards. Durable, resumable and independent of Prefect."""
