"""A sample of a recipe's input, drawn by content, and the plan that runs it.

Each sampled row is a shard of its own, so that the receipts hold the figures of each seed. Rows
keep their ids, so the whole run makes the same requests and finds their replies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, NamedTuple

import pyarrow as pa

from synth.engine.new_seeds import NewSeeds
from synth.engine.plan import Plan
from synth.engine.stage import CorpusStage, Outcome, Sink, Source
from synth.errors import InputError
from synth.kind import Kind
from synth.record import RECORD, REJECT
from synth.store.shards import read_shard, write_shard

FILE = "sample.parquet"


class DrawnSample(Source):
    """Reads the rows of a sample."""

    name: ClassVar[str] = "read"
    not_in_fingerprint = ("path",)
    path: Path
    kind: Kind

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  the first stage has no input kind
        return self.kind

    def files(self) -> list[Path]:
        return [self.path]

    def shards(self, rows: int) -> Iterator[Outcome]:
        table = read_shard(self.path)
        for start in range(0, len(table), rows):
            yield Outcome(table.slice(start, rows), REJECT.empty_table())


class Sampled(NamedTuple):
    """A sample of the input."""

    plan: Plan
    """Runs the sample through the stages of the recipe, without corpus stages and sinks."""
    rows: int
    seeds: int
    """The rows of the whole input that can be used."""
    rejected: int
    """The rows of the input that `read` rejects."""


def draw(plan: Plan, rows: int, folder: Path, new: NewSeeds | None = None) -> Sampled:
    """Reads the input, and saves a sample of it in the folder. Raises `InputError` if it is empty.

    `new` chooses the rows that an increment would read. The sample depends on the run's seed and
    the content of the rows, not on their order.
    """
    source = plan.stages[0]
    assert isinstance(source, Source), "a recipe begins with its input"
    seeds = rejected = 0
    best: list[tuple[bytes, int]] = []
    drawn = RECORD.empty_table()
    shards = source.shards(plan.shard_rows)
    if new is not None:
        shards = map(new.of_outcome, source.unlimited().shards(plan.shard_rows))
    for outcome in shards:
        rejected += len(outcome.rejected)
        candidates = [
            (sha256(b"%d %b" % (plan.seed, key.encode())).digest(), seeds + n)
            for n, key in enumerate(outcome.kept["id"].to_pylist())
        ]
        places = {place: n for n, (_, place) in enumerate(best)}
        chosen = sorted([*best, *candidates])[:rows]
        chosen.sort(key=lambda one: one[1])  # in the order of the input
        start = len(drawn)
        at = [places.get(place, start + place - seeds) for _, place in chosen]
        drawn = pa.concat_tables([drawn, outcome.kept]).take(pa.array(at, pa.int64()))
        best, seeds = chosen, seeds + len(outcome.kept)
    if not seeds:
        nothing = "nothing to read" if new is None else "no new rows"
        raise InputError(f"{nothing} in {', '.join(map(str, source.files()))}")
    write_shard(folder, FILE, [drawn], RECORD)
    kind = source.makes(Kind.NOTHING)
    stages = [one for one in plan.stages[1:] if not isinstance(one, Sink | CorpusStage)]
    sampled = replace(
        plan,
        shard_rows=1,
        stages=(DrawnSample(path=folder / FILE, kind=kind), *stages),
        shards_at_once=len(best),
    )
    return Sampled(sampled, len(best), seeds, rejected)
