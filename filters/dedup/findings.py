"""What a method of `dedup` says of the rows of a corpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Findings:
    """What one method found, one value per row of the corpus."""

    dropped: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    """With the most similar earlier row that stays; 0 where none was near, NaN if not compared."""
    nearest: NDArray[np.int64]
    """That row, or -1."""

    @classmethod
    def none(cls, compared: NDArray[np.bool_]) -> Findings:
        """No row has a duplicate (yet)."""
        return cls(
            np.zeros(len(compared), bool),
            np.where(compared, 0.0, np.nan),
            np.full(len(compared), -1, np.int64),
        )
