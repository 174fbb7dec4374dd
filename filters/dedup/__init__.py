"""Finds duplicates over the whole corpus; the order in which shards arrive changes nothing."""
