"""Sets of seed ids on disk: 16 bytes per id, sorted, and a checksum at the end.

They show which rows of an input are new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.errors import StoreFault
from synth.store.durable import write_bytes

ID_BYTES = 16
"""A record's id is 32 hex digits."""
CHECKSUM_BYTES = 32


class SeedIds:
    """A set of record ids."""

    def __init__(self, ids: NDArray[np.bytes_]) -> None:
        """`ids` are sorted."""
        self._ids = ids

    @classmethod
    def of(cls, columns: Iterable[pa.ChunkedArray]) -> SeedIds:
        """The ids in these columns."""
        found = [_packed(column) for column in columns]
        return cls(np.sort(np.concatenate([_NONE, *found])))

    @classmethod
    def load(cls, files: Sequence[Path]) -> SeedIds:
        """The ids in these files together. Raises `StoreFault` if one is damaged."""
        found = [_NONE]
        for path in files:
            content = path.read_bytes()
            ids, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
            if sha256(ids).digest() != checksum:
                raise StoreFault(
                    f"{path} is damaged, so it is unknown which seeds are new: delete it, and the "
                    "next run makes it again from the shards of `read`"
                )
            found.append(np.frombuffer(ids, _NONE.dtype))
        return cls(np.sort(np.concatenate(found)))

    def save(self, path: Path) -> None:
        """Writes the ids to a file, completely or not at all."""
        ids = self._ids.tobytes()
        write_bytes(path, ids + sha256(ids).digest())

    def __len__(self) -> int:
        return len(self._ids)

    def has(self, ids: pa.ChunkedArray) -> NDArray[np.bool_]:
        """Marks the ids that are in the set."""
        wanted = _packed(ids)
        if not len(self._ids):
            return np.zeros(len(wanted), bool)
        places = np.searchsorted(self._ids, wanted)
        found: NDArray[np.bool_] = self._ids[np.minimum(places, len(self._ids) - 1)] == wanted
        return found


_NONE = np.zeros(0, f"S{ID_BYTES}")


def _packed(ids: pa.ChunkedArray) -> NDArray[np.bytes_]:
    return np.array([bytes.fromhex(one) for one in ids.to_pylist()], _NONE.dtype)
