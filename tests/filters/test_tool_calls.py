"""An answer that calls a tool is a call, not prose: filters of prose keep it, others read it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from filters.pii.stage import Redact
from filters.quality.stage import Quality
from filters.trim import Trim
from filters.verify.stage import Verify
from synth.batch import Batch
from synth.engine.stage import Outcome, Place
from synth.kind import Kind
from synth.model import Model
from synth.record import new_record, records_table
from synth.verdicts import Verdicts
from tests.filters.rows import assert_whole
from tests.filters.test_dedup import dedup

PLACE = Place(seed=0, kind=Kind.ANSWERS)


def row(number: int, text: str = "", **arguments: Any) -> dict[str, Any]:
    """An answer; one that calls a tool if there are arguments for it."""
    function = {"name": "mail", "arguments": json.dumps(arguments)}
    call = {"id": "call_1", "type": "function", "function": function}
    return new_record(
        prompt=f"Question {number}?",
        text=text,
        tool_calls=[call] if arguments else None,  # type: ignore[list-item]  # a literal is no TypedDict
        reference={"answer": "5"},
    )


def apply(stage: Any, *rows: dict[str, Any]) -> Outcome:
    table = records_table(rows)
    outcome: Outcome = asyncio.run(stage.apply(table, PLACE))
    assert_whole(outcome, table) if stage.name in ("quality", "verify") else None
    return outcome


class NoMail(Model):
    """A filter of a user's own."""

    name: ClassVar[str] = "no_mail"

    def judge(self, batch: Batch) -> Verdicts:
        found = ['"name": "mail"' in text for text in batch.texts]
        return Verdicts(["mails" if one else None for one in found], [float(one) for one in found])


def test_quality_filters_keep_a_call_and_measure_nothing() -> None:
    quality = Quality.model_validate([{"length": {"min_words": 5}}, "truncation"])
    outcome = apply(quality, row(0, to="Ann"), row(1, "No."))
    assert outcome.rejected["reason"].to_pylist() == ["too_few_words"]
    [kept] = outcome.kept.to_pylist()
    assert {(one["value"], one["note"]) for one in kept["scores"]} == {(None, "calls a tool")}


def test_a_filter_of_ones_own_judges_the_call() -> None:
    quality = Quality.model_validate([{"use": f"{__name__}:NoMail"}])
    outcome = apply(quality, row(0, "I write.", to="Ann"), row(1, "Nobody."))
    assert outcome.rejected["reason"].to_pylist() == ["mails"]


def test_a_call_is_not_the_answer_that_gold_decides() -> None:
    outcome = apply(Verify.model_validate(["maths"]), row(0, "A: 6", to="Ann"), row(1, "A: 6"))
    assert outcome.rejected["reason"].to_pylist() == ["answer_wrong"]
    assert outcome.kept["scores"].to_pylist()[0][0]["verdict"] == "not_applicable"


def test_other_calls_after_the_same_words_are_no_duplicates(tmp_path: Path) -> None:
    rows = [row(0, "Done.", to="Ann"), row(1, "Done.", to="Bob"), row(2, "Done.", to="Ann")]
    outcome = dedup(records_table(rows), tmp_path, {"exact": {}}, kind=Kind.ANSWERS)
    assert outcome.kept["id"].to_pylist() == [one["id"] for one in rows[:2]]


def test_arguments_are_redacted() -> None:
    [kept] = apply(Redact(), row(0, to="ann@example.org")).kept.to_pylist()
    assert kept["tool_calls"][0]["function"]["arguments"] == '{"to": "[EMAIL]"}'


def test_words_before_a_call_are_not_trimmed() -> None:
    said = "Certainly! Here is the mail:\n\nI hope this helps!"
    table: pa.Table = apply(Trim(), row(0, said, to="Ann")).kept
    assert table["text"].to_pylist() == [said]
