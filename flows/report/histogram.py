"""Counts values in bounded memory, and cuts the counts into the bins of a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synth.model import Model

DIGITS = 3
"""Significant digits of a counted value, so that a million values have a few thousand keys."""
COUNTED_AT_ONCE = 50_000
BINS = 40
CLIPPED = 0.005  # share of values at each end that the first and the last bin take in
LOG_FROM = 100  # highest over lowest value, from which bins grow with the value


class Bin(Model):
    """One bar of a histogram."""

    low: float
    high: float
    """The next bin begins here. The first and the last bin also hold all values beyond them."""
    kept: int
    rejected: int


class Quantiles(Model):
    """Five quantiles, exact to three digits."""

    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(slots=True)
class Values:
    """The values of one score or length, those of rejected rows apart."""

    _kept: Counter[float] = field(default_factory=Counter)
    _rejected: Counter[float] = field(default_factory=Counter)
    _waiting: dict[bool, list[NDArray[np.float64]]] = field(default_factory=dict)
    """Values that are not counted yet: a shard has too few of them to count them fast."""

    def add(self, values: NDArray[np.float64], *, rejected: bool = False) -> None:
        """Counts the values, rounded to three significant digits. NaN is left out."""
        waiting = self._waiting.setdefault(rejected, [])
        waiting.append(values[np.isfinite(values)])
        if sum(map(len, waiting)) >= COUNTED_AT_ONCE:
            self._count()

    def _count(self) -> None:
        for rejected, waiting in self._waiting.items():
            found, counts = np.unique(rounded(np.concatenate(waiting)), return_counts=True)
            counted = self._rejected if rejected else self._kept
            counted.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        self._waiting.clear()

    @property
    def kept(self) -> Counter[float]:
        """The values of kept rows."""
        self._count()
        return self._kept

    @property
    def rejected(self) -> Counter[float]:
        """The values of rejected rows."""
        self._count()
        return self._rejected

    @property
    def both(self) -> Counter[float]:
        """All values."""
        return self.kept + self.rejected

    def quantiles(self) -> Quantiles | None:
        """Quantiles of all values; None without values."""
        values, counts = _sorted(self.both)
        if not len(values):
            return None
        found = _quantiles(values, counts, [0.05, 0.25, 0.5, 0.75, 0.95])
        return Quantiles(**dict(zip(Quantiles.model_fields, found, strict=True)))

    def bins(self) -> list[Bin]:
        """At most `BINS` bins from the lowest to the highest value; empty without values."""
        values, counts = _sorted(self.both)
        if not len(values):
            return []
        edges = _edges(values, *_quantiles(values, counts, [CLIPPED, 1 - CLIPPED]))
        kept, rejected = (_binned(one, edges) for one in (self.kept, self.rejected))
        return [
            Bin(low=low, high=high, kept=k, rejected=r)
            for low, high, k, r in zip(edges[:-1], edges[1:], kept, rejected, strict=True)
        ]


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with three significant digits."""
    size = np.abs(values, where=values != 0, out=np.ones_like(values))
    unit = 10.0 ** (np.floor(np.log10(size)) - (DIGITS - 1))
    return np.where(unit < 1, np.round(values / unit) / (1 / unit), np.round(values / unit) * unit)


def _sorted(counted: Counter[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    items = sorted(counted.items())
    return np.array([v for v, _ in items], float), np.array([n for _, n in items], np.int64)


def _quantiles(
    values: NDArray[np.float64], counts: NDArray[np.int64], shares: Sequence[float]
) -> list[float]:
    ends = np.cumsum(counts)
    at = np.searchsorted(ends, np.array(shares) * ends[-1])
    return [float(one) for one in values[np.minimum(at, len(values) - 1)]]


def _edges(values: NDArray[np.float64], low: float, high: float) -> list[float]:
    whole = bool((values == np.round(values)).all())
    if whole and high - low < BINS:
        return [edge - 0.5 for edge in range(int(low), int(high) + 2)]
    if low == high:
        return [low - 0.5, low + 0.5]
    if low > 0 and high / low >= LOG_FROM:
        return [float(edge) for edge in np.geomspace(low, high, BINS + 1)]
    return [float(edge) for edge in np.linspace(low, high, BINS + 1)]


def _binned(counted: Counter[float], edges: Sequence[float]) -> list[int]:
    values, counts = _sorted(counted)
    at = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [int(n) for n in np.bincount(at, counts, minlength=len(edges) - 1)]
