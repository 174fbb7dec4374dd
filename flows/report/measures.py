"""What only the rows can tell: cost by operation, scores, lengths, diversity, contamination.

One pass over the shards of all stages. A row keeps its shard's number through all stages, so memory
holds one shard of two neighbouring stages at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from filters.contamination.stage import Decontaminate
from flows.evolved import rounds, tried_operations
from flows.report.histogram import Bin, Quantiles, Values
from synth.batch import Batch
from synth.generate.collapse import OPENING_WORDS, compression_ratio
from synth.model import Model
from synth.record import REJECT
from synth.store.manifest import Manifest, Novelty, ShardFile
from synth.store.shards import read_shard
from synth.text.tokens import words

COLUMNS = ("id", "trail", "scores")
TEXTS = ("context", "text", "tool_calls", "reasoning")
SAMPLED_TEXTS = 2_000
SAMPLED_CHARS = 4_000  # of each sampled text: 8 MB together
MEASURED_TEXTS = 200_000
"""Rows whose texts are counted. Reading and counting all texts would take most of the report's time
in a larger run, and would change no digit that the page shows."""
COMPRESSED_BYTES = 1_000_000
LEAST_BYTES = 1_000  # zlib's ratio of less text says little
OPENINGS = 10
UNCHANGED = "(as it came)"
OTHER = "(judges and other requests)"
LIMITS: dict[str, tuple[str | float, ...]] = {
    "arithmetic": ("max_wrong",),
    "boilerplate": ("max_phrases",),
    "c4": (1.0,),
    "copying": ("max_share",),
    "decontaminate": ("candidate", "flag"),
    "echo": ("min_share",),
    "facts": ("max_new",),
    "fineweb": (1.0,),
    "fuzzy": ("ratio",),
    "gain": ("min_gain",),
    "gopher": (1.0,),
    "language": ("min_probability",),
    "length": ("min_words", "max_words"),
    "loops": ("max_score",),
    "minhash": ("threshold",),
    "mojibake": ("max_per_1000",),
    "pii": ("max_found",),
    "placeholders": ("max_share",),
    "readability": ("min_lix", "max_lix"),
    "refusal": ("threshold",),
    "repetition": (1.0,),
    "rouge": ("threshold",),
    "semantic": ("threshold",),
    "toxicity": ("max_found",),
}
"""By score: the settings that it is compared with. A filter of many rules scores its worst measure
over its limit, so there the limit is 1."""


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
    """Lengths and diversity are of the texts of one shard in this many: 1 up to 200,000 rows."""
    lengths: list[LengthFigures]
    diversity: list[Diversity]
    novelty: dict[str, Novelty]
    """By stage: NovelSum, from the embeddings of `dedup` with `semantic`."""
    contamination: list[Contamination]
    finish_reasons: dict[str, dict[str, int]]
    """By stage: how the replies ended, `stop`, `length` …"""


@dataclass(slots=True)
class Passed:
    """One shard at one stage."""

    manifest: Manifest
    shard: int
    before: pa.Table | None
    """The rows that the stage before kept; None at `read`."""
    kept: pa.Table
    rejected: pa.Table
    last: bool
    """Whether no later stage has rows. `rejected` then has those that `write` left out, too."""
    texts: bool
    """Whether the tables have the texts."""


def passed_shards(
    run: Path, manifests: Sequence[Manifest], columns: Sequence[str]
) -> Iterator[Passed]:
    """Yields each shard at each stage, shard by shard, with these columns.

    Texts (`context`, `text`, `reasoning`) are read only where they begin and end, and in a run of
    more than `MEASURED_TEXTS` rows only in one shard of several; `Passed.texts` tells.
    """
    line = [manifest for manifest in manifests if not manifest.releases]
    left_out = _left_out(run, manifests)
    lighter = [name for name in columns if name not in TEXTS]
    receipts = [{one.shard: one for one in manifest.shards} for manifest in line]
    every = texts_every(manifests)
    for number, shard in enumerate(receipts[0] if line else ()):
        before = None
        with_texts = number % every == 0
        for manifest, by_shard in zip(line, receipts, strict=True):
            here = by_shard.get(shard)
            if here is None:
                break
            last = manifest is line[-1]
            texts = with_texts and (last or before is None)
            wanted = columns if texts else lighter
            folder = run / manifest.label
            kept = _read(folder, here.kept, wanted)
            rejected = _read(folder, here.rejected, [*wanted, "reason", "score"])
            if last and len(left_out):
                at = pc.index_in(kept["id"].combine_chunks(), left_out["id"].combine_chunks())
                gone = kept.filter(at.is_valid())
                why = left_out.take(at.drop_null()).select(["reason", "score"])
                for name in why.column_names:
                    gone = gone.append_column(REJECT.field(name), why[name])
                rejected = pa.concat_tables([rejected, gone])
                kept = kept.filter(at.is_null())
            yield Passed(manifest, shard, before, kept, rejected, last, texts)
            before = kept


def texts_every(manifests: Sequence[Manifest]) -> int:
    """Texts are counted in one shard of this many: in each up to `MEASURED_TEXTS` rows."""
    return -(-max(one.rows_kept for one in manifests) // MEASURED_TEXTS) or 1


def _read(folder: Path, file: ShardFile, columns: Sequence[str]) -> pa.Table:
    if not file.rows:  # most shards of rejected rows: opening them would cost more than reading
        return pa.schema([REJECT.field(name) for name in columns]).empty_table()
    return read_shard(folder / file.path, list(columns))


def _left_out(run: Path, manifests: Sequence[Manifest]) -> pa.Table:
    """The ids and reasons of rows that `write` left out. Its files do not follow the shards."""
    names = ["id", "reason", "score"]
    found = [
        _read(run / manifest.label, receipt.rejected, names)
        for manifest in manifests
        if manifest.releases
        for receipt in manifest.shards
        if receipt.rejected.rows
    ]
    empty = pa.schema([REJECT.field(name) for name in names]).empty_table()
    return pa.concat_tables([empty, *found]).combine_chunks()


@dataclass(slots=True)
class _Operation:
    replies: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    accepted: int = 0


@dataclass(slots=True)
class _Sample:
    """The texts with the smallest ids: the same rows give the same sample, in any order."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, ids: pa.ChunkedArray, texts: pa.Array) -> None:
        candidates = pc.greater(pc.binary_length(texts), 0)
        if len(self.ids) == SAMPLED_TEXTS:  # most shards then have few
            candidates = pc.and_(candidates, pc.less(ids.combine_chunks(), self.ids[-1]))
        rows = pc.indices_nonzero(candidates)
        rows = rows.take(pc.sort_indices(ids.take(rows))[:SAMPLED_TEXTS])
        cut = pc.utf8_slice_codeunits(texts.take(rows), 0, SAMPLED_CHARS)
        pairs = [*zip(self.ids, self.texts, strict=True)]
        pairs += zip(ids.take(rows).to_pylist(), cut.to_pylist(), strict=True)
        pairs.sort()
        self.ids = [one for one, _ in pairs[:SAMPLED_TEXTS]]
        self.texts = [text for _, text in pairs[:SAMPLED_TEXTS]]

    def encoded(self) -> bytes:
        """The texts, one a line."""
        return "\n".join(self.texts).encode()


@dataclass(slots=True)
class _Pass:
    """What is counted while the shards pass by."""

    operations: dict[tuple[str, str], _Operation] = field(default_factory=dict)
    scores: dict[tuple[str, str], Values] = field(default_factory=dict)
    lengths: dict[str, Values] = field(default_factory=dict)
    seeds: dict[str, _Sample] = field(default_factory=dict)
    accepted: dict[str, _Sample] = field(default_factory=dict)
    finish_reasons: dict[str, Counter[str]] = field(default_factory=dict)
    rows: int = 0

    def add(self, passed: Passed, asking: Sequence[str]) -> None:
        """Counts one shard at one stage. `asking` names the stages that asked a teacher."""
        both = pa.concat_tables(
            [passed.kept.select(COLUMNS), passed.rejected.select(COLUMNS)]
        ).combine_chunks()
        if passed.manifest.stage in asking:
            self._add_steps(passed, both)
        self._add_scores(passed, both)
        self._add_gains(passed)
        if passed.before is None and passed.texts:
            self._add_texts(passed.kept, "seed", self.seeds)
        if passed.last:
            self.rows += len(passed.kept)
            self._add_accepted(passed.kept, asking)
        if passed.last and passed.texts:
            self._add_texts(passed.kept, "accepted", self.accepted)

    def _add_steps(self, passed: Passed, both: pa.Table) -> None:
        """Counts each reply of the stage once, however many rows have it in their trail."""
        steps = _steps(both["trail"])
        new = pc.and_(
            pc.equal(steps["stage"], passed.manifest.stage), pc.not_equal(steps["request"], "")
        )
        if passed.before is not None:  # an earlier stage may have the same name
            earlier = _steps(passed.before["trail"])["request"]
            new = pc.and_(new, pc.invert(pc.is_in(steps["request"], earlier.combine_chunks())))
        keys = ["request", "sample", "operation"]
        replies = (
            steps.filter(new)
            .group_by(keys)
            .aggregate([("tokens_in", "max"), ("tokens_out", "max"), ("finish_reason", "min")])
        )
        ends = self.finish_reasons.setdefault(passed.manifest.label, Counter())
        sums = replies.group_by(["operation", "finish_reason_min"]).aggregate(
            [("request", "count"), ("tokens_in_max", "sum"), ("tokens_out_max", "sum")]
        )
        for found in sums.to_pylist():
            ends[found["finish_reason_min"]] += found["request_count"]
            one = self._operation(passed.manifest.stage, found["operation"])
            one.replies += found["request_count"]
            one.tokens_in += found["tokens_in_max_sum"]
            one.tokens_out += found["tokens_out_max_sum"]

    def _operation(self, stage: str, operation: str) -> _Operation:
        plain = operation.partition("@")[0]  # without the version of an improved instruction
        return self.operations.setdefault((stage, plain), _Operation())

    def _add_accepted(self, kept: pa.Table, asking: Sequence[str]) -> None:
        """Counts each row once for each operation in its trail."""
        steps = _steps(kept["trail"])
        asked = steps.filter(
            pc.and_(
                pc.is_in(steps["stage"], pa.array(asking, pa.string())),
                pc.not_equal(steps["request"], ""),
            )
        )
        found = asked.group_by(["row", "stage", "operation"]).aggregate([])
        counts = found.group_by(["stage", "operation"]).aggregate([("row", "count")])
        for row in counts.to_pylist():
            self._operation(row["stage"], row["operation"]).accepted += row["row_count"]
        rows_of = asked.group_by("stage").aggregate([("row", "count_distinct")]).to_pylist()
        touched = {row["stage"]: row["row_count_distinct"] for row in rows_of}
        for stage in {stage for stage, _ in self.operations}:
            if untouched := len(kept) - touched.get(stage, 0):
                self._operation(stage, UNCHANGED).accepted += untouched

    def _add_scores(self, passed: Passed, both: pa.Table) -> None:
        """Counts the scores that this stage added; rows keep those of earlier stages."""
        lists = both["scores"].combine_chunks()
        if not len(lists.flatten()):
            return
        had = np.zeros(len(both), np.int64)
        if passed.before is not None and len(passed.before["scores"].combine_chunks().flatten()):
            at = pc.index_in(both["id"].combine_chunks(), passed.before["id"].combine_chunks())
            counts = pc.list_value_length(passed.before["scores"]).combine_chunks()
            had = pc.fill_null(counts.take(at), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        rows = np.repeat(np.arange(len(both)), lengths)
        within = np.arange(len(rows)) - (np.cumsum(lengths) - lengths)[rows]
        scores = pc.list_flatten(lists).filter(pa.array(within >= had[rows]))
        names, verdicts, values = (scores.field(name) for name in ("name", "verdict", "value"))
        for name in pc.unique(names).to_pylist():
            for verdict, rejected in (("keep", False), ("drop", True)):
                chosen = pc.and_(pc.equal(names, name), pc.equal(verdicts, verdict))
                found = values.filter(chosen).drop_null().to_numpy(zero_copy_only=False)
                if len(found):
                    key = (passed.manifest.label, name)
                    self.scores.setdefault(key, Values()).add(found, rejected=rejected)

    def _add_gains(self, passed: Passed) -> None:
        """Counts the gains of eliminated children, which have no list of scores."""
        chosen = pc.equal(passed.rejected["reason"], "judged_no_gain")
        found = passed.rejected["score"].filter(chosen).drop_null().to_numpy()
        if len(found):
            key = (passed.manifest.label, "gain")
            self.scores.setdefault(key, Values()).add(found, rejected=True)

    def _add_texts(self, table: pa.Table, whose: str, samples: dict[str, _Sample]) -> None:
        for noun, texts in _texts(table).items():
            counts = _word_counts(texts)
            if (counts > 0).any():
                values = self.lengths.setdefault(f"{whose} {noun}", Values())
                values.add(counts[counts > 0].astype(float))
            if noun != "reasoning":
                samples.setdefault(noun, _Sample()).add(table["id"], texts)


def measured(
    run: Path,
    manifests: Sequence[Manifest],
    also: Callable[[Passed], None] = lambda _passed: None,
) -> Measures:
    """Returns the measures of the finished stages. Reads all their shards once, and passes each on
    to `also`."""
    asking = [one.stage for one in manifests if one.teacher and _requests(one)]
    found = _Pass()
    for passed in passed_shards(run, manifests, [*COLUMNS, *TEXTS]):
        found.add(passed, asking)
        also(passed)
    return Measures(
        accepted=found.rows,
        operations=_costs(found, manifests),
        rounds=_rounds(run, manifests),
        scores=[
            _score_figures(manifest, name, values)
            for manifest in manifests
            for (label, name), values in found.scores.items()
            if label == manifest.label
        ],
        texts_every=texts_every(manifests),
        lengths=[
            LengthFigures(
                texts=texts, rows=values.both.total(), quantiles=found_at, bins=values.bins()
            )
            for texts, values in found.lengths.items()
            if (found_at := values.quantiles()) is not None
        ],
        diversity=[
            _diversity(texts, found.seeds.get(texts, _Sample()), accepted)
            for texts, accepted in found.accepted.items()
            if accepted.texts
        ],
        novelty={one.label: novelty for one in manifests if (novelty := one.novelty) is not None},
        contamination=[
            Contamination(
                stage=one.label,
                against=[benchmark["name"] for benchmark in one.settings["against"]],
                rows=one.rows_in,
                found=dict(one.reasons),
                unjudged=sum(shard.unjudged for shard in one.shards),
            )
            for one in manifests
            if one.stage == Decontaminate.name
        ],
        finish_reasons={label: dict(ends) for label, ends in found.finish_reasons.items()},
    )


def _requests(manifest: Manifest) -> int:
    return sum(shard.requests for shard in manifest.shards)


def _steps(trails: pa.ChunkedArray) -> pa.Table:
    """All steps of all rows, with the number of their row."""
    trail = trails.combine_chunks()
    steps = pc.list_flatten(trail)
    names = ("stage", "operation", "sample", "request", "finish_reason", "tokens_in", "tokens_out")
    return pa.table(
        {"row": pc.list_parent_indices(trail), **{name: steps.field(name) for name in names}}
    )


def _texts(table: pa.Table) -> dict[str, pa.Array]:
    """The prompts, answers or documents, and reasoning of a table."""
    turns = pc.list_value_length(table["context"]).to_numpy(zero_copy_only=False)
    noun = "answers" if turns.any() else "documents"
    return {
        "prompts": Batch(table, "prompt").column,
        noun: Batch(table).column,
        "reasoning": pc.fill_null(table["reasoning"].cast(pa.large_string()), "").combine_chunks(),
    }


def _word_counts(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    return words(texts).counts


def _costs(found: _Pass, manifests: Sequence[Manifest]) -> list[OperationCost]:
    """The operations in the order of the stages, dearest first, and each stage's other requests."""
    costs = []
    for stage in dict.fromkeys(one.stage for one in manifests):
        own = {op: one for (at, op), one in found.operations.items() if at == stage}
        for name in ("tokens_in", "tokens_out"):
            whole = sum(
                getattr(shard, name) for m in manifests if m.stage == stage for shard in m.shards
            )
            rest = whole - sum(getattr(one, name) for one in own.values())
            if rest > 0:
                setattr(own.setdefault(OTHER, _Operation()), name, rest)
        costs += [
            OperationCost(
                stage=stage,
                operation=operation,
                replies=one.replies,
                tokens_in=one.tokens_in,
                tokens_out=one.tokens_out,
                accepted=one.accepted,
                tokens_per_accepted=(
                    (one.tokens_in + one.tokens_out) / one.accepted if one.accepted else None
                ),
            )
            for operation, one in sorted(
                own.items(), key=lambda item: (-item[1].tokens_in - item[1].tokens_out, item[0])
            )
        ]
    return costs


def _rounds(run: Path, manifests: Sequence[Manifest]) -> list[RoundOutcome]:
    found = []
    for manifest in manifests:
        tried = tried_operations(run, manifest) if manifest.stage == "evolve" else {}
        for round_ in rounds(tried):
            for operation, one in tried.items():
                if attempts := one.attempts.get(round_, 0):
                    judged = one.judged.get(round_, 0)
                    found.append(
                        RoundOutcome(
                            stage=manifest.label,
                            operation=operation,
                            round=round_,
                            tried=attempts,
                            survived=one.survived.get(round_, 0),
                            judged=judged,
                            mean_gain=one.gain[round_] / judged if judged else None,
                        )
                    )
    return found


def _score_figures(manifest: Manifest, name: str, values: Values) -> ScoreFigures:
    quantiles = values.quantiles()
    assert quantiles is not None, "a score is listed from its first value on"
    return ScoreFigures(
        stage=manifest.label,
        score=name,
        limits=_limits(manifest, name),
        rows=values.both.total(),
        rejected=values.rejected.total(),
        quantiles=quantiles,
        bins=values.bins(),
    )


def _limits(manifest: Manifest, score: str) -> dict[str, float]:
    """The settings that the score is compared with; without those that are off or `auto`."""
    settings = manifest.settings
    judge = settings.get("score") == score  # a judge names its score itself
    keys = ("min_score",) if judge else LIMITS.get(score, ())
    own = _settings_of(settings, score)
    found = {
        key if isinstance(key, str) else "limit": own.get(key) if isinstance(key, str) else key
        for key in keys
    }
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


def _settings_of(settings: dict[str, Any], score: str) -> dict[str, Any]:
    """The settings of the filter or method that gives the score."""
    for part in [settings, *settings.get("filters", [])]:
        if isinstance(part.get(score), dict):
            found: dict[str, Any] = part[score]
            return found
    return (settings.get("judge") or {}) if score == "gain" else settings


def _diversity(texts: str, seeds: _Sample, accepted: _Sample) -> Diversity:
    ours, theirs = accepted.encoded(), seeds.encoded()
    least = min(len(ours), COMPRESSED_BYTES, *([len(theirs)] if len(theirs) >= LEAST_BYTES else []))
    openings = Counter(
        " ".join(start)
        for text in accepted.texts
        if len(start := text.split()[:OPENING_WORDS]) == OPENING_WORDS
    )
    return Diversity(
        texts=texts,
        bytes=least,
        seeds=_ratio(theirs, least),
        accepted=_ratio(ours, least),
        sampled=len(accepted.texts),
        openings={one: n for one, n in openings.most_common(OPENINGS) if n > 1},
    )


def _ratio(texts: bytes, size: int) -> float | None:
    """The compression ratio of the first `size` bytes; None if there are too few."""
    if len(texts) < max(size, LEAST_BYTES) or size < LEAST_BYTES:
        return None
    return compression_ratio(texts[:size])
