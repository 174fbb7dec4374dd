"""The figures that need a pass over all rows, as `run.json` has them under `measures`.

{"accepted": 20, "operations": [{"stage": "distill", "operation": "answer", "replies": 160, …}], …}
"""

from __future__ import annotations

from flows.report.histogram import Bin, Quantiles
from synth.model import Model
from synth.store.manifest import Novelty


class OperationCost(Model):
    """What one operation of a stage cost, and how many accepted rows it led to."""

    stage: str
    """The stage's name: `evolve`."""
    operation: str
    """`deepen`, `faq/college`, `answer` …; `(as it came)` for rows that a stage did not change, and
    `(judges and other requests)` for requests that add no step to a row."""
    replies: int
    tokens_in: int
    tokens_out: int
    accepted: int
    """Released rows with this operation in their trail; of an unfinished run, rows so far."""
    tokens_per_accepted: float | None
    """Tokens in and out of all its replies, over the accepted rows; null without accepted rows."""


class RoundOutcome(Model):
    """One operation in one round of `evolve`."""

    stage: str
    operation: str
    round: int
    tried: int
    survived: int
    judged: int
    """Children that the judge compared with their parent."""
    mean_gain: float | None
    """The mean gain of these; null if none was judged."""


class ScoreFigures(Model):
    """The values of one score at one stage."""

    stage: str
    """The stage's folder."""
    score: str
    limits: dict[str, float]
    """The settings that the score is compared with, by name."""
    rows: int
    rejected: int
    """Rows that this score rejects, also where an earlier filter gave the reason."""
    quantiles: Quantiles
    bins: list[Bin]


class LengthFigures(Model):
    """The lengths of texts, in words."""

    texts: str
    """`seed prompts`, `accepted answers` …"""
    rows: int
    quantiles: Quantiles
    bins: list[Bin]


class Diversity(Model):
    """How much texts repeat each other, on a sample of them."""

    texts: str
    """`prompts`, `answers` or `documents`."""
    bytes: int
    """Bytes of each side of the comparison."""
    seeds: float | None
    """zlib's compression ratio of the seeds; a higher one means more repetition. Null if there are
    no such texts, or fewer than 1,000 bytes."""
    accepted: float | None
    """The same for the accepted rows, at equal bytes."""
    sampled: int
    """Accepted texts whose openings are counted."""
    openings: dict[str, int]
    """The most frequent first five words of accepted texts, of those that occur twice."""


class Contamination(Model):
    """What one `decontaminate` stage found."""

    stage: str
    against: list[str]
    """The benchmarks."""
    rows: int
    """Rows compared."""
    found: dict[str, int]
    """Rejected rows by reason, which names the tier and the benchmark."""
    unjudged: int
    """Kept rows that resemble an item, because no judge decided about them."""


class Measures(Model):
    """Figures that need a pass over all rows."""

    accepted: int
    """Rows of the release, or kept by the last finished stage."""
    operations: list[OperationCost]
    rounds: list[RoundOutcome]
    scores: list[ScoreFigures]
    texts_every: int
    """Lengths, diversity and the accepted rows shown are of one shard in this many: 1 up to 50,000
    rows."""
    lengths: list[LengthFigures]
    diversity: list[Diversity]
    novelty: dict[str, Novelty]
    """By stage: NovelSum, from the embeddings of `dedup` with `semantic`."""
    contamination: list[Contamination]
    finish_reasons: dict[str, dict[str, int]]
    """By stage: how the replies ended, `stop`, `length` …"""
