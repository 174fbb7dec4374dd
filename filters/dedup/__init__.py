"""Finds duplicates across the whole corpus, whatever the order in which shards arrive."""
