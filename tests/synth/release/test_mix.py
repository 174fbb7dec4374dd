"""`mix`: originals and rewrites in the share that the recipe names; nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.recipe_file import load_recipe
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.errors import RecipeError
from synth.release.mix import shared_out
from synth.store.manifest import Manifest
from tests.lines import rows, shard_bytes

PAGES = [
    f"Page {n} is about the sea. " + " ".join(f"Wave {n} {k} rises and falls." for k in range(12))
    for n in range(12)
]
RECIPE = """\
name: mixed
seed: {seed}
shard_rows: 5
stages:
  - read: {{web: {pages}}}
  - clean
  - rewrite: {{styles: [faq], per_chunk: {per_chunk}, collapse: null}}
  - mix: {{originals: {share}, by: {by}}}
  - write: {{format: text}}
"""


class Notes(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def mixed(
    folder: Path,
    teacher: str,
    share: float = 0.5,
    by: str = "rows",
    per_chunk: int = 1,
    seed: int = 3,
    pages: list[str] = PAGES,
) -> tuple[list[Manifest], list[str]]:
    """Runs the recipe, and returns its manifests and what was said."""
    folder.mkdir(exist_ok=True)
    source = folder / "pages.jsonl"
    source.write_text("".join(json.dumps({"text": page}) + "\n" for page in pages))
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(pages=source, share=share, by=by, per_chunk=per_chunk, seed=seed))
    notes = Notes()

    async def work() -> list[Manifest]:
        async with open_runner(load_recipe(path, teacher=teacher), folder / "run", notes) as runner:
            return await run_stages(runner)

    return asyncio.run(work()), notes.said


def origins(folder: Path) -> Counter[str]:
    found = rows(folder / "run", "03-mix/kept/*.parquet")
    return Counter(json.loads(row["meta"])["origin"] for row in found)


@pytest.mark.parametrize(
    ("share", "per_chunk", "originals", "synthetic"),
    [(0.5, 1, 12, 12), (0.25, 1, 4, 12), (0.5, 2, 12, 12), (0.8, 1, 12, 3), (0.25, 3, 12, 36)],
)
def test_rows_are_mixed_in_the_share(
    share: float,
    per_chunk: int,
    originals: int,
    synthetic: int,
    tmp_path: Path,
    teacher_url: str,
) -> None:
    manifests, said = mixed(tmp_path, teacher_url, share, per_chunk=per_chunk)
    assert origins(tmp_path) == {"original": originals, "synthetic": synthetic}
    mix = manifests[3]
    assert mix.rows_in + mix.rows_made == mix.rows_kept + mix.rows_rejected
    assert (mix.rows_in, mix.rows_made) == (12 * per_chunk, 12)
    out = {
        "originals_over_share": 12 - originals,
        "synthetic_over_share": 12 * per_chunk - synthetic,
    }
    assert mix.reasons == Counter({reason: count for reason, count in out.items() if count})
    assert any("too few originals" in line for line in said) is bool(out["synthetic_over_share"])


def test_an_original_is_the_page_as_cleaned_and_says_so(tmp_path: Path, teacher_url: str) -> None:
    mixed(tmp_path, teacher_url)
    cleaned = {row["id"]: row for row in rows(tmp_path / "run", "01-clean/kept/*.parquet")}
    for row in rows(tmp_path / "run", "03-mix/kept/*.parquet"):
        asked = [step for step in row["trail"] if step["request"]]
        assert json.loads(row["meta"])["origin"] == ("synthetic" if asked else "original")
        if not asked:
            assert row["text"] == cleaned[row["id"]]["text"]


def test_tokens_are_shared_by_default_and_nearly_exactly() -> None:
    dice = np.random.default_rng(7)
    sizes = dice.integers(20, 900, 2_000).astype(float)
    original = dice.random(2_000) < 0.6
    draws = dice.integers(0, 2**31, 2_000)
    for share in (0.1, 0.5, 0.9):
        kept = shared_out(sizes, draws, original, share)
        of_originals = sizes[kept & original].sum() / sizes[kept].sum()
        assert abs(of_originals - share) < 0.01
        assert kept[original].all() or kept[~original].all()


def test_no_row_and_a_single_side_have_a_share() -> None:
    none = np.zeros(0)
    assert shared_out(none, none.astype(int), none.astype(bool), 0.5).tolist() == []
    one, draw = np.ones(1), np.ones(1, int)
    assert shared_out(one, draw, np.array([True]), 0.5).tolist() == [False]
    assert shared_out(one, draw, np.array([False]), 0.5).tolist() == [False]


def test_the_draw_depends_on_seed_and_content_alone(tmp_path: Path, teacher_url: str) -> None:
    def drawn(name: str, **settings: Any) -> set[str]:
        mixed(tmp_path / name, teacher_url, 0.25, **settings)
        found = rows(tmp_path / name / "run", "03-mix/kept/*.parquet")
        return {row["text"] for row in found if json.loads(row["meta"])["origin"] == "original"}

    assert drawn("a") == drawn("b", pages=PAGES[::-1]) != drawn("c", seed=4)
    mixed(tmp_path / "again", teacher_url, 0.25)
    assert shard_bytes(tmp_path / "a/run") == shard_bytes(tmp_path / "again/run")


def test_a_changed_original_makes_only_the_mix_stale(tmp_path: Path, teacher_url: str) -> None:
    mixed(tmp_path, teacher_url)
    _, said = mixed(tmp_path, teacher_url, share=0.4)
    assert "03-mix      stale: originals 0.5 → 0.4" in "\n".join(said)
    _, said = mixed(tmp_path, teacher_url, share=0.4)
    assert not any("stale" in line for line in said)


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ("[{read: {web: p.jsonl}}, mix, write]", "names no stage before it; known: "),
        ("[{read: {prompts: p.jsonl}}, mix, write]", "`mix` needs documents"),
        (
            "[{read: {web: p.jsonl}}, rewrite, {mix: {before: rewrit}}, write]",
            "did you mean 'rewrite'",
        ),
        ("[{read: {web: p.jsonl}}, rewrite, {mix: {originals: 1}}, write]", "originals"),
    ],
)
def test_a_mix_without_originals_is_a_mistake(stages: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"text": "A page.", "prompt": "Why?"}\n')
    path = tmp_path / "recipe.yaml"
    path.write_text(f"name: mine\nteacher: embedded\nstages: {stages}\n")
    with pytest.raises(RecipeError, match=problem):
        load_recipe(path)
