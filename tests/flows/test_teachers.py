"""Several teachers in one recipe: each stage asks the one that it names."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.plan_file import load_plan, save_plan
from flows.recipe_file import load_recipe
from synth.engine.needs import needs
from synth.engine.progress import Progress
from synth.engine.run import finished_run, open_runner, run_stages
from synth.errors import BudgetSpentError, RecipeError
from synth.store.manifest import Manifest
from synth.teacher.protocol import Identity, Need
from tests.fake_teacher import FakeTeacher, rule, served
from tests.lines import rows, shard_bytes

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: two
shard_rows: 4
teacher: {large}
teachers:
  small: {small}
stages:
  - read: {{prompts: {prompts}}}
  - evolve: {{teacher: small}}
  - distill
  - judge: {{teacher: small}}
  - write
"""


class Notes(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def small() -> Iterator[FakeTeacher]:
    with served(FakeTeacher("small-model", "small-model", script=rule)) as teacher:
        yield teacher


@pytest.fixture
def large() -> Iterator[FakeTeacher]:
    with served(FakeTeacher("large-model", "large-model", script=rule)) as teacher:
        yield teacher


def recipe(folder: Path, small: str, large: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "Why is {n} even?"}}\n' for n in range(0, 20, 2)))
    path = folder / "two.yaml"
    path.write_text(RECIPE.format(small=small, large=large, prompts=prompts) + more)
    return path


def run(path: Path, **options: str) -> tuple[Sequence[Manifest], list[str]]:
    """Runs the recipe in `run` beside it, and returns its manifests and what was said."""
    notes = Notes()

    async def work() -> Sequence[Manifest]:
        plan = load_recipe(path, **options)  # type: ignore[arg-type]  # the options of some tests
        async with open_runner(plan, path.parent / "run", notes) as runner:
            return await run_stages(runner)

    return asyncio.run(work()), notes.said


def asked(teacher: FakeTeacher) -> Counter[str]:
    """The stages that asked, by the beginning of their prompts."""
    found = Counter(
        str(body["messages"][0]["content"]).partition("\n")[0].partition(" a")[0]
        for body in teacher.log.asked
    )
    teacher.log.asked.clear()
    return found


def test_each_stage_asks_its_teacher_and_says_so(
    tmp_path: Path, small: FakeTeacher, large: FakeTeacher
) -> None:
    path = recipe(tmp_path, small.url, large.url)
    manifests, said = run(path)
    models = [one.teacher and one.teacher.model for one in manifests]
    assert models[:4] == [None, "small-model", "large-model", "small-model"]
    assert {body["model"] for body in small.bodies} == {"small-model"}
    assert {body["model"] for body in large.bodies} == {"large-model"}
    for row in rows(tmp_path / "run", "03-judge/kept/*.parquet"):
        made = {step["stage"]: step["model"] for step in row["trail"] if step["request"]}
        assert made.pop("distill") == "large-model"
        assert set(made.values()) <= {"small-model"}
    card = (tmp_path / "run/release/README.md").read_text()
    assert "Teachers: `small-model` (server 0.12.0) in `evolve`, `judge`; " in card
    assert "`large-model` (server 0.12.0) in `distill`." in card
    assert "teacher: large-model\nteachers:\n  small: small-model\n" in card
    [data] = (tmp_path / "run/release/data").iterdir()
    mark = json.loads(pq.read_schema(data).metadata[b"synthetic"])
    assert (mark["generated_by"], mark["with"]) == ("large-model", "small-model")
    assert any(line.startswith("teacher small: small-model") for line in said)


def test_another_teacher_makes_only_its_stages_stale(
    tmp_path: Path, small: FakeTeacher, large: FakeTeacher
) -> None:
    path = recipe(tmp_path, small.url, large.url)
    run(path)
    small.log.asked.clear()
    with served(FakeTeacher("larger-model", "larger-model", script=rule)) as larger:
        _, said = run(recipe(tmp_path, small.url, larger.url))
    table = "\n".join(said)
    assert "02-distill  stale: teacher large-model → larger-model" in table
    assert "01-evolve   done" in table
    assert "evolve" not in " ".join(asked(small))


def test_names_and_defaults_do_not_matter_and_equal_settings_are_one_teacher(
    tmp_path: Path, small: FakeTeacher, large: FakeTeacher
) -> None:
    path = recipe(tmp_path, small.url, large.url)
    run(path)
    text = path.read_text().replace("small:", "tiny:").replace("teacher: small", "teacher: tiny")
    path.write_text(text)
    assert not any("stale: teacher" in line for line in run(path)[1])
    same = load_recipe(recipe(tmp_path / "b", large.url, large.url))
    assert list(same.asked()) == [""]
    assert Need.SCHEMA in needs(same)


def test_an_option_asks_one_teacher_in_place_of_all_or_of_one(
    tmp_path: Path, small: FakeTeacher, large: FakeTeacher
) -> None:
    path = recipe(tmp_path, "{model: a/b}", "{model: c/d}")
    plan = load_recipe(path, teacher=large.url)
    assert {name: one.addresses for name, one in plan.asked().items()} == {"": (large.url,)}
    both = load_recipe(path, overrides=[f"teachers.small={small.url}", f"teacher={large.url}"])
    assert both.asked()["small"].addresses == (small.url,)
    deeper = load_recipe(
        recipe(tmp_path, small.url, large.url), overrides=["teachers.small.concurrency=3"]
    )
    assert deeper.asked()["small"].concurrency == 3
    assert deeper.asked()["small"].addresses == (small.url,)


def test_only_the_needs_of_its_own_stages_are_asked_of_a_teacher(tmp_path: Path) -> None:
    plan = load_recipe(recipe(tmp_path, "http://a:1/v1", "http://b:1/v1"))
    assert Need.SCHEMA in needs(plan, "small")
    assert Need.SCHEMA not in needs(plan)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("teacher: small", "teacher: smal", r"line 8: .*names no teacher; known: small; did you"),
        ("teachers:\n  small: http://a:1/v1\n", "", "known: none, since the recipe has no"),
        ("teacher: http://b:1/v1\n", "", "`distill` needs a teacher, but the recipe has none"),
        ("http://a:1/v1", "{url: 3}", "teachers.small.url|line 5"),
    ],
)
def test_a_teacher_that_is_not_there_is_a_mistake_with_its_line(
    before: str, after: str, problem: str, tmp_path: Path
) -> None:
    path = recipe(tmp_path, "http://a:1/v1", "http://b:1/v1")
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(RecipeError, match=problem):
        load_recipe(path)


def test_a_launched_teacher_beside_a_served_one_is_started_only_for_its_own_work(
    tmp_path: Path, small: FakeTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = f"{{model: large-model, command: [{sys.executable}, -m, tests.fake_teacher, serve]}}"
    path = recipe(tmp_path, small.url, command)
    manifests, _ = run(path)
    assert manifests[2].teacher is not None
    assert manifests[2].teacher.model == "large-model"
    before = shard_bytes(tmp_path / "run")
    (tmp_path / "run/04-write/manifest.json").unlink()
    _, said = run(path)
    assert not any("large-model" in line and "teacher" in line for line in said)
    assert shard_bytes(tmp_path / "run") == before
    assert asyncio.run(finished_run(load_recipe(path), tmp_path / "run")) is not None


def test_all_teachers_share_one_budget(
    tmp_path: Path, small: FakeTeacher, large: FakeTeacher
) -> None:
    path = recipe(tmp_path, small.url, large.url, 'budget: {until: "2020-01-01 00:00"}\n')
    with pytest.raises(BudgetSpentError, match="the deadline 2020-01-01 00:00 UTC has passed"):
        run(path)
    assert not small.log.asked
    path = recipe(tmp_path, small.url, large.url, "budget: {tokens: 9000000}\n")
    manifests, _ = run(path)
    used = json.loads((tmp_path / "run/budget.json").read_text())
    asked = sum(shard.requests for stage in manifests for shard in stage.shards)
    assert asked == len(small.log.asked) + len(large.log.asked) > len(large.log.asked) > 0
    assert (used["tokens_in"], used["tokens_out"]) == (7 * asked, 5 * asked)


def test_a_saved_plan_has_all_teachers_without_their_keys(tmp_path: Path) -> None:
    path = recipe(tmp_path, "http://a:1/v1?key=sk-mine", "http://b:1/v1")
    identities = {"": Identity("large", "1"), "small": Identity("small", "2")}
    plan = load_recipe(path)
    save_plan(plan, tmp_path, identities)
    assert "sk-mine" not in (tmp_path / "plan.json").read_text()
    loaded, known = load_plan(tmp_path)
    assert known == identities
    assert [loaded.teacher_of(n) for n in range(5)] == [None, "small", "", "small", None]
