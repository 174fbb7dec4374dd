"""Releases of given rows, made by a run of nothing but these shards and `write`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Outcome, Source
from synth.kind import Kind
from synth.record import REJECT, new_record, records_table
from synth.release.write import Write
from synth.store.manifest import Manifest
from synth.store.shards import read_shard
from tests.lines import plan

CHAT = [{"role": "system", "content": "Be brief."}]
CHECKED = {"name": "maths", "verdict": "fail", "value": 0.0, "note": ""}


class Made(Source):
    """Shards as the test gives them."""

    name = "read"
    parts: tuple[tuple[dict[str, Any], ...], ...]
    kind: Kind

    def makes(self, kind: Kind) -> Kind:
        return self.kind

    def shards(self, rows: int) -> Iterator[Outcome]:
        for part in self.parts:
            yield Outcome(records_table(part), REJECT.empty_table())


def answer(number: int, **fields: Any) -> dict[str, Any]:
    row = new_record(context=CHAT, prompt=f"Q{number}", text=f"A{number}", source=f"f#{number}")
    return {**row, **fields}


def release(
    run: Path,
    parts: Sequence[Sequence[dict[str, Any]]],
    *,
    kind: Kind = Kind.ANSWERS,
    **settings: Any,
) -> list[Manifest]:
    """A line of nothing but these shards and `write`, run to its end."""
    made = Made(parts=tuple(map(tuple, parts)), kind=kind)

    async def work() -> list[Manifest]:
        async with open_runner(plan(made, Write(**settings)), run) as runner:
            return await run_stages(runner)

    return asyncio.run(work())


def answers(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [answer(first + n) for n in range(count)]


def files(run: Path) -> dict[str, int]:
    """The names of the release's data files, and their rows."""
    return {p.name: len(read_shard(p)) for p in sorted((run / "release/data").iterdir())}


def names(*sizes: int) -> dict[str, int]:
    return {f"train-{n:05d}-of-{len(sizes):05d}.parquet": size for n, size in enumerate(sizes)}
