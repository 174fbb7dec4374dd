"""The shipped recipes, asked of a real model on a real vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lines import rows, shard_bytes
from tests.vllm.runs import Heard, assert_real_text, run
from tests.vllm.servers import NAME, Served

pytestmark = pytest.mark.vllm

RECIPES = {
    "quickstart": (8, []),
    # what the judge says is in no row
    "evolve-prompts": (
        12,
        [
            "stages.evolve.rounds=1",
            "stages.evolve.sampling.max_tokens=64",
            "stages.evolve.judge=null",
        ],
    ),
    "textbook": (2, ["stages.rewrite.sampling.max_tokens=160"]),
    "questions": (2, ["stages.questions.sampling.max_tokens=300"]),
}
MAY_KEEP_NONE = ("textbook", "questions")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_to_its_end_and_each_reply_is_in_a_row(
    recipe: str, served: Served, tmp_path: Path
) -> None:
    """Counts, not quality: none of so small a model's rewrites or questions may be fit to keep."""
    limit, settings = RECIPES[recipe]
    heard, silent = Heard(), Heard()
    manifests = run(recipe, tmp_path, served.teacher(), *settings, limit=limit, heard=heard)
    assert (tmp_path / "release/README.md").is_file() == bool(manifests[-1].rows_kept)
    assert manifests[-1].rows_kept or recipe in MAY_KEEP_NONE
    if recipe != "quickstart":  # which answers in a word or two
        assert_real_text(heard.every)
    for stage in manifests:
        asked = sum(shard.requests for shard in stage.shards)
        replies = heard.replies.get(stage.index, [])
        assert asked == len({reply.key for reply in replies})
        made = [
            row["trail"][-1]
            for row in rows(tmp_path, f"{stage.index:02d}-*/[kr]e*/*.parquet")
            if row["trail"][-1]["stage"] == stage.stage and row["trail"][-1]["request"]
        ]
        requests = [step["request"] for step in made]
        if stage.stage == "questions":  # makes several rows of a reply
            requests = [*set(requests)]
        assert sorted(requests) == sorted(reply.key for reply in replies)
        for step in made:
            assert step["model"] == NAME
            assert step["revision"].endswith("0.32.0")
            assert step["tokens_out"] > 0

    before = shard_bytes(tmp_path)
    assert (
        run(recipe, tmp_path, served.teacher(), *settings, limit=limit, heard=silent) == manifests
    )
    assert shard_bytes(tmp_path) == before
    assert not silent.every
