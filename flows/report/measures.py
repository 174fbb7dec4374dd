"""Counts the figures that need a pass over all rows: one pass over the shards of all stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from filters.contamination.stage import Decontaminate
from flows.evolved import rounds, tried_operations
from flows.report.figures import (
    Contamination,
    Diversity,
    LengthFigures,
    Measures,
    OperationCost,
    RoundOutcome,
    ScoreFigures,
)
from flows.report.histogram import Values
from flows.report.limits import limits
from flows.report.passed import STEP, Passed, passed_shards, texts_every
from synth.batch import Batch
from synth.generate.collapse import OPENING_WORDS, compression_ratio
from synth.store.manifest import Manifest
from synth.text.tokens import words

SAMPLED_TEXTS = 2_000
SAMPLED_CHARS = 4_000  # of each sampled text: 8 MB together
COMPRESSED_BYTES = 1_000_000
LEAST_BYTES = 1_000  # zlib's ratio of less text says little
OPENINGS = 10
UNCHANGED = "(as it came)"
OTHER = "(judges and other requests)"


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
        """Counts some shards at one stage. `asking` names the stages that asked a teacher."""
        both = passed.both
        if passed.manifest.stage in asking:
            self._add_steps(passed, both)
        self._add_scores(passed, both)
        self._add_gains(passed)
        if passed.last:
            self.rows += len(passed.kept)
            self._add_accepted(passed.kept, asking)
        if passed.texts is not None and passed.before is None:
            self._add_texts(passed.texts, "seed", self.seeds)
        if passed.texts is not None and passed.last:
            self._add_texts(passed.texts, "accepted", self.accepted)

    def _add_steps(self, passed: Passed, both: pa.Table) -> None:
        """Counts each reply of the stage once, however many rows have it in their trail."""
        name = passed.manifest.stage
        steps = _asked(both, [name])
        if passed.before is not None:  # an earlier stage may have the same name
            earlier = _asked(passed.before, [name])["request"].combine_chunks()
            if len(earlier):
                steps = steps.filter(pc.invert(pc.is_in(steps["request"], earlier)))
        replies = steps.group_by(["request", "sample", "operation"], use_threads=False).aggregate(
            [("tokens_in", "max"), ("tokens_out", "max"), ("finish_reason", "min")]
        )
        ends = self.finish_reasons.setdefault(passed.manifest.label, Counter())
        sums = replies.group_by(["operation", "finish_reason_min"], use_threads=False).aggregate(
            [("request", "count"), ("tokens_in_max", "sum"), ("tokens_out_max", "sum")]
        )
        for found in sums.to_pylist():
            ends[found["finish_reason_min"]] += found["request_count"]
            one = self._operation(name, found["operation"])
            one.replies += found["request_count"]
            one.tokens_in += found["tokens_in_max_sum"]
            one.tokens_out += found["tokens_out_max_sum"]

    def _operation(self, stage: str, operation: str) -> _Operation:
        plain = operation.partition("@")[0]  # without the version of an improved instruction
        return self.operations.setdefault((stage, plain), _Operation())

    def _add_accepted(self, kept: pa.Table, asking: Sequence[str]) -> None:
        """Counts each row once for each operation in its trail."""
        asked = _asked(kept, asking)
        found = asked.group_by(["row", "stage", "operation"], use_threads=False).aggregate([])
        counts = found.group_by(["stage", "operation"], use_threads=False).aggregate(
            [("row", "count")]
        )
        for row in counts.to_pylist():
            self._operation(row["stage"], row["operation"]).accepted += row["row_count"]
        rows_of = (
            asked.group_by("stage", use_threads=False)
            .aggregate([("row", "count_distinct")])
            .to_pylist()
        )
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
        names = scores.field("name").dictionary_encode()
        verdicts, values = scores.field("verdict"), scores.field("value").to_numpy(False)
        of_name = names.indices.to_numpy()
        kept, dropped = (pc.equal(verdicts, one).to_numpy(False) for one in ("keep", "drop"))
        for number, name in enumerate(names.dictionary.to_pylist()):
            given = np.isfinite(values) & (of_name == number)
            for rejected, chosen in ((False, kept), (True, dropped)):
                if len(found := values[given & chosen]):
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
    for passed in passed_shards(run, manifests, asking):
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


def _asked(table: pa.Table, stages: Sequence[str]) -> pa.Table:
    """The steps of these stages that asked a teacher, with the number of their row."""
    trail = table["trail"].combine_chunks()
    steps = pc.list_flatten(trail)
    fields = {name: steps.field(name) for name in STEP}
    whole = pa.table({"row": pc.list_parent_indices(trail), **fields})
    named = pc.is_in(whole["stage"], pa.array(stages, pa.string()))
    return whole.filter(pc.and_(named, pc.not_equal(whole["request"], "")))


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
        limits=limits(manifest.settings, name),
        rows=values.both.total(),
        rejected=values.rejected.total(),
        quantiles=quantiles,
        bins=values.bins(),
    )


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
