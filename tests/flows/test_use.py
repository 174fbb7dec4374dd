"""`use:` loads the user's own stages, filters and verifiers into a recipe."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from filters.entry import plain_rows
from filters.quality.stage import Quality
from filters.verify.stage import Verify
from flows.recipe import StageEntry, line_of
from flows.recipe_file import load_recipe
from synth.batch import Batch
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Place
from synth.errors import InputError, RecipeError
from synth.kind import Kind
from synth.record import new_record, records_table
from synth.store.manifest import Manifest

STAGES = """
import pyarrow as pa
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import REJECT, with_texts


class Shout(ShardStage):
    name = "shout"
    takes = frozenset({Kind.DOCUMENTS})
    mark: str = "!"

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        loud = [text.upper() + self.mark for text in table["text"].to_pylist()]
        return Outcome(with_texts(table, loud, stage=self.name), REJECT.empty_table())


class Nameless(Shout):
    name = "Dis till"


class Taken(Shout):
    name = "distill"


class Anywhere(ShardStage):
    name = "anywhere"

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        return Outcome(table, REJECT.empty_table())


class Waiting(Shout):
    name = "waiting"

    def apply(self, table: pa.Table, place: Place) -> Outcome:
        return Outcome(table, REJECT.empty_table())


class Unfinished(ShardStage):
    name = "unfinished"
    takes = frozenset({Kind.DOCUMENTS})


def short(row, most=12):
    return len(row["text"]) <= most, "too_long"


def refusal(row):
    return True


def broken(row):
    return row["txt"]


def calm(row):
    return not row["text"].isupper()


def right(row):
    return row["text"].endswith(row["reference"]["answer"] or "?"), "compared the ends"


def exact(row):
    if not row["text"]:
        return "unverified", "empty"
    return "not_applicable" if row["text"] == "?" else row["text"] == "5"


def odd(row):
    return "yes"


def no_row():
    return True


NOTHING = 3
"""
RECIPE = """\
name: mine
stages:
  - read: {web: pages.jsonl}
  - use: my_use.parts:Shout
    with: {mark: "?"}
  - quality: [{use: "my_use.parts:short"}]
  - write: {}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_use").mkdir()
    (tmp_path / "my_use/parts.py").write_text(STAGES)
    (tmp_path / "my_use/faulty.py").write_text("import json\n{}['x']\n")
    (tmp_path / "my_use/slip.py").write_text("def f(:\n")
    (tmp_path / "my_use/needy.py").write_text("import nowhere_at_all\n")
    (tmp_path / "pages.jsonl").write_text('{"text": "Small lakes."}\n{"text": "A lake."}\n')
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    for name in ("my_use.parts", "my_use"):
        sys.modules.pop(name, None)


def run(recipe: Path, folder: Path) -> list[Manifest]:
    async def work() -> list[Manifest]:
        async with open_runner(load_recipe(str(recipe)), folder) as runner:
            return await run_stages(runner)

    return asyncio.run(work())


def test_your_own_stage_and_function_run_in_a_recipe(recipe: Path, tmp_path: Path) -> None:
    manifests = run(recipe, tmp_path / "run")
    assert [manifest.stage for manifest in manifests] == ["read", "shout", "quality", "write"]
    release = pq.read_table(tmp_path / "run/release/data").to_pylist()
    assert [row["text"] for row in release] == ["A LAKE.?"]
    assert manifests[2].reasons == {"too_long": 1}


def test_an_edited_source_file_runs_its_stage_again(recipe: Path, tmp_path: Path) -> None:
    before = [one.fingerprint for one in run(recipe, tmp_path / "run")]
    assert [one.fingerprint for one in run(recipe, tmp_path / "run")] == before
    (tmp_path / "my_use/parts.py").write_text(f"{STAGES}\n# edited\n")
    importlib.reload(sys.modules["my_use.parts"])
    after = [one.fingerprint for one in run(recipe, tmp_path / "run")]
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same == [True, False, False, True]  # the rows came out as before, and so did the release


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("use: nowhere", "use 'nowhere': write it as 'package.module:name'"),
        (
            "use: my_use.nothing:Shout",
            "use 'my_use.nothing:Shout': importing my_use.nothing failed",
        ),
        (
            "use: my_use.parts:Shuot",
            "no Shuot in my_use.parts; known: Anywhere, Nameless, Shout,",
        ),
        (
            "use: my_use.parts:short",
            "short is not a stage class, such as a ShardStage (filters go into `quality`",
        ),
        ("use: my_use.faulty:Shout", "my_use.faulty failed: KeyError: 'x' (/"),
        ("use: my_use.faulty:Shout", "/my_use/faulty.py, line 2)"),
        (
            "use: my_use.slip:Shout",
            "my_use.slip failed: SyntaxError: invalid syntax (slip.py, line 1)",
        ),
        ("use: my_use.needy:Shout", "ModuleNotFoundError: No module named 'nowhere_at_all' (/"),
        (
            "quality: {use: my_use.parts:short}",
            "`quality` takes a list: write `quality: [{use: …}]`",
        ),
        ("quality: {length: {min_words: 3}}", "write `quality: [{length: …}]`"),
        ("verify: {maths: {}}", "`verify` takes a list: write `verify: [{maths: …}]`"),
        ("quality: [my_use.parts:short]", "write it as {use: 'my_use.parts:short'}"),
        ("use: my_use.parts:Unfinished", "Unfinished is not a stage class"),
        ("use: my_use.parts:Nameless", "the stage's `name` is 'Dis till'"),
        ("use: my_use.parts:Taken", "the stage's `name` is 'distill', expected a lowercase word"),
        ("use: my_use.parts:Anywhere", "the stage has no `takes`"),
        ("use: my_use.parts:Waiting", "its `apply` must be `async def apply(self, table, place)`"),
        ("quality: [{use: my_use.parts:refusal}]", "'refusal' is that of a built-in filter"),
        ("{use: my_use.parts:Shout, with: {loud: 1}}", "unknown setting 'loud'; known: mark"),
        ("with: {mark: a}", "unknown stage 'with'"),
        ("quality: [{use: my_use.parts:NOTHING}]", "NOTHING is not a class or a function"),
        ("quality: [{use: my_use.parts:no_row}]", "is called as no_row(row, **with), but"),
        ("quality: [{use: my_use.parts:short, with: {least: 1}}]", "unexpected keyword"),
    ],
)
def test_a_wrong_use_names_value_place_and_choices(recipe: Path, line: str, message: str) -> None:
    stages = RECIPE.replace('use: my_use.parts:Shout\n    with: {mark: "?"}', line)
    recipe.write_text(stages)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(recipe))
    assert str(caught.value).startswith("mine.yaml, line 4: ")
    assert message in str(caught.value)


def outcome(stage: Any, *texts: str) -> Any:
    rows = [new_record(prompt="2 + 3?", text=text, reference={"answer": "5"}) for text in texts]
    return asyncio.run(stage.apply(records_table(rows), Place(0, Kind.ANSWERS)))


def test_a_function_that_says_false_rejects_the_row(recipe: Path) -> None:
    filters = [{"use": "my_use.parts:calm"}, {"use": "my_use.parts:short", "with": {"most": 4}}]
    found = outcome(Quality.model_validate(filters), "WHY", "Why", "Why not")
    assert found.kept["text"].to_pylist() == ["Why"]
    rejected = found.rejected.to_pylist()
    assert [(row["reason"], row["by"]) for row in rejected] == [
        ("not_calm", "calm"),
        ("too_long", "short"),
    ]


def test_a_function_as_verifier_passes_or_fails(recipe: Path) -> None:
    stage = Verify.model_validate([{"use": "my_use.parts:right"}])
    found = outcome(stage, "It is 5", "It is 6")
    assert found.kept["text"].to_pylist() == ["It is 5"]
    [rejected] = found.rejected.to_pylist()
    assert (rejected["reason"], rejected["by"]) == ("answer_wrong", "right")
    assert rejected["scores"][0]["note"] == "compared the ends"


def test_a_function_as_verifier_may_name_its_verdict(recipe: Path) -> None:
    found = outcome(Verify.model_validate([{"use": "my_use.parts:exact"}]), "5", "", "?", "6")
    assert found.kept["text"].to_pylist() == ["5", "", "?"]
    scores = [row["scores"][0] for row in found.kept.to_pylist()]
    assert [one["verdict"] for one in scores] == ["pass", "unverified", "not_applicable"]
    assert [one["value"] for one in scores] == [1.0, None, None]
    assert scores[1]["note"] == "empty"


def test_a_function_as_filter_has_no_verdicts(recipe: Path) -> None:
    stage = Quality.model_validate([{"use": "my_use.parts:exact"}])
    with pytest.raises(
        InputError, match=r"gave 'not_applicable' for row \w+; expected True, False"
    ):
        outcome(stage, "?")


@pytest.mark.parametrize("kind", [Quality, Verify])
def test_another_answer_than_true_or_false_is_named(recipe: Path, kind: Any) -> None:
    stage = kind.model_validate([{"use": "my_use.parts:odd"}])
    with pytest.raises(InputError, match=r"parts:odd gave 'yes' for row \w+; expected True"):
        outcome(stage, "It is 5")


def test_an_error_in_your_function_names_row_file_and_line(recipe: Path) -> None:
    stage = Quality.model_validate([{"use": "my_use.parts:broken"}])
    words = r"parts:broken failed for row \w+: KeyError: 'txt' \(.*parts\.py, line \d+\)"
    with pytest.raises(InputError, match=words):
        outcome(stage, "It is 5")


def test_every_stage_of_a_plan_can_be_written_as_a_line_and_read_again(recipe: Path) -> None:
    stages = load_recipe(str(recipe)).stages
    lines = json.loads(json.dumps([line_of(stage) for stage in stages]))
    assert [next(iter(line)) for line in lines] == ["read", "use", "quality", "write"]
    assert [StageEntry.model_validate(line).stage for line in lines] == list(stages)


def test_a_stage_with_a_function_can_be_written_out_and_read_again(recipe: Path) -> None:
    stage = Quality.model_validate([{"use": "my_use.parts:short", "with": {"most": 4}}])
    assert Quality.model_validate(stage.model_dump(mode="json")) == stage


def test_a_function_gets_the_row_as_plain_values() -> None:
    turns = [{"role": "system", "content": "Be brief."}]
    row = new_record(context=turns, prompt="Why?", text="So.", meta={"lang": "en"})
    row["scores"] = [{"name": "judge", "verdict": "keep", "value": 4.0, "note": ""}]
    [plain] = plain_rows(Batch(records_table([row])))
    assert plain == {
        "id": row["id"],
        "prompt": "Why?",
        "context": [*turns, {"role": "user", "content": "Why?"}],
        "text": "So.",
        "reasoning": None,
        "tool_calls": [],
        "rejected": None,
        "reference": {"answer": None, "tests": None, "source": None},
        "meta": {"lang": "en"},
        "scores": {"judge": 4.0},
    }
    [page] = plain_rows(Batch(records_table([new_record(text="A lake.")])))
    assert (page["prompt"], page["text"], page["context"]) == ("", "A lake.", [])
