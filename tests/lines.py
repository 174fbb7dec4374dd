"""Small lines of stages for tests of the engine: a source with given rows, and plans around it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.engine.plan import Plan
from synth.engine.stage import Outcome, Source, Stage
from synth.kind import Kind
from synth.record import REJECT, new_record, plain_turns, records_table
from synth.store.shards import read_shard
from synth.teacher.config import TeacherConfig


class Given(Source):
    """Reads what the test gives it."""

    name = "read"
    prompts: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    answer: str = ""
    """The gold answer of every prompt."""

    def makes(self, kind: Kind) -> Kind:
        return Kind.PROMPTS if self.prompts else Kind.DOCUMENTS

    def shards(self, rows: int) -> Iterator[Outcome]:
        records = iter(
            [
                new_record(prompt=p, source=f"given#{i}", reference={"answer": self.answer or None})
                for i, p in enumerate(self.prompts)
            ]
            + [new_record(text=t, source=f"given#{i}") for i, t in enumerate(self.texts)]
        )
        while part := list(islice(records, rows)):
            yield Outcome(records_table(part), REJECT.empty_table())


def plan(*stages: Stage, url: str = "", shard_rows: int = 4, **teacher: Any) -> Plan:
    """A plan of these stages, asking the server at `url`."""
    config = TeacherConfig(url=url, **teacher) if url else None
    return Plan("test", 7, shard_rows, config, stages)


def shard_bytes(run: Path) -> dict[str, bytes]:
    """Every Parquet file of a run by its path in it."""
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*.parquet"))}


def as_given(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as `new_record` makes them: turns without empty fields."""
    return [
        {**row, "context": plain_turns(row["context"])} if "context" in row else row
        for row in table.to_pylist()
    ]


def rows(run: Path, pattern: str) -> list[dict[str, Any]]:
    """The rows of all shards that match, in order of the files' names."""
    return [row for path in sorted(run.glob(pattern)) for row in as_given(read_shard(path))]


def released(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's release with their provenance, in order."""
    data, beside = (rows(run / "release", f"{part}/*.parquet") for part in ("data", "provenance"))
    assert [row["id"] for row in data] == [row["id"] for row in beside]
    return [{**row, **other} for row, other in zip(data, beside, strict=True)]
