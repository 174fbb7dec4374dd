"""The fake teacher's own promises: faults by share, and instances of a schema."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from synth.engine.run import open_runner, run_stages
from synth.generate.distill import Distill
from synth.teacher.schema import conformed
from tests.fake_teacher import LASTING, FakeTeacher, rule, served
from tests.lines import Given, plan, rows

PROMPTS = tuple(f"Why is number {n} odd, and what is {n} + 3?" for n in range(40))
LIST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "kind": {"enum": ["leaf", "node"]},
        "name": {"type": "string", "minLength": 40, "maxLength": 40},
        "on": {"anyOf": [{"type": "boolean"}, {"type": "null"}, {"const": 7}]},
        "below": {"type": "array", "minItems": 0, "items": {"$ref": "#"}},
    },
    "required": ["share", "kind", "name", "on"],
    "additionalProperties": False,
}


def answered(folder: Path, **faults: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows that a run of `distill` keeps and rejects."""

    async def work(url: str) -> None:
        line = plan(Given(prompts=PROMPTS), Distill(), url=url)
        async with open_runner(line, folder) as runner:
            await run_stages(runner)

    with served(FakeTeacher("fake", script=rule, faults=faults)) as teacher:
        asyncio.run(work(teacher.url))
    return rows(folder, "01-*/kept/*.parquet"), rows(folder, "01-*/rejected/*.parquet")


def test_faults_that_pass_change_no_row(tmp_path: Path) -> None:
    calm = answered(tmp_path / "calm")
    assert len({row["text"] for row in calm[0]}) == len(PROMPTS)
    assert answered(tmp_path / "wild", busy=0.2, down=0.2, cut=0.2) == calm


@pytest.mark.parametrize("fault", sorted(LASTING.keys() - {"usage"}))
def test_a_fault_that_lasts_loses_no_row(tmp_path: Path, fault: str) -> None:
    kept, rejected = answered(tmp_path, **{fault: 0.5})
    assert len(kept) + len(rejected) == len(PROMPTS)
    assert all(row["reason"] for row in rejected)


@pytest.mark.parametrize("seed", range(30))
def test_a_reply_follows_the_schema(seed: int) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": LIST}}
    body = {"messages": [{"role": "user", "content": "Grow."}], "response_format": form}
    reply = rule({**body, "seed": seed}, 0)
    assert rule({**body, "seed": seed}, 0) == reply
    assert json.loads(conformed(reply, LIST)) == json.loads(reply)
