"""Reads tiny inputs with the `read` stage and returns plain rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seeds.read import Read
from synth.engine.stage import Outcome
from synth.record import RECORD, REJECT, plain_turns

GOLD = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Readout:
    """The rows that `read` kept and rejected."""

    outcomes: list[Outcome]

    @property
    def kept(self) -> list[dict[str, Any]]:
        rows = [row for outcome in self.outcomes for row in outcome.kept.to_pylist()]
        return [{**row, "context": plain_turns(row["context"])} for row in rows]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return [row for outcome in self.outcomes for row in outcome.rejected.to_pylist()]

    @property
    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.rejected]

    @property
    def prompts(self) -> list[str]:
        return [row["context"][-1]["content"] for row in self.kept]

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.kept]

    @property
    def metas(self) -> list[dict[str, Any]]:
        return [json.loads(row["meta"]) for row in self.kept]

    @property
    def answers(self) -> list[str | None]:
        return [row["reference"] and row["reference"]["answer"] for row in self.kept]

    @property
    def sources(self) -> list[str]:
        """Sources of the kept rows, then of the rejected ones."""
        return [row["trail"][0]["parent"] for row in self.kept + self.rejected]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """`write(name, content)` makes a file below `tmp_path`."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def read() -> Callable[..., Readout]:
    """`read(prompts=…)` reads everything, and checks every shard's invariants."""

    def read_all(rows: int = 1000, **fields: Any) -> Readout:
        outcomes = list(Read(**fields).shards(rows))
        for outcome in outcomes:
            assert outcome.kept.schema.equals(RECORD)
            assert outcome.rejected.schema.equals(REJECT)
            assert 0 < len(outcome.kept) + len(outcome.rejected) <= rows
        readout = Readout(outcomes)
        assert {row["by"] for row in readout.rejected} <= {"read"}
        assert all(len(row["raw"].encode()) <= 64 << 10 for row in readout.rejected)
        ids = [row["id"] for row in readout.kept + readout.rejected]
        assert len(set(ids)) == len(ids)
        return readout

    return read_all


@pytest.fixture
def gold() -> Path:
    """The folder of real inputs; the test is skipped where it is absent."""
    if not GOLD.is_dir():
        pytest.skip(f"the real inputs are not here: {GOLD}")
    return GOLD
