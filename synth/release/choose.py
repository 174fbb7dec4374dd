"""Chooses the rows of a release: those that fit its format and its targets, each in a split.

Rows are taken in the order of the input. The others get a reason, such as `over_target`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.engine.stage import Goal, Spread
from synth.release.contents import licenses
from synth.release.formats import THOUGHTS, TOOL_FIELDS, Format, Shape, unfit
from synth.release.quotas import Quotas
from synth.release.splits import TEST, TRAIN, in_test
from synth.store.shards import read_shard

NO_DERIVATIVES = r"\bnd\b|no[- ]?deriv|all rights reserved"
"""Licenses under which no changed copy may be published, such as `cc-by-nc-nd-4.0`."""


@dataclass(slots=True)
class ChosenRows:
    """Which rows are released, and how."""

    shape: Shape
    """The columns, with room for all released rows."""
    more: dict[Format, Shape]
    """The columns of further formats."""
    left: list[pa.Array] = field(default_factory=list)
    """Per shard, the reason why each row is not released; null if it is."""
    tests: list[NDArray[np.bool_]] = field(default_factory=list)
    """Per shard, whether each row belongs to the split `test`."""
    taken: Counter[str | None] = field(default_factory=Counter)
    """Released rows of each group."""
    rows: Counter[str] = field(default_factory=Counter)
    """Released rows of each split."""
    misfits: dict[Format, Counter[str]] = field(default_factory=dict)
    """By further format: why released rows are not in it."""

    @property
    def formats(self) -> list[Format]:
        """All formats."""
        return [self.shape.format, *self.more]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a release asks of its rows, by the settings of `write`."""

    formats: list[Format]
    """The first one decides which rows are released."""
    test_share: float
    target_rows: int | None
    quotas: Quotas | None

    @property
    def rows(self) -> dict[str, int]:
        """The rows wanted of each group; "" is all rows. Empty without a target."""
        if self.quotas is not None:
            return self.quotas.rows
        return {} if self.target_rows is None else {"": self.target_rows}

    def goals(self, shards: Sequence[Path]) -> list[Goal]:
        """The rows wanted of each group, and how many of them fit the format.

        Raises `InputError` if no row has a value for the `by` of the quotas.
        """
        found: Counter[str | None] = Counter()
        if self.rows:
            for path in shards:
                table = self._deciding(path, self.formats[:1])
                fitting = unfit(table, self.formats[0]).is_null()
                found.update(self._groups(table.filter(fitting)))
        if self.quotas is not None and set(found) == {None}:
            self.quotas.check(map(read_shard, shards))
        return [Goal(name, wanted, found[name]) for name, wanted in self.rows.items()]

    def choose(
        self, shards: Sequence[Path], shapes: Sequence[Shape], seed: int, spread: Spread = map
    ) -> ChosenRows:
        """Decides about each row. Reads all shards once, with `spread` in any process.

        `shapes` are the least columns of each format, in the order of `formats`.
        """
        choice = ChosenRows(shapes[0], {one.format: one for one in shapes[1:]})
        choice.misfits = {one: Counter() for one in choice.more}
        tasks = [_Task(self, path, shapes, seed) for path in shards]
        decided: Iterable[_Decided]
        if self.rows:  # what is taken of a shard depends on the shards before it
            decided = (self.decide(task, choice.taken) for task in tasks)
        else:
            decided = spread(_decide, tasks)
        for one in decided:
            choice.left.append(one.left)
            choice.tests.append(one.tests)
            choice.rows.update(one.rows)
            own, *others = one.shapes
            choice.shape = choice.shape.with_room_as(own)
            for shape, misfits in zip(others, one.misfits, strict=True):
                choice.more[shape.format] = choice.more[shape.format].with_room_as(shape)
                choice.misfits[shape.format].update(misfits)
        return choice

    def decide(self, task: _Task, taken: Counter[str | None]) -> _Decided:
        """Decides about each row of a shard, after `taken` rows of each group."""
        table = self._deciding(task.path, self.formats)
        left = self._reasons(table, taken)
        chosen = table.filter(left.is_null()) if left.null_count < len(table) else table
        own, *others = task.shapes
        shapes, misfits = [own.with_room_for(chosen)], []
        for shape in others:
            unfitting = unfit(chosen, shape.format)
            shapes.append(shape.with_room_for(chosen.filter(unfitting.is_null())))
            misfits.append(Counter(unfitting.drop_null().to_pylist()))
        share, tests = self.test_share, np.zeros(len(table), bool)
        if share:
            tests = in_test(table, task.seed, share).to_numpy(zero_copy_only=False)
        splits = (TRAIN, TEST) if share else (TRAIN,)
        rows = {split: int(of_split(split, left, tests).sum()) for split in splits}
        return _Decided(left, tests, rows, shapes, misfits)

    def _reasons(self, table: pa.Table, taken: Counter[str | None]) -> pa.Array:
        """Per row, why it is not released; null if it is. Counts the others in `taken`."""
        reasons = pc.coalesce(unfit(table, self.formats[0]), _forbidden(table))
        if not self.rows:
            return reasons
        decided = []
        for misfit, group in zip(reasons.to_pylist(), self._groups(table), strict=True):
            reason = misfit or self._surplus(group, taken)
            taken[group] += reason is None
            decided.append(reason)
        return pa.array(decided, pa.string())

    def _surplus(self, group: str | None, taken: Counter[str | None]) -> str | None:
        if group is None:
            return "no_quota"
        return "over_target" if taken[group] >= self.rows[group] else None

    def _groups(self, table: pa.Table) -> list[str | None]:
        """The group of each row; None for one that belongs to no quota."""
        if self.quotas is None:
            return [""] * len(table)
        return [self.quotas.group(value) for value in self.quotas.values(table)]

    def _deciding(self, shard: Path, formats: Sequence[Format]) -> pa.Table:
        """The shard, with the columns that decide about a row: reading all takes twice as long."""
        columns = ["text", "meta", "reasoning", "tool_calls", "tools"]
        if Format.PROMPT in formats:
            columns += ["context", "reference"]
        else:
            columns += [f"context.list.element.{name}" for name in (*TOOL_FIELDS, THOUGHTS)]
        if Format.PREFERENCE in formats:
            columns.append("rejected")
        if self.quotas is not None:
            columns += ["id", "trail"]
        elif self.test_share:
            columns += ["id", "trail.list.element.parent"]
        if self.quotas is not None or Format.UNPAIRED in formats:
            columns.append("scores")
        return read_shard(shard, columns, unless_filled="text")


@dataclass(frozen=True, slots=True)
class _Task:
    """A shard to decide about, as plain values for any process."""

    wanted: Wanted
    path: Path
    shapes: Sequence[Shape]
    seed: int


@dataclass(frozen=True, slots=True)
class _Decided:
    """What is decided about a shard. The fields are those of `ChosenRows`."""

    left: pa.Array
    tests: NDArray[np.bool_]
    rows: dict[str, int]
    shapes: list[Shape]
    misfits: list[Counter[str]]


def _decide(task: _Task) -> _Decided:
    return task.wanted.decide(task, Counter())


def of_split(split: str, left: pa.Array, tests: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row of a shard is released in the split."""
    released: NDArray[np.bool_] = left.is_null().to_numpy(zero_copy_only=False)
    return released & (tests if split == TEST else ~tests)


def _forbidden(table: pa.Table) -> pa.Array:
    """The reason for each row whose seed's license forbids changed copies."""
    forbid = pc.match_substring_regex(licenses(table["meta"]), NO_DERIVATIVES)
    reason = "license_forbids_changes"
    return pc.if_else(forbid, reason, pa.scalar(None, pa.string()))
