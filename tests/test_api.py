"""The Python API: runs, filters and records from Python, as docs/python.md shows them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from filters import apply
from flows import Run, load_recipe, run
from synth import Record
from synth.errors import InputError, NoRowsError, RecipeError
from synth.record import RECORD

ROOT = Path(__file__).parents[1]
GOOD = "Plants turn light into sugar, and they do so in every leaf."


def recipe(teacher: str | None = None, *stages: Any) -> dict[str, Any]:
    """A recipe over `prompts.jsonl` in the working folder."""
    asked = [{"distill": {"samples": 2}}] if teacher else []
    return {
        "name": "mine",
        "teacher": teacher,
        "stages": [{"read": {"prompts": "prompts.jsonl"}}, *stages, *asked, "write"],
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with three prompts."""
    monkeypatch.chdir(tmp_path)
    prompts = ["What is 2 + 2?", "Why?", "Name a city in Spain."]
    lines = (json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    return tmp_path


def test_a_run_has_its_rows_its_rejects_and_its_funnel(here: Path, teacher_url: str) -> None:
    done = run(recipe(teacher_url, {"quality": [{"length": {"min_words": 2}}]}))
    assert done.folder == Path("outputs/mine")
    assert (done.release / "README.md").is_file()
    rows = list(done.rows())
    assert [row["messages"][0]["content"] for row in rows] == [
        *["What is 2 + 2?"] * 2,
        *["Name a city in Spain."] * 2,
    ]
    [left] = done.rejected()
    assert (left["stage"], left["reason"], left["by"]) == ("01-quality", "too_few_words", "length")
    assert left["context"] == [{"role": "user", "content": "Why?"}]
    assert [row["stage"] for row in done.funnel] == [
        "00-read",
        "01-quality",
        "02-distill",
        "03-write",
    ]
    assert done.funnel[1] == {
        "stage": "01-quality",
        "in": 3,
        "made": 0,
        "kept": 2,
        "rejected": 1,
        "reasons": {"too_few_words": 1},
    }
    assert list(Run("outputs/mine").rows()) == rows


def test_a_shipped_recipe_runs_by_name_with_settings_over_it(here: Path, teacher_url: str) -> None:
    settings = ["shard_rows=2", "stages.distill.samples=1"]
    done = run(
        "distill-answers", teacher=teacher_url, limit=3, out=here / "out", overrides=settings
    )
    assert done.folder == here / "out"
    assert done.funnel[0]["kept"] == 3
    plan = load_recipe("distill-answers", teacher=teacher_url, limit=3)
    assert plan.name == "distill-answers"


def test_a_finished_run_is_not_run_again(
    here: Path, teacher_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = recipe(teacher_url)
    first = list(run(given).rows())
    capsys.readouterr()
    assert list(run(given).rows()) == first
    assert capsys.readouterr().err.count("already finished") == 3
    assert given == recipe(teacher_url)


def test_it_runs_inside_an_event_loop(here: Path, teacher_url: str) -> None:
    async def notebook() -> Run:
        return run(recipe(teacher_url))

    assert len(list(asyncio.run(notebook()).rows())) == 6


WITHOUT_PREFECT = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "prefect":
            raise ImportError("no prefect here")

sys.meta_path.insert(0, Missing())
from flows import run

done = run({"name": "mine", "stages": [{"read": {"prompts": "prompts.jsonl"}}, "write"]})
print(len(list(done.rows())))
"""


def test_it_runs_without_prefect(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PREFECT],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "3\n"


def test_mistakes_raise_what_the_command_line_prints(here: Path) -> None:
    with pytest.raises(RecipeError, match="unknown stage 'distil'"):
        run(recipe(None, "distil"))
    with pytest.raises(NoRowsError, match="too_few_words 3"):
        run(recipe(None, {"quality": [{"length": {"min_words": 50}}]}))
    unfinished = Run("outputs/mine")
    assert len(list(unfinished.rejected())) == 3
    with pytest.raises(InputError, match="has no release yet"):
        next(unfinished.rows())
    with pytest.raises(InputError, match="run folder nowhere does not exist"):
        Run("nowhere")


def test_filters_keep_and_reject_rows_with_the_columns_of_the_input() -> None:
    rows = [
        {"body": GOOD, "n": 1},
        {"body": "I'm sorry, but I can't help with that.", "n": 2},
        {"body": None, "n": 3},
        {"body": "Too few.", "n": 4},
    ]
    wanted = ["refusal", {"length": {"min_words": 5}}]
    for given in (rows, pa.Table.from_pylist(rows)):
        kept, rejected = apply(given, wanted)
        assert kept.drop_columns("scores").to_pylist() == rows[:1]
        assert [score["name"] for score in kept["scores"][0].as_py()] == ["refusal", "length"]
        assert rejected.select(["n", "reason", "by"]).to_pylist() == [
            {"n": 2, "reason": "refusal", "by": "refusal"},
            {"n": 3, "reason": "missing_column", "by": "read"},
            {"n": 4, "reason": "too_few_words", "by": "length"},
        ]
    again, _ = apply(rejected, ["refusal"])
    assert again["n"].to_pylist() == [4]


def test_filters_judge_answers_chats_and_named_columns() -> None:
    answers = [
        {"question": "Why?", "reply": "I must decline."},
        {"question": "Why?", "reply": "So."},
    ]
    kept, _ = apply(answers, ["refusal"], columns={"response": "reply"})
    assert kept["reply"].to_pylist() == ["So."]
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "I must decline."},
    ]
    _, rejected = apply([{"messages": turns}], ["refusal"])
    assert rejected["reason"].to_pylist() == ["refusal"]


@pytest.mark.parametrize("rows", [[], pa.table({"text": pa.array([], pa.string())})])
def test_no_rows_are_no_error(rows: Any) -> None:
    kept, rejected = apply(rows, ["length"])
    assert (len(kept), len(rejected)) == (0, 0)


@pytest.mark.parametrize(
    ("filters", "columns", "told"),
    [
        (["lenght"], {}, "unknown filter 'lenght'"),
        ([{"length": {"min_word": 3}}], {}, r"length\.min_word: "),
        (["length"], {"text": "page"}, "no column 'page'; the columns are body"),
        (["length"], {"txt": "body"}, "'txt' is not a role"),
    ],
)
def test_a_wrong_filter_or_column_is_named(
    filters: list[Any], columns: dict[str, str], told: str
) -> None:
    with pytest.raises((RecipeError, InputError), match=told):
        apply([{"body": GOOD}], filters, columns=columns)


def test_a_record_is_a_row_of_the_pipeline() -> None:
    same = Record(prompt="What is 6 * 7?", text="42", answer="42", meta={"n": 1})
    table = Record.table([same, same, Record(text=GOOD)])
    assert table.schema == RECORD
    assert len(set(table["id"].to_pylist())) == 3
    first = table.to_pylist()[0]
    assert (first["text"], first["reference"]["answer"]) == ("42", "42")
    kept, rejected = apply([same, Record(prompt="Why?", text="I must decline.")], ["refusal"])
    assert kept["id"].to_pylist() == [table["id"][0].as_py()]
    assert rejected["reason"].to_pylist() == ["refusal"]


@pytest.mark.parametrize("package", ["synth", "filters", "seeds", "flows"])
def test_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
