"""Projects a sample of the input to all of it: totals per stage, with 90 % intervals.

The unit is the seed row: it may make several requests and rows, which are not independent. So each
interval comes from the figures per seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist, fmean, stdev

from synth.store.manifest import Manifest

CONFIDENCE = 0.9
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its 90 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        """The estimate in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def plus(self, other: Estimate) -> Estimate:
        """The sum of both. Its interval is right if both err in the same direction, else wide."""
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high)


NOTHING = Estimate(0, 0, 0)


@dataclass(frozen=True, slots=True)
class StageProjection:
    """What a stage will do with the whole input."""

    stage: str
    rows_in: Estimate
    requests: Estimate
    tokens_in: Estimate
    tokens_out: Estimate
    rows_kept: Estimate
    share_kept: Estimate
    """Of the rows that it gets and makes, 0 to 1."""


def project(manifest: Manifest, label: str, seeds: int) -> StageProjection:
    """Projects a stage of the sample's run, in which each shard is one seed, to so many seeds."""
    shards = manifest.shards
    kept = [shard.kept.rows for shard in shards]
    reached = [shard.rows_in + shard.rows_made for shard in shards]
    share = share_of(kept, reached, seeds)
    rows = total([float(n) for n in kept], seeds)
    by_share = seeds * fmean(reached)
    return StageProjection(
        label,
        total([shard.rows_in for shard in shards], seeds),
        total([shard.requests for shard in shards], seeds),
        total([shard.tokens_in for shard in shards], seeds),
        total([shard.tokens_out for shard in shards], seeds),
        # the wider of both: the spread among seeds says nothing if all or none were kept
        Estimate(
            rows.value,
            min(rows.low, by_share * share.low),
            max(rows.high, by_share * share.high),
        ),
        share,
    )


def whole(manifests: Sequence[Manifest], seeds: int) -> tuple[Estimate, Estimate, Estimate]:
    """Requests, prompt tokens and reply tokens of all stages together."""

    def summed(name: str) -> Estimate:
        stages = ([getattr(shard, name) for shard in one.shards] for one in manifests)
        return total([sum(of_seed) for of_seed in zip(*stages, strict=True)], seeds)

    return summed("requests"), summed("tokens_in"), summed("tokens_out")


def total(per_seed: Sequence[float], seeds: int) -> Estimate:
    """The sum over all `seeds` of a figure that is known for some of them: a t interval.

    If the sampled seeds agree, one of the others may still differ: the interval is at least as wide
    as if one more seed had been sampled that has twice the mean.
    """
    sampled, mean = len(per_seed), fmean(per_seed)
    if sampled >= seeds:
        return Estimate(mean * seeds, mean * seeds, mean * seeds)
    if sampled < 2:
        return Estimate(mean * seeds, 0, inf)
    spread = max(stdev(per_seed), mean / sqrt(sampled + 1))
    half = t_quantile(sampled - 1) * spread / sqrt(sampled) * sqrt(1 - sampled / seeds)
    return Estimate(seeds * mean, seeds * max(0.0, mean - half), seeds * (mean + half))


def share_of(kept: Sequence[int], reached: Sequence[int], seeds: int) -> Estimate:
    """The share of rows that are kept: Wilson's interval, for rows that come in clusters.

    The rows of a seed are often kept or rejected together. So they count as fewer rows, by the
    spread among the seeds.
    """
    rows, sampled = sum(reached), len(kept)
    if not rows:
        return Estimate(0, 0, 1)
    share, unseen = sum(kept) / rows, 1 - min(1.0, sampled / seeds)
    if not unseen:
        return Estimate(share, share, share)
    residuals = [k - share * r for k, r in zip(kept, reached, strict=True)]
    variance = sum(r * r for r in residuals) * sampled / max(1, sampled - 1) / rows**2
    with_rows = sum(r > 0 for r in reached)
    if 0 < share < 1:
        count = min(float(rows), share * (1 - share) / variance) if variance else float(rows)
    else:
        count = float(with_rows)
    count /= unseen
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def t_quantile(freedom: int) -> float:
    """The upper bound of Student's 90 % interval. Off by less than 1 % from 3 degrees of freedom.

    Source: Cornish-Fisher expansion, Abramowitz and Stegun 26.7.5.
    """
    n = freedom
    return (
        Z
        + (Z**3 + Z) / (4 * n)
        + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * n**2)
        + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * n**3)
    )
