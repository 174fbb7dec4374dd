"""The settings of `read`, and that validating them is cheap."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from seeds.read import Read
from synth.errors import InputError
from synth.kind import Kind

ROOT = Path(__file__).parents[2]


def test_prompts_make_prompts_and_web_makes_documents():
    assert Read(prompts="a.jsonl").makes(Kind.NOTHING) is Kind.PROMPTS
    assert Read(web="a.jsonl").makes(Kind.NOTHING) is Kind.DOCUMENTS


def test_one_path_and_a_list_of_paths_are_both_recipes():
    assert Read(prompts="a.jsonl").prompts == (Path("a.jsonl"),)
    assert Read(prompts=["a.jsonl", "b.csv"]).prompts == (Path("a.jsonl"), Path("b.csv"))


@pytest.mark.parametrize(
    "fields",
    [{}, {"prompts": []}, {"prompts": "a.jsonl", "web": "b.md"}, {"web": "a", "answers": "b"}],
)
def test_exactly_one_of_prompts_web_and_answers_is_given(fields):
    with pytest.raises(ValidationError, match="exactly one of `prompts`, `web` or `answers`"):
        Read(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompts": "a", "columns": {"text": "body"}}, "known: answer, entry_point, mess"),
        ({"web": "a", "columns": {"prompt": "body"}}, "known: text, title, url"),
        ({"web": "a", "columns": {"body": "text"}}, "write the role first: `text: body`"),
        ({"web": "a", "format": "text", "columns": {"text": "body"}}, "plain text has no columns"),
        (
            {"web": "a", "format": "xml"},
            "'jsonl', 'parquet', 'csv', 'text', 'arrow', 'html', 'warc' or 'json'",
        ),
        ({"web": "a", "limit": 0}, "greater than or equal to 1"),
        ({"web": "a", "limits": 5}, "limits"),
    ],
)
def test_wrong_field_is_reported_with_the_choices(fields, message):
    with pytest.raises(ValidationError, match=message):
        Read(**fields)


def test_editor_accepts_a_path_a_dataset_and_a_list_of_them():
    schema = Read.model_json_schema()["properties"]["prompts"]
    assert [choice["type"] for choice in schema["anyOf"]] == ["string", "object", "array"]


def test_files_names_every_file_in_reading_order(write, tmp_path):
    write("pages/b.md", "b")
    write("pages/a/z.md", "z")
    one = write("one.md", "1")
    names = [
        path.relative_to(tmp_path).as_posix()
        for path in Read(web=[tmp_path / "pages", one]).files()
    ]
    assert names == ["pages/a/z.md", "pages/b.md", "one.md"]


def test_files_raises_for_a_missing_path(tmp_path):
    with pytest.raises(InputError, match=r"gone\.jsonl does not exist"):
        Read(prompts=tmp_path / "gone.jsonl").files()
