"""What is on disk: shards, manifests, the lock of a run, the released dataset."""
