"""The `quality` stage and how its recipe is read."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from filters.quality.stage import Quality
from synth.batch import Batch
from synth.engine.stage import Place
from synth.kind import Kind
from synth.model import Model
from synth.record import RECORD, new_record, records_table
from synth.verdicts import Verdicts
from tests.filters.rows import answers, assert_whole

PLACE = Place(seed=0, kind=Kind.ANSWERS)


class Shouting(Model):
    """A filter of a user's own."""

    name: ClassVar[str] = "shouting"
    max_share: float = 0.5

    def judge(self, batch: Batch) -> Verdicts:
        shares = [sum(map(str.isupper, text)) / (len(text) or 1) for text in batch.texts]
        return Verdicts(["too_loud" if s > self.max_share else None for s in shares], shares)


class Half:
    """Not a filter: it has no `judge`."""

    name = "half"


class Nameless:
    """Not a filter either: its scores would have no name."""

    def judge(self, batch: Batch) -> Verdicts:
        return Verdicts([], [])


OWN = f"{__name__}:Shouting"


def apply(recipe: Any, pairs: list[tuple[str, str]]) -> Any:
    """The stage's outcome for these answers."""
    table = answers(pairs)
    outcome = asyncio.run(Quality.model_validate(recipe).apply(table, PLACE))
    assert_whole(outcome, table)
    return outcome


def test_the_first_reason_in_recipe_order_decides_and_every_score_is_kept():
    outcome = apply(
        ["chat_tokens", {"length": {"min_words": 3}}],
        [
            ("a", "Plants need light.<|im_end|>"),
            ("b", "No."),
            ("c", "Plants need light."),
            ("d", ""),
        ],
    )
    [kept] = outcome.kept.to_pylist()
    assert kept["text"] == "Plants need light."
    assert [(s["name"], s["verdict"], s["value"]) for s in kept["scores"]] == [
        ("chat_tokens", "keep", 0.0),
        ("length", "keep", 3.0),
    ]
    rejected = outcome.rejected.to_pylist()
    assert [(r["reason"], r["by"], r["score"]) for r in rejected] == [
        ("chat_tokens", "chat_tokens", 1.0),
        ("too_few_words", "length", 1.0),
        ("empty_text", "length", 0.0),
    ]
    assert [s["verdict"] for s in rejected[0]["scores"]] == ["drop", "keep"]
    assert rejected[1]["scores"][1]["note"] == "too_few_words"


def test_scores_are_added_behind_those_that_were_there():
    first = apply(["length"], [("a", "Plants need light.")]).kept
    second = asyncio.run(Quality(filters=["refusal"]).apply(first, PLACE)).kept
    assert [s["name"] for s in second.to_pylist()[0]["scores"]] == ["length", "refusal"]


def test_prompts_are_judged_by_the_last_user_turn():
    place = Place(seed=0, kind=Kind.PROMPTS)
    table = answers([("Why?", "a text that is long enough")])
    outcome = asyncio.run(Quality.model_validate(["length"]).apply(table, place))
    assert outcome.rejected["reason"].to_pylist() == ["too_few_words"]


def test_an_empty_shard_has_an_empty_outcome():
    outcome = asyncio.run(Quality.model_validate(["length"]).apply(RECORD.empty_table(), PLACE))
    assert (len(outcome.kept), len(outcome.rejected)) == (0, 0)
    assert len(records_table([])) == 0


@pytest.mark.parametrize(
    "item",
    ["length", {"length": None}, {"length": {}}, {"length": {"max_words": 100_000}}],
)
def test_a_bare_name_takes_the_defaults(item):
    assert Quality.model_validate([item]) == Quality.model_validate({"filters": ["length"]})


def test_a_class_of_ones_own_is_used_by_import_path():
    stage = [{"use": OWN, "with": {"max_share": 0.8}}]
    outcome = apply(stage, [("a", "WHY NOT"), ("b", "Why not")])
    assert outcome.rejected["reason"].to_pylist() == ["too_loud"]
    identity = Quality.model_validate(stage).identity()
    assert isinstance(identity, dict)
    assert list(identity) == [OWN]


@pytest.mark.parametrize("recipe", [["refusal", {"use": OWN}], [{"repetition": {"min_words": 9}}]])
def test_what_is_dumped_can_be_read_again_and_holds_only_what_was_given(recipe):
    stage = Quality.model_validate(recipe)
    dumped = json.loads(json.dumps(stage.model_dump(mode="json")))
    assert Quality.model_validate(dumped) == stage
    assert all(len(set(entry) - {"with"}) == 1 for entry in dumped["filters"])


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (["refusla"], r"unknown filter 'refusla'; did you mean 'refusal'\? known: arithmetic, "),
        ([{"length": {"min_wrods": 1}}], "min_wrods"),
        ([{"length": {}, "refusal": {}}], "one filter an item"),
        ([{}], "one filter an item"),
        ([{"with": {}, "length": {}}], "there is no `use` here"),
        ([], "at least 1 item"),
        ([{"use": "nowhere"}], "package.module:name"),
        ([{"use": "no_such_module:A"}], "importing no_such_module failed"),
        ([{"use": f"{__name__}:Nothing"}], "no Nothing in "),
        ([{"use": OWN, "with": {"loud": 1}}], "loud"),
        ([{"use": f"{__name__}:Nameless"}], "a filter is a class with a `name`"),
        ([{"use": f"{__name__}:Half"}], r"class with a `name` and a method `judge\(batch\)`"),
    ],
)
def test_a_wrong_recipe_names_the_mistake_and_the_choices(recipe, message):
    with pytest.raises(ValidationError, match=message):
        Quality.model_validate(recipe)


def test_a_filter_that_forgets_rows_is_named():
    class Forgetful(Shouting):
        def judge(self, batch: Batch) -> Verdicts:
            return Verdicts([], [])

    globals()["Forgetful"] = Forgetful
    with pytest.raises(ValueError, match="'shouting' gave 0 verdicts for 1 rows"):
        apply([{"use": f"{__name__}:Forgetful"}], [("a", "b")])


def test_a_filter_that_gives_no_verdicts_is_named():
    class Listing(Shouting):
        def judge(self, batch: Batch) -> Any:
            return [None] * len(batch)

    globals()["Listing"] = Listing
    with pytest.raises(TypeError, match=r"'shouting' gave a list; expected Verdicts\("):
        apply([{"use": f"{__name__}:Listing"}], [("a", "b")])


def test_the_schema_offers_names_and_the_list():
    schema = json.dumps(Quality.model_json_schema())
    assert '"enum": ["arithmetic", "boilerplate", "c4"' in schema
    assert '"min_words"' in schema


def test_rows_that_an_earlier_stage_calls_good_are_spared() -> None:
    rows = [new_record(text="Short.", source=f"f#{n}") for n in range(4)]
    for row, value in zip(rows, (5.0, 3.0, None, None), strict=True):
        name = "judge" if value or row is rows[2] else "other"
        row["scores"] = [{"name": name, "verdict": "keep", "value": value, "note": ""}]
    stage = Quality.model_validate({"filters": ["length"], "spare": {"judge": 4}})
    outcome = stage.decide(records_table(rows), Place(7, Kind.DOCUMENTS))
    assert outcome.kept["id"].to_pylist() == [rows[0]["id"]]
    assert [one["name"] for one in outcome.kept["scores"][0].as_py()] == ["judge", "length"]
    assert len(outcome.rejected) == 3
