"""The `redact` stage: the data goes, the row stays, and its trail says so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import ValidationError

from filters.pii.stage import Redact
from synth.batch import Batch
from synth.engine.account import account
from synth.engine.stage import Place
from synth.kind import Kind
from synth.record import RECORD, new_record, records_table
from tests.filters.rows import assert_whole
from tests.lines import as_given

PLACE = Place(seed=0, kind=Kind.ANSWERS)
DATA = "ann@mail.org"
ROW = new_record(
    prompt=f"Who is {DATA}?",
    text=f"Call 602-272-9781, or write to {DATA}.",
    reference={"answer": DATA, "source": f"<{DATA}>"},
    meta={"from": [DATA], "n": 6022729781, "a": {"b": DATA}},
)
CLEAN = new_record(prompt="Why?", text="Plants need light.", meta={"z": 1, "a": [2.0]})


def redact(recipe: Any, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows behind the stage; nothing may leave."""
    table = records_table(rows)
    outcome = asyncio.run(Redact.model_validate(recipe).apply(table, PLACE))
    account("01-redact/00000", outcome, table)
    assert len(outcome.rejected) == 0
    return as_given(outcome.kept)


def test_no_published_column_keeps_the_data():
    reasoned = {**ROW, "reasoning": f"It is {DATA}", "rejected": DATA}
    [row] = redact({}, reasoned)
    assert row["text"] == "Call [PHONE], or write to [EMAIL]."
    assert row["context"] == [{"role": "user", "content": "Who is [EMAIL]?"}]
    assert (row["reasoning"], row["rejected"]) == ("It is [EMAIL]", "[EMAIL]")
    assert row["reference"] == {"answer": "[EMAIL]", "tests": None, "source": "<[EMAIL]>"}
    assert json.loads(row["meta"])["from"] == ["[EMAIL]"]
    assert DATA not in json.dumps(row)


def test_a_changed_row_is_a_step_further_and_counted():
    [row] = redact({}, ROW)
    assert row["id"] != ROW["id"]
    assert len(row["trail"]) == 2
    step = row["trail"][-1]
    assert (step["stage"], step["operation"]) == ("redact", "email 6, phone 1")
    assert step["parent"] == ROW["id"]
    [score] = row["scores"]
    assert score == {
        "name": "redact",
        "verdict": "keep",
        "value": 7.0,
        "note": "email 6, phone 1",
    }


def test_a_clean_row_stays_as_it_is_and_rows_keep_their_order():
    made = redact({}, CLEAN, ROW, {**CLEAN, "id": "another"})
    assert [row["id"] for row in made][::2] == [CLEAN["id"], "another"]
    for before, row in ((CLEAN, made[0]), (CLEAN, made[2])):
        assert {**row, "id": "", "scores": []} == {**before, "id": ""}
        assert row["scores"][0]["value"] == 0.0


def test_what_the_last_reply_ended_with_is_known_behind_it():
    cut = new_record(prompt="Why?", text=f"Write to {DATA}")
    cut["trail"].append(
        {**cut["trail"][-1], "stage": "distill", "request": "a", "finish_reason": "length"}
    )
    [row] = redact({}, cut)
    assert Batch(records_table([row])).finish_reasons == ["length"]


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (["email"], "Call 602-272-9781, or write to [EMAIL]."),
        ({"kinds": ["phone"], "mask": "<{kind}>"}, f"Call <PHONE>, or write to {DATA}."),
        ({"mask": "***"}, "Call ***, or write to ***."),
    ],
)
def test_the_recipe_says_what_goes_and_what_stands_there(recipe, text):
    assert redact(recipe, ROW)[0]["text"] == text


def test_the_same_row_has_the_same_id_each_time():
    assert redact({}, ROW) == redact({}, ROW)


def test_an_empty_shard_has_an_empty_outcome():
    table = RECORD.empty_table()
    outcome = asyncio.run(Redact().apply(table, PLACE))
    assert_whole(outcome, table)


def test_an_unknown_kind_is_told_with_the_choices():
    with pytest.raises(ValidationError, match="'email', 'phone', 'card'"):
        Redact.model_validate(["mail"])
