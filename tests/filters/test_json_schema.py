"""`json_schema`: gold, near miss, malformed, hostile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from filters.verify.json_schema import JsonSchema
from synth.batch import Batch
from tests.filters.rows import HOSTILE, answers
from tests.limits import cpu_within

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["city"],
    "additionalProperties": False,
}


def verdict(text: str) -> tuple[str, str]:
    [check] = JsonSchema(against=CITY).check(Batch(answers([("Where?", text)])))
    return check.verdict.value, check.note


@pytest.mark.parametrize(
    "text", ['{"city": "Oslo"}', ' {"people": 7,\n"city": ""} ', '```json\n{"city": "Rome"}\n```']
)
def test_json_that_follows_it_passes(text: str) -> None:
    assert verdict(text) == ("pass", "follows the schema")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "'city' is a required property"),
        ('{"city": 3}', "at city: 3 is not of type 'string'"),
        ('{"city": "a", "people": -1}', "at people: -1 is less than the minimum of 0"),
        ('{"city": "a", "river": "b"}', "Additional properties are not allowed"),
        ('Here: {"city": "a"}', "no valid JSON"),
        ('{"city": "a"', "no valid JSON"),
        ('{"city": NaN}', "no valid JSON"),
        ("", "no valid JSON"),
    ],
)
def test_what_breaks_it_fails_with_the_place(text: str, told: str) -> None:
    found, note = verdict(text)
    assert found == "fail"
    assert told in note


def test_hostile_texts_are_bounded_and_never_pass() -> None:
    texts = [*HOSTILE, "[" * 100_000, '{"city":' * 50_000]
    with cpu_within(5):
        assert "pass" not in {verdict(text)[0] for text in texts}


def test_a_schema_may_be_a_file_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "city.json"
    path.write_text(json.dumps(CITY))
    assert JsonSchema.model_validate({"against": str(path)}).against == CITY
    with pytest.raises(ValidationError, match="not a JSON schema"):
        JsonSchema(against={"type": "objekt"})
    with pytest.raises(ValidationError, match="is not a JSON schema"):
        JsonSchema(against=tmp_path / "none.json")
