"""The dataset card: metadata for the Hub, a funnel that adds up, the teacher's name."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import yaml

from seeds.read import Read
from synth.release import card as cards
from synth.release.card import card
from synth.release.contents import Contents, RowFacts, SplitFiles, config_folders
from synth.release.formats import Format, Shape
from synth.store.manifest import Manifest, Novelty, ShardFile, ShardReceipt, TeacherRecord
from synth.verdict_counts import VerdictCounts, count

MODEL = TeacherRecord(model="Qwen/Qwen3-8B", revision="0.12.0")
RECIPE = {"name": "maths", "stages": [{"read": {"prompts": "p.jsonl"}}, {"write": {}}]}


def stage(
    name: str,
    index: int,
    kept: int,
    *,
    teacher: TeacherRecord | None = None,
    verdicts: VerdictCounts | None = None,
    unjudged: int = 0,
    **reasons: int,
) -> Manifest:
    left = sum(reasons.values())
    file = ShardFile(path="x", rows=kept, bytes=1, sha256="")
    return Manifest(
        stage=name,
        index=index,
        fingerprint="",
        settings={},
        kind="answers",
        began_on="2026-11-29" if name == "read" else "",
        code="0.1.0",
        seed=7,
        teacher=teacher,
        shards=[
            ShardReceipt(
                shard=0,
                fingerprint="",
                rows_in=100,
                rows_made=kept + left - 100,
                kept=file,
                rejected=file.model_copy(update={"rows": left}),
                reasons=reasons,
                verdicts=verdicts,
                unjudged=unjudged,
            )
        ],
    )


def holds(
    rows: int = 90,
    format_: Format = Format.MESSAGES,
    checked: VerdictCounts = VerdictCounts(),  # noqa: B008  never changed
    **more: Any,
) -> Contents:
    """The contents of a release without files."""
    shape = Shape(format_)
    split = {"train": SplitFiles([], rows, 1)}
    return Contents(
        folders=config_folders([format_]),
        splits={"default": split, "provenance": split},
        schemas={"default": shape.schema, "provenance": shape.provenance_schema},
        facts=RowFacts(pa.table({"id": ["0"], "text": ["A text."]}), checked, **more),
        digest="d" * 64,
    )


def text(
    kept: int = 90,
    *,
    teacher: TeacherRecord | None = MODEL,
    format_: Format = Format.MESSAGES,
    recipe: dict[str, Any] = RECIPE,
    checked: VerdictCounts = VerdictCounts(),  # noqa: B008  never changed
    verified: VerdictCounts | None = None,
    **more: Any,
) -> str:
    history = [
        stage("read", 0, 95, not_json=5),
        stage("distill", 1, kept, teacher=teacher, verdicts=verified, refused=3, reply_empty=60,
              copied=60),
        stage("write", 2, kept, teacher=teacher),
    ]  # fmt: skip
    return card("maths", recipe, history, format_, holds(kept, format_, checked, **more))


def head(told: str) -> dict[str, Any]:
    nothing, metadata, _ = told.split("---\n", 2)
    assert nothing == ""
    found: dict[str, Any] = yaml.safe_load(metadata)
    return found


@pytest.mark.parametrize("format_", list(Format))
def test_the_head_is_yaml_and_every_format_has_its_columns_told(format_: Format) -> None:
    told = text(format_=format_)
    assert head(told)["pretty_name"] == "maths"
    assert f"90 rows in the `{format_}` format" in told
    columns = told.partition("## Columns")[2].partition("## ")[0]
    names = [*Shape(format_).schema.names, *Shape(format_).provenance_schema.names]
    assert re.findall(r"- `(\w+)`:", columns) == names


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (999_999, "100K<n<1M"),
        (1_000_000, "1M<n<10M"),
        (30_000_000, "10M<n<100M"),
    ],
)
def test_the_size_is_one_of_the_hubs_categories(rows: int, size: str) -> None:
    assert head(text(rows))["size_categories"] == [size]


@pytest.mark.parametrize(
    ("places", "sources"),
    [
        (({"hub": "openai/gsm8k", "config": "main"}, {"hub": "imdb"}), ["imdb", "openai/gsm8k"]),
        (("hf://datasets/my-org/chats@v1/data/*.parquet",), ["my-org/chats"]),
        (({"hub": "my-org/chats"}, "hf://datasets/my-org/chats/a.jsonl"), ["my-org/chats"]),
        (("seeds.jsonl", "s3://bucket/hf/seeds.jsonl"), None),
    ],
)
def test_source_datasets_are_those_of_the_hub_that_were_read(
    places: tuple[Any, ...], sources: list[str] | None
) -> None:
    settings = Read.model_validate({"prompts": places}).model_dump(mode="json")
    read = stage("read", 0, 95).model_copy(update={"settings": settings})
    told = card("maths", RECIPE, [read, stage("write", 1, 90)], Format.MESSAGES, holds())
    assert head(told).get("source_datasets") == sources


@pytest.mark.parametrize("teacher", [MODEL, None])
def test_the_teacher_is_named_and_what_it_wrote_is_tagged(teacher: TeacherRecord | None) -> None:
    told = text(teacher=teacher)
    assert head(told)["tags"] == (["synthetic", "synth"] if teacher else ["synth"])
    made = {"generated_by": "Qwen/Qwen3-8B", "revision": "0.12.0", "tool": "synth-pipeline"}
    assert head(told).get("synthetic") == ({**made, "date": "2026-11-29"} if teacher else None)
    assert ("annotations_creators" in head(told)) is (teacher is not None)
    assert ("Teacher: `Qwen/Qwen3-8B` (server 0.12.0)." in told) is (teacher is not None)
    assert ("No teacher was asked." in told) is (teacher is None)


def test_the_funnel_adds_up_and_reasons_come_most_frequent_first() -> None:
    lines = text().splitlines()
    for line in lines[lines.index("| stage | in | made | kept | rejected |") + 2 :][:3]:
        came, made, kept, left = map(int, line.strip("| ").split(" | ")[1:])
        assert came + made == kept + left
    at = lines.index("| stage | reason | rows |")
    assert lines[at + 2 : at + 6] == [
        "| read | `not_json` | 5 |",
        "| distill | `copied` | 60 |",
        "| distill | `reply_empty` | 60 |",
        "| distill | `refused` | 3 |",
    ]


def test_the_verdicts_are_told_in_words_and_for_each_check_and_stage() -> None:
    checked = count([{"maths": "pass"}] * 2 + [{"maths": "not_applicable"}])
    verified = checked + count([{"maths": "fail"}] * 4)
    told = text(checked=checked, verified=verified)
    assert (
        "\n2 of 3 rows passed their checks (66 %). 2 answers with gold: 2 pass; 1 without" in told
    )
    assert "Warning" not in told
    assert told.partition("\n## Checks\n\n")[2].splitlines()[2:6] == [
        "| rows | check | pass | fail | error | unreadable | not applicable |",
        "|---|---|--:|--:|--:|--:|--:|",
        "| 01-distill | maths | 2 | 4 | 0 | 0 | 1 |",
        "| release | maths | 2 | 0 | 0 | 0 | 1 |",
    ]
    assert "No verifier checked these rows." in text()


def test_unreadable_answers_are_told_first() -> None:
    told = text(checked=count([{"maths": "unverified"}, {"maths": "pass"}]))
    assert told.partition("# maths\n\n")[2].startswith(
        "**Warning:** 1 of 2 answers with gold could not be read: whether they are right is "
        "unknown.\n\n90 rows"
    )


def test_where_no_row_left_the_card_says_so() -> None:
    assert cards.reasons_table([stage("read", 0, 100)]) == ["None were."]


def test_candidates_that_no_judge_decided_are_told() -> None:
    history = [stage("decontaminate", 1, 97, unjudged=12, ngram_of_gsm8k=3), stage("write", 2, 97)]
    told = card("maths", RECIPE, history, Format.MESSAGES, holds(97))
    assert "decontaminate: kept 12 rows that resemble an item of a benchmark" in told
    assert "no judge" not in text()


def test_the_same_data_has_the_same_card() -> None:
    assert text() == text()


@pytest.mark.parametrize("teacher", [MODEL, None])
def test_no_address_of_a_teacher_and_no_key_in_another_stands_in_it(
    teacher: TeacherRecord | None,
) -> None:
    dedup = {"dedup": {"semantic": {"url": "http://b/v1?key=sk-2"}}}
    recipe = {"teacher": {"url": "http://a/v1?key=sk-1"}, "stages": [dedup]}
    told = text(teacher=teacher, recipe=recipe)
    assert "http://b/v1?***" in told
    assert "http://a" not in told
    assert "sk-" not in told
    assert ("teacher: Qwen/Qwen3-8B" in told) is (teacher is not None)


def test_the_recipe_stands_in_it_whatever_it_holds() -> None:
    recipe = {"name": "é", "stages": [{"distill": {"system": "Use\n```python\n```\n---\n"}}]}
    told = text(recipe=recipe)
    assert head(told)["pretty_name"] == "maths"
    recipe_part = told.split("\n## Recipe\n\n")[1].partition("\n## Citation")[0]
    block = recipe_part.strip().splitlines()
    assert (block[0], block[-1]) == ("````yaml", "````")
    assert yaml.safe_load("\n".join(block[1:-1])) == recipe
    assert text().split("\n## Recipe\n\n")[1].startswith("```yaml\n")


@pytest.mark.parametrize(
    ("licenses", "told"),
    [
        ({}, None),
        ({"": 9}, None),
        ({"cc0-1.0": 9}, "cc0-1.0"),
        ({"cc0-1.0": 5, "mit": 4}, "other"),
        ({"cc0-1.0": 5, "": 4}, "other"),
    ],
)
def test_the_license_is_that_of_all_seeds_or_other(
    licenses: dict[str, int], told: str | None
) -> None:
    card_text = text(licenses=Counter(licenses))
    assert head(card_text).get("license") == told
    assert all(f"- `{one}`: {rows} rows" in card_text for one, rows in licenses.items() if one)


def test_the_card_says_what_was_asked_and_what_it_cost() -> None:
    history = [stage("read", 0, 95), stage("distill", 1, 90, teacher=MODEL), stage("write", 2, 90)]
    [shard] = history[1].shards
    asked = shard.model_copy(update={"requests": 95, "tokens_in": 9_000, "tokens_out": 18_000})
    history[1] = history[1].model_copy(
        update={"shards": [asked], "settings": {"sampling": {"temperature": 0.7, "top_k": None}}}
    )
    steps = Counter({("distill", "answer", "ab12"): 90})
    told = card("maths", RECIPE, history, Format.MESSAGES, holds(steps=steps))
    assert "| distill | 95 | 9000 | 18000 | 300 | temperature 0.7 |" in told
    assert "| distill | answer | `ab12` | 90 |" in told


def test_the_diversity_of_prompts_and_answers_is_compared_with_the_seeds() -> None:
    seeds = [f"What is the capital of country number {n}, and why?" for n in range(80)]
    sample = [
        {"prompt": [{"role": "user", "content": one}],
         "completion": [{"role": "assistant", "content": f"The answer is {n}. " * 9}]}
        for n, one in enumerate(seeds)
    ]  # fmt: skip
    found = replace(holds(), facts=RowFacts(pa.Table.from_pylist(sample)))
    history = [stage("read", 0, 95), stage("write", 1, 90)]
    told = card("maths", RECIPE, history, Format.PROMPT_COMPLETION, found, seeds)
    measured = dict(
        re.findall(r"^\| (seeds|prompts|answers).*? \| \d+ \| ([\d.]+) ", told, re.MULTILINE)
    )
    assert measured["seeds"] == measured["prompts"]
    assert float(measured["answers"]) > float(measured["seeds"])
    assert "Too little text" in text()


def test_novelty_is_told_where_it_was_measured() -> None:
    dedup = stage("dedup", 1, 97, semantic_duplicate=3)
    novelty = Novelty(texts=30, compared=0.41234, kept=0.5)
    dedup.shards[0] = dedup.shards[0].model_copy(update={"novelty": novelty})
    told = card("maths", RECIPE, [dedup, stage("write", 2, 97)], Format.MESSAGES, holds(97))
    assert "is 0.412 for the rows that came to `dedup`, and 0.500 for those" in told
    assert "NovelSum" not in text()
