"""A bucket in this process's memory."""

from __future__ import annotations

from pathlib import Path

from synth.store.place import Bucket


class MemoryBucket(Bucket):
    """Also remembers what was ever uploaded."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.ever: set[str] = set()

    def version(self, name: str) -> str:  # fsspec's memory tells it in two forms
        return self.files().get(name, "")

    def put(self, path: Path, name: str) -> None:
        self.ever.add(name)
        super().put(path, name)
