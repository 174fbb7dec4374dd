"""The `dedup` stage: what leaves, for the sake of which row, whatever the shards."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from benchmarks import prompt_dedup
from benchmarks.short_prompts import short_prompts
from filters.dedup.stage import Dedup
from synth.engine.stage import Outcome, Place
from synth.kind import Kind
from synth.record import new_record, records_table
from tests.filters.rows import HOSTILE, answers, assert_whole
from tests.limits import cpu_within

ALL = {"exact": {}, "minhash": {}, "fuzzy": {}}


def documents(texts: list[str]) -> pa.Table:
    """Documents with these texts."""
    return records_table([new_record(text=text, before=i) for i, text in enumerate(texts)])


def dedup(
    table: pa.Table,
    folder: Path,
    recipe: dict[str, Any],
    *,
    kind: Kind = Kind.DOCUMENTS,
    cuts: tuple[int, ...] = (),
    sign_last_first: bool = False,
) -> Outcome:
    """The outcome of the stage over the table, cut into shards at these rows."""
    stage = Dedup.model_validate(recipe)
    edges = [0, *cuts, len(table)]
    shards = [table.slice(a, b - a) for a, b in pairwise(edges)]
    folders = [folder / f"{len(cuts)}-{i:05d}" for i in range(len(shards))]
    place = Place(seed=0, kind=kind)
    jobs = list(zip(shards, folders, strict=True))
    for shard, work in reversed(jobs) if sign_last_first else jobs:
        work.mkdir()
        stage.sign(shard, place, work)
    stage.decide(folders)
    outcomes = [stage.split(shard, place, work) for shard, work in jobs]
    for shard, outcome in zip(shards, outcomes, strict=True):
        assert_whole(outcome, shard)
    return Outcome(
        pa.concat_tables([outcome.kept for outcome in outcomes]),
        pa.concat_tables([outcome.rejected for outcome in outcomes]),
    )


def sentence(rng: random.Random, words: int) -> list[str]:
    return [f"w{rng.randrange(500)}" for _ in range(words)]


def corpus(rows: int, seed: int) -> list[str]:
    """Texts of 5 to 60 words, of which two thirds are copies with up to eight words changed."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(rows):
        words = sentence(rng, rng.randrange(5, 60))
        if texts and rng.random() < 0.67:
            words = rng.choice(texts).split()
            for _ in range(rng.randrange(9)):
                words[rng.randrange(len(words))] = f"w{rng.randrange(500)}"
        texts.append(" ".join(words))
    return texts


def test_equal_texts_leave_but_for_the_first(tmp_path):
    texts = ["Plants need light.", "Water.", "plants  NEED\nlight.", "\uff37\uff41ter.", ""]
    table = documents(texts)
    outcome = dedup(table, tmp_path, {"exact": {}})
    assert outcome.kept["text"].to_pylist() == ["Plants need light.", "Water.", ""]
    first, second = outcome.rejected.to_pylist()
    assert (first["reason"], first["by"], first["score"]) == ("duplicate_exact", "exact", 1.0)
    assert first["scores"][-1]["note"] == table["id"][0].as_py()
    assert second["scores"][-1]["note"] == table["id"][1].as_py()


def likeness(one: str, other: str) -> float:
    """Jaccard similarity of the sets of word 5-grams, by counting."""
    a, b = (
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
        for words in (one.split(), other.split())
    )
    return len(a & b) / len(a | b)


def test_near_duplicates_leave_at_the_threshold_and_stay_below(tmp_path):
    words = sentence(random.Random(1), 104)  # 100 shingles
    first, at, below = (
        " ".join(words[: 104 - changed] + [f"x{i}" for i in range(changed)])
        for changed in (0, 10, 12)
    )
    threshold = likeness(first, at)
    recipe = {"minhash": {"threshold": threshold, "rows": 4}}
    outcome = dedup(documents([first, at, below]), tmp_path, recipe)
    [rejected] = outcome.rejected.to_pylist()
    assert rejected["text"] == at
    assert (rejected["reason"], rejected["score"]) == ("near_duplicate", threshold)
    score = outcome.kept.to_pylist()[1]["scores"][0]
    assert (score["verdict"], score["value"]) == ("keep", likeness(first, below))
    assert score["note"] == outcome.kept["id"][0].as_py()


def test_a_chain_is_not_followed(tmp_path):
    """b is like a, c is like b and not like a: b leaves and c stays."""
    words = sentence(random.Random(2), 104)
    a = " ".join(words)
    b = " ".join([*words[:-8], *(f"b{i}" for i in range(8))])
    c = " ".join([*(f"c{i}" for i in range(8)), *words[8:-8], *(f"b{i}" for i in range(8))])
    outcome = dedup(documents([a, b, c]), tmp_path, {"minhash": {"rows": 4}})
    assert outcome.kept["text"].to_pylist() == [a, c]


def test_prompts_with_a_typo_leave_and_other_prompts_stay(tmp_path):
    prompts = [
        "Define entropy.",
        "Define entropy!",
        "Why do plants need light to grow?",
        "Why do plants need ligth to grow?",
        "Why do planets need light to glow in the dark?",
        "Define enthalpy and its uses.",
    ]
    table = answers([(prompt, "") for prompt in prompts])
    outcome = dedup(table, tmp_path, {"fuzzy": {}}, kind=Kind.PROMPTS)
    assert outcome.rejected["reason"].to_pylist() == ["fuzzy_duplicate"] * 2
    kept = [row["context"][0]["content"] for row in outcome.kept.to_pylist()]
    assert kept == [prompts[i] for i in (0, 2, 4, 5)]
    assert all(90 <= score < 100 for score in outcome.rejected["score"].to_pylist())


def test_longer_texts_are_not_compared_by_fuzzy(tmp_path):
    text = " ".join(sentence(random.Random(3), 61))
    outcome = dedup(documents([text, text + "!"]), tmp_path, {"fuzzy": {}})
    assert len(outcome.rejected) == 0
    score = outcome.kept.to_pylist()[1]["scores"][0]
    assert (score["value"], score["note"]) == (None, "not compared")


def test_each_method_sees_what_the_one_before_left(tmp_path):
    words = sentence(random.Random(4), 50)
    texts = [" ".join(words), " ".join(words).upper(), " ".join([*words[:-1], "other"]), "Alone."]
    outcome = dedup(documents(texts), tmp_path, ALL)
    by = {row["text"]: row for row in outcome.rejected.to_pylist()}
    assert [by[text]["by"] for text in texts[1:3]] == ["exact", "minhash"]
    assert [len(by[text]["scores"]) for text in texts[1:3]] == [1, 2]
    names = [score["name"] for score in outcome.kept.to_pylist()[0]["scores"]]
    assert names == ["exact", "minhash", "fuzzy"]


@pytest.mark.parametrize(
    "recipe",
    [
        ALL,
        {"minhash": {"threshold": 0.6, "rows": 3}},
        {"fuzzy": {}},
        {"rouge": {}},
        {"minhash": {}, "fuzzy": {}, "keep": "longest"},
    ],
)
def test_shards_and_their_order_of_signing_change_nothing(recipe, tmp_path):
    table = documents(corpus(400, seed=5))
    whole = dedup(table, tmp_path, recipe)
    assert 40 < len(whole.rejected) < 360
    for cuts in [(57, 114, 171, 228, 285, 342), (1, 2, 2, 399)]:
        parts = dedup(table, tmp_path, recipe, cuts=cuts, sign_last_first=True)
        assert parts.kept.equals(whole.kept)
        assert parts.rejected.equals(whole.rejected)


def test_the_decision_is_that_of_comparing_every_pair(tmp_path):
    """With many bands of one row every pair of any likeness is a candidate."""
    texts = corpus(300, seed=6)
    threshold = 0.6
    kept: list[str] = []
    for text in texts:
        if all(likeness(text, earlier) < threshold for earlier in kept):
            kept.append(text)
    recipe = {"minhash": {"threshold": threshold, "bands": 64, "rows": 1}}
    outcome = dedup(documents(texts), tmp_path, recipe)
    assert outcome.kept["text"].to_pylist() == kept
    assert min(outcome.rejected["score"].to_pylist()) >= threshold


def test_of_several_samples_of_a_prompt_one_stays_on_prompt_and_all_on_text(tmp_path):
    table = answers([("Why?", "One reason."), ("Why?", "Another one."), ("How?", "So.")])
    for on, expected in (("prompt", 1), ("text", 0)):
        folder = tmp_path / on
        folder.mkdir()
        outcome = dedup(table, folder, {"exact": {}, "on": on}, kind=Kind.ANSWERS)
        assert len(outcome.rejected) == expected


def test_empty_and_wordless_texts_are_only_equal_if_they_are(tmp_path):
    outcome = dedup(documents(["", "!!!", "???", "", "one"]), tmp_path, ALL)
    assert outcome.kept["text"].to_pylist() == ["", "!!!", "???", "one"]
    assert outcome.rejected["reason"].to_pylist() == ["duplicate_exact"]


@pytest.mark.parametrize("method", ["ratio", "rouge"])
def test_short_prompts_are_decided_as_if_every_pair_were_compared(method):
    recipe, scorer, least = prompt_dedup.METHODS[method]
    prompts = short_prompts(700)
    (one, other), _ = prompt_dedup.every_pair(prompts, scorer, least)
    expected = np.zeros(len(prompts), bool)
    for row, earlier in zip(one.tolist(), other.tolist(), strict=True):
        expected[row] |= not expected[earlier]
    dropped, _ = prompt_dedup.decided(prompts, recipe)
    assert 50 < expected.sum() < 300
    assert np.array_equal(dropped, expected)


@pytest.mark.parametrize("method", ["exact", "minhash", "fuzzy", "rouge"])
def test_the_best_of_several_duplicates_stays(method, tmp_path):
    words = sentence(random.Random(8), 40)
    same = [" ".join(words), " ".join(words).upper() + "!", " ".join(words) + " !!"]
    if method == "exact":
        same = [" ".join(words), "  ".join(words), " ".join(words).upper() + " "]
    rows = [new_record(text=text, before=i) for i, text in enumerate([*same, "Alone."])]
    for row, score in zip(rows, [0.2, 0.9, 0.5, None], strict=True):
        row["scores"] = [{"name": "judge", "verdict": "keep", "value": score, "note": ""}]
    table = records_table(rows)
    longest = max(range(3), key=lambda i: len(same[i]))
    for keep, expected in (("first", 0), ("longest", longest), ({"highest": "judge"}, 1)):
        for cuts in ((), (1, 2)):
            folder = tmp_path / f"{keep}{len(cuts)}"
            folder.mkdir()
            outcome = dedup(table, folder, {method: {}, "keep": keep}, cuts=cuts)
            assert outcome.kept["text"].to_pylist() == [same[expected], "Alone."]
            nearest = {row["scores"][-1]["note"] for row in outcome.rejected.to_pylist()}
            assert nearest == {rows[expected]["id"]}


def test_an_empty_corpus_and_an_empty_shard_are_no_trouble(tmp_path):
    outcome = dedup(documents([]), tmp_path, ALL)
    assert (len(outcome.kept), len(outcome.rejected)) == (0, 0)
    Dedup.model_validate(ALL).decide([])


def test_hostile_texts_are_bounded(tmp_path):
    with cpu_within(6):
        outcome = dedup(documents(HOSTILE), tmp_path, ALL)
    assert len(outcome.rejected) == 0


def test_a_thousand_rows_on_one_template_stay_linear(tmp_path):
    rng = random.Random(7)
    template = sentence(rng, 30)
    texts = [" ".join(template + sentence(rng, 30)) for _ in range(1_500)]
    outcome = dedup(documents([*texts, texts[1_400]]), tmp_path, {"minhash": {}})
    assert len(outcome.rejected) == 1


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "at least one method: exact, minhash, fuzzy, rouge, semantic"),
        ({"on": "prompt"}, "at least one method"),
        ({"minhash": {"threshold": 0.5}}, "find only 5% of the pairs at threshold 0.5"),
        ({"exact": {}, "on": "reply"}, "'prompt' or 'text'"),
        ({"simhash": {}}, "simhash"),
    ],
)
def test_a_wrong_recipe_names_the_mistake(recipe, message):
    with pytest.raises(ValidationError, match=message):
        Dedup.model_validate(recipe)


def test_on_must_name_what_the_records_have():
    with pytest.raises(ValueError, match="documents have no prompt"):
        Dedup.model_validate({"exact": {}, "on": "prompt"}).makes(Kind.DOCUMENTS)
    with pytest.raises(ValueError, match="prompts have no text"):
        Dedup.model_validate({"exact": {}, "on": "text"}).makes(Kind.PROMPTS)
    assert Dedup.model_validate({"exact": {}, "on": "prompt"}).makes(Kind.ANSWERS) is Kind.ANSWERS


def test_what_is_dumped_can_be_read_again_and_holds_only_what_was_given():
    stage = Dedup.model_validate({"exact": None, "on": "text"})
    assert stage.model_dump(mode="json") == {"exact": {}, "on": "text"}
    assert Dedup.model_validate(stage.model_dump()) == stage


@pytest.mark.gold
def test_human_prompts_hold_few_duplicates(gold, tmp_path):
    """The rephrased items are no near-duplicates of each other, and the originals neither."""
    prompts = [row["question"] for row in gold("gsm8k_test.jsonl")]
    table = answers([(prompt, "") for prompt in prompts + prompts[:50]])
    outcome = dedup(table, tmp_path, ALL, kind=Kind.PROMPTS)
    assert np.unique(outcome.rejected["by"].to_pylist()).tolist() == ["exact"]
    assert len(outcome.rejected) == 50
