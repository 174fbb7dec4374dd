"""`${NAME}` in a recipe: replaced from the environment, recorded, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.recipe_file import load_recipe
from seeds.read import Read
from synth.errors import RecipeError


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Loads a recipe whose `read` stage has this value for `prompts`."""
    (tmp_path / "a.jsonl").write_text('{"prompt": "x"}\n')
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("ROWS", "7")
    monkeypatch.setenv("MY_API_KEY", "hidden")
    monkeypatch.setenv("NOTHING", "")
    monkeypatch.delenv("DTA", raising=False)

    def load(place: str, rows: str = "9"):
        path = tmp_path / "mine.yaml"
        path.write_text(
            f"name: mine\nstages:\n  - read:\n      prompts: {place}\n      limit: {rows}\n"
            "  - write: {}\n"
        )
        return load_recipe(path)

    return load


def test_a_variable_is_replaced_and_its_value_is_a_setting(recipe, tmp_path):
    plan = recipe("${DATA}/a.jsonl", "${ROWS}")
    read = plan.stages[0]
    assert isinstance(read, Read)
    assert read.files() == [tmp_path / "a.jsonl"]
    settings = read.model_dump(mode="json")
    assert (settings["prompts"], settings["limit"]) == ([f"{tmp_path}/a.jsonl"], 7)


def test_the_card_shows_the_recipe_as_it_was_written(recipe):
    assert recipe("${DATA}/a.jsonl").recipe["stages"][0]["read"]["prompts"] == "${DATA}/a.jsonl"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("${DTA}/a.jsonl", r"mine\.yaml, line 4: the environment variable DTA is not set; did you"),
        ("${NOTHING}/a.jsonl", r"line 4: the environment variable NOTHING is empty"),
        ("${MY_API_KEY}/a.jsonl", r"line 4: \$\{MY_API_KEY\} may be a secret"),
        ("${hf_token}", r"\$\{hf_token\} may be a secret"),
        ("${AWS_SECRET_ACCESS}", "may be a secret"),
        ("${PGPASSWORD}", "may be a secret"),
    ],
)
def test_what_is_unset_or_secret_is_refused_with_its_line(recipe, place, message):
    with pytest.raises(RecipeError, match=message) as caught:
        recipe(place)
    assert "hidden" not in str(caught.value)


def test_a_second_dollar_makes_it_plain_text(recipe, tmp_path):
    (tmp_path / "${DATA}.jsonl").write_text('{"prompt": "x"}\n')
    read = recipe("$${DATA}.jsonl").stages[0]
    assert isinstance(read, Read)
    assert read.files() == [Path(tmp_path, "${DATA}.jsonl")]
