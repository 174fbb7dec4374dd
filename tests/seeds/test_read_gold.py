"""Real inputs from other projects, and our own starter seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

STARTER = Path(__file__).parents[2] / "seeds/starter/prompts.jsonl"


@pytest.mark.gold
def test_self_instruct_seed_tasks_are_all_prompts_without_gold(gold, read):
    result = read(prompts=gold / "seed_tasks.jsonl")
    assert (len(result.kept), result.reasons) == (105, [])
    assert set(result.answers) == {None}
    assert all("instances" in meta for meta in result.metas)


@pytest.mark.gold
def test_plain_language_pages_are_all_documents(gold, read):
    result = read(web=gold / "plain_language_docs.jsonl")
    assert (len(result.kept), result.reasons) == (68, [])
    assert all(meta["url"].startswith("https://") for meta in result.metas)


@pytest.mark.gold
def test_gsm8k_has_a_gold_answer_in_every_row(gold, read):
    result = read(prompts=gold / "gsm8k_test.jsonl")
    assert len(result.kept) == 527
    assert all("####" in (answer or "") for answer in result.answers)


@pytest.mark.gold
def test_humaneval_tests_are_read_where_the_recipe_names_them(gold, read):
    result = read(prompts=gold / "humaneval.jsonl", columns={"tests": "test"})
    assert len(result.kept) == 82
    assert all("def check" in row["reference"]["tests"] for row in result.kept)


def test_starter_seeds_are_all_kept(read):
    result = read(prompts=STARTER)
    assert result.kept
    assert result.reasons == []
