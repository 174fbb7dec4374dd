"""The three jobs of the project, on our own seeds and on real inputs, without Prefect."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest

from flows.recipe_file import load_recipe
from synth.engine.run import open_runner, run_stages
from synth.store.manifest import Manifest
from synth.store.shards import read_shard
from tests.fake_teacher import FakeTeacher, rule, served
from tests.lines import released, rows, shard_bytes

LINE = """\
name: line
seed: 3
shard_rows: 7
stages:
  - read: {prompts: seeds/starter/prompts.jsonl}
  - evolve: {rounds: 2}
  - quality: [length, refusal]
  - dedup: {exact: {}, fuzzy: {ratio: 90}}
  - distill: {samples: 2}
  - verify: {checks: [maths], reject: []}
  - write: {}
"""


class Run(Protocol):
    def __call__(
        self,
        recipe: str,
        folder: Path,
        *overrides: str,
        teacher: str = ...,
        limit: int | None = ...,
    ) -> Sequence[Manifest]: ...


@pytest.fixture(scope="module")
def run(teacher_url: str) -> Run:
    """Runs a recipe to its end with a fake teacher: a shipped one, or `LINE`."""

    def run(
        recipe: str,
        folder: Path,
        *overrides: str,
        teacher: str = teacher_url,
        limit: int | None = None,
    ) -> Sequence[Manifest]:
        folder.mkdir(exist_ok=True)
        if recipe == LINE:
            recipe = str(folder / "recipe.yaml")
            Path(recipe).write_text(LINE)

        async def work() -> Sequence[Manifest]:
            plan = load_recipe(recipe, overrides=overrides, teacher=teacher, limit=limit)
            async with open_runner(plan, folder) as runner:
                return await run_stages(runner)

        manifests = asyncio.run(work())
        assert_every_row_is_accounted_for(folder, manifests)
        return manifests

    return run


@pytest.fixture(scope="module")
def line(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `LINE` that asks one question at a time. Do not change it."""
    folder = tmp_path_factory.mktemp("line")
    run(LINE, folder, "teacher.concurrency=1", limit=24)
    return folder


def assert_every_row_is_accounted_for(folder: Path, manifests: Sequence[Manifest]) -> None:
    """Counts the rows in the shards, not the manifests' figures."""
    came_in: set[str] | None = None
    for stage in manifests:
        here = folder / f"{stage.index:02d}-{stage.stage}"
        kept = [row for shard in stage.shards for row in _rows(here / shard.kept.path)]
        left = [row for shard in stage.shards for row in _rows(here / shard.rejected.path)]
        assert stage.rows_in + stage.rows_made == len(kept) + len(left)
        assert all(row["reason"] and row["by"] for row in left)
        ids = [row["id"] for row in (*kept, *left)]
        assert len(ids) == len(set(ids))
        if came_in is not None:
            trails = [row["trail"] for row in (*kept, *left) if "trail" in row]  # else a release
            assert came_in <= {*ids, *(trail[-1]["parent"] for trail in trails)}
        came_in = {row["id"] for row in kept}


def _rows(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = read_shard(path).to_pylist()
    return found


LEAST = {
    "quickstart": 3,
    "evolve-prompts": 10,
    "textbook": 10,
    "distill-answers": 10,
    "questions": 10,
    "reasoning": 100,
}
"""Minimum rows kept per recipe. The fake meets few constraints, and `quickstart` requires all."""


@pytest.mark.parametrize("recipe", LEAST)
def test_every_shipped_recipe_runs_to_its_end(run: Run, recipe: str, tmp_path: Path) -> None:
    room = ["stages.distill.sampling.max_tokens=2048"] if recipe == "reasoning" else []
    manifests = run(recipe, tmp_path, *room, limit=20)
    assert manifests[-1].rows_kept > LEAST[recipe]
    assert (tmp_path / "release/README.md").read_text().startswith("---\n")


def test_preference_pairs_set_a_right_answer_against_a_wrong_one(run: Run, tmp_path: Path) -> None:
    manifests = run("preference-pairs", tmp_path, limit=20)
    pairs = released(tmp_path)
    assert len(pairs) == manifests[-1].rows_kept > 3
    for pair in pairs:
        assert pair["chosen"][0]["content"] != pair["rejected"][0]["content"]
        assert pair["prompt"][-1]["role"] == "user"
        assert next(s for s in pair["scores"] if s["name"] == "maths")["verdict"] == "pass"


def test_the_same_recipe_gives_the_same_bytes_whatever_the_concurrency(
    run: Run, line: Path, tmp_path: Path
) -> None:
    with served(FakeTeacher("fake", "fake", script=rule, latency_s=0.003)) as slow:
        run(LINE, tmp_path, "teacher.concurrency=64", teacher=slow.url, limit=24)
    assert shard_bytes(tmp_path) == shard_bytes(line)


def test_another_seed_gives_other_rows(run: Run, line: Path, tmp_path: Path) -> None:
    run(LINE, tmp_path, "seed=1", limit=24)
    assert shard_bytes(tmp_path) != shard_bytes(line)


def test_an_evolved_maths_prompt_does_not_keep_its_parents_answer(line: Path) -> None:
    evolved = rows(line, "01-evolve/kept/*.parquet")
    assert any(row["reference"] for row in evolved if len(row["trail"]) == 1)
    assert not any(row["reference"] for row in evolved if len(row["trail"]) > 1)


def test_the_release_loads_with_the_right_features(run: Run, tmp_path: Path) -> None:
    run("distill-answers", tmp_path / "a", "stages.write.shard_rows=20", limit=24)
    run("textbook", tmp_path / "b", limit=3)
    code = """
import json, sys
from datasets import load_dataset
a, b = (load_dataset(path, split="train") for path in sys.argv[1:3])  # both are named `release`
beside = [load_dataset(path, "provenance", split="train") for path in sys.argv[1:3]]
print(json.dumps({
    "messages": repr(a.features["messages"]), "text": repr(b.features["text"]),
    "columns": [a.column_names, b.column_names], "rows": [len(a), len(b)],
    "beside": beside[0].column_names == beside[1].column_names,
    "last": a[0]["messages"][-1]["role"],
    "sources": [(row["reference"] or {}).get("source") for row in beside[1]],
}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a/release"), str(tmp_path / "b/release")],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
    )
    report = json.loads(done.stdout)
    assert report["columns"] == [["id", "messages"], ["id", "text"]]
    assert report["beside"]
    assert report["messages"] == "List({'role': Value('string'), 'content': Value('string')})"
    assert report["text"] == "Value('string')"
    assert report["last"] == "assistant"
    assert any(report["sources"])  # the originals have none
    for name, count in zip("ab", report["rows"], strict=True):
        files = sorted((tmp_path / name / "release/data").iterdir())
        assert files[0].name == f"train-00000-of-{len(files):05d}.parquet"
        assert sum(len(read_shard(path)) for path in files) == count


@pytest.mark.gold
def test_evolve_and_distill_run_on_human_written_instructions(
    run: Run, real: Path, tmp_path: Path
) -> None:
    source = f"stages.read.prompts={real / 'seed_tasks.jsonl'}"
    for recipe in ("evolve-prompts", "distill-answers"):
        manifests = run(recipe, tmp_path / recipe, source)
        assert manifests[0].rows_in == 105
        assert manifests[-1].rows_kept > 105


@pytest.mark.gold
def test_rewrite_runs_on_real_web_pages(run: Run, real: Path, tmp_path: Path) -> None:
    manifests = run("textbook", tmp_path, f"stages.read.web={real / 'plain_language_docs.jsonl'}")
    assert manifests[0].rows_in == 68
    assert manifests[-1].rows_kept > 68
