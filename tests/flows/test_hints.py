"""Hints for valid recipes whose answers `verify` could rarely find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from flows.hints import hints
from flows.recipe_file import SHIPPED, load_recipe

GOLD = {"prompt": "What is 6 * 7?", "answer": "42"}
OPEN = {"prompt": "Why is the sky blue?"}


def recipe(
    folder: Path, rows: list[dict[str, Any]], distill: str = "{}", check: str = "maths"
) -> str:
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "recipe.yaml"
    path.write_text(
        "name: hinted\nteacher: http://127.0.0.1:1/v1\nstages:\n  - read: {prompts: p.jsonl}\n"
        f"  - distill: {distill}\n  - verify: [{check}]\n  - write\n"
    )
    return str(path)


@pytest.mark.parametrize(("shard_rows", "hinted"), [(1000, True), (20, False)])
def test_shards_that_are_large_for_the_target_are_hinted_at(
    tmp_path: Path, shard_rows: int, hinted: bool
) -> None:
    plan = load_recipe(
        recipe(tmp_path, [OPEN]),
        overrides=[f"shard_rows={shard_rows}", "stages.write.target_rows=100"],
    )
    told = "100 rows are wanted, and seeds are drawn in shards of 1,000: `shard_rows: 10` at the"
    assert [hint.startswith(told) for hint in hints(plan)] == [True] * hinted


def test_gold_answers_without_a_mark_are_hinted_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(tmp_path, [GOLD, OPEN])
    [hint] = hints(load_recipe(path))
    assert hint.startswith("1 of the first 2 prompts have a gold answer, but nothing asks")
    assert main(["check", path]) == 0
    assert f"hint: {hint}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "distill", "check"),
    [
        ([OPEN], "{}", "maths"),
        ([GOLD], "{}", "instructions"),
        ([GOLD], "{formats: [brief, boxed]}", "maths"),
        ([GOLD], "{formats: {ask: [final_line], when: gold}}", "maths"),
        ([GOLD], "{formats: ['End with \"A: \" and the number.']}", "maths"),
        ([GOLD], "{system: Put the final answer in \\boxed.}", "maths"),
        ([{**GOLD, "prompt": "6 * 7? Give the final answer alone."}], "{}", "maths"),
    ],
)
def test_no_hint_where_there_is_no_gold_or_something_marks(
    tmp_path: Path, rows: list[dict[str, Any]], distill: str, check: str
) -> None:
    assert hints(load_recipe(recipe(tmp_path, rows, distill, check))) == []


def test_a_format_that_marks_nothing_does_not_count(tmp_path: Path) -> None:
    assert len(hints(load_recipe(recipe(tmp_path, [GOLD], "{formats: [brief]}")))) == 1


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_shipped_recipes_need_none(name: str) -> None:
    assert hints(load_recipe(name)) == []


@pytest.mark.parametrize(
    ("stages", "hinted"),
    [
        ("rewrite, redact, mix", True),
        ("redact, rewrite, redact, mix", False),
        ("rewrite, redact, mix, redact", False),
        ("redact, rewrite, mix", False),
    ],
)
def test_originals_that_no_stage_cleans_are_hinted_at(
    stages: str, hinted: bool, tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_text('{"text": "A page."}\n')
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\nteacher: http://a:1/v1\nstages: [{{read: {{web: p.jsonl}}}}, {stages}, write]"
    )
    found = [hint for hint in hints(load_recipe(path)) if "`redact` does not see" in hint]
    assert bool(found) is hinted
