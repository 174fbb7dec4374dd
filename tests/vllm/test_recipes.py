"""The shipped recipes, asked of a real vLLM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from synth.store.manifest import Manifest
from tests.flows.test_jobs import run
from tests.lines import rows, shard_bytes
from tests.vllm.servers import NAME, Served
from tests.vllm.texts import STYLES

pytestmark = pytest.mark.vllm

RECIPES = {
    "evolve-prompts": (16, ["stages.evolve.sampling.max_tokens=64"]),
    "textbook": (
        24,
        [
            f"stages.rewrite.styles=[{', '.join(STYLES)}]",
            "stages.rewrite.sampling={max_tokens: 300, temperature: 0.3}",
            "stages.6.quality=[length, truncation]",  # so small a model cannot keep to its source
        ],
    ),
    "distill-answers": (12, ["stages.distill.sampling.max_tokens=96"]),
}
GENERATING = {"evolve", "rewrite", "distill"}


def asked(recipe: str, served: Served, folder: Path, *settings: str) -> Sequence[Manifest]:
    """The recipe's run to its end, every row of it accounted for."""
    limit, own = RECIPES[recipe]
    teacher = f"teacher={json.dumps(served.teacher())}"
    return run(recipe, folder, teacher, *own, *settings, limit=limit)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_to_its_end_and_its_rows_tell_who_wrote_them(
    recipe: str, served: Served, tmp_path: Path
) -> None:
    manifests = asked(recipe, served, tmp_path)
    assert manifests[-1].rows_kept >= 4
    assert (tmp_path / "release/README.md").is_file()
    generating = next(stage for stage in manifests if stage.stage in GENERATING)
    asked_for = sum(shard.requests for shard in generating.shards)
    assert sum(shard.tokens_out for shard in generating.shards) > asked_for > 0
    assert not generating.reasons.keys() & {"request_failed", "request_refused"}
    for row in rows(tmp_path, f"{generating.index:02d}-*/kept/*.parquet"):
        if len(row["trail"]) > 1:
            step = row["trail"][-1]
            assert step["model"] == NAME
            assert step["revision"].endswith("0.32.0")
            assert step["tokens_out"] > 0

    before = shard_bytes(tmp_path)
    again = asked(recipe, served, tmp_path)
    assert again == manifests
    assert shard_bytes(tmp_path) == before


def test_its_answers_mean_something(served: Served, tmp_path: Path) -> None:
    """The small model has learnt to add digits; what it says is checked like any teacher's."""
    sums = [(a, b) for a in range(6) for b in range(6)]
    (tmp_path / "sums.jsonl").write_text(
        "".join(
            json.dumps({"prompt": f"What is {a} + {b}?", "answer": str(a + b)}) + "\n"
            for a, b in sums
        )
    )
    manifests = run(
        "distill-answers",
        tmp_path / "run",
        f"teacher={json.dumps(served.teacher())}",
        f"stages.read.prompts={tmp_path / 'sums.jsonl'}",
        "stages.1.dedup={exact: {}}",
        "stages.distill.samples=1",
        "stages.distill.sampling={max_tokens: 40, temperature: 0}",
        "stages.3.quality=[refusal]",
        "stages.4.dedup={exact: {}}",
    )
    [verify] = [stage for stage in manifests if stage.stage == "verify"]
    assert verify.rows_in == len(sums)
    assert verify.rows_kept > len(sums) // 2, verify.reasons
