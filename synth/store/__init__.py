"""The files of a run on disk: shards, receipts and manifests."""
