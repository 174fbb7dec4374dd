"""The form of a deployment: its paths are those that a recipe accepts, with the recipe's limits."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from prefect.utilities.schema_tools import validate

from filters.quality.stage import Quality
from filters.trim import Trim
from flows.form import Form, overrides_form
from flows.recipe_file import SHIPPED, as_settings, as_values, load_recipe, read_recipe
from flows.schedule import Served
from synth.errors import RecipeError

RECIPES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
NEEDS = {"budget.cost": {"budget.price": {"per_gpu_hour": 2}}}
"""Further settings without which a value is refused."""
TEXTS = {"until": "06:00", "index": "released", "served_name": "mine"}


@cache
def form(recipe: str, *changes: str) -> Form:
    return overrides_form(*read_recipe(recipe, changes))


def schema(form: Form, given: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a deployment's parameters."""
    parameters = {"recipe": "mine.yaml", "overrides": given}
    deployment = Served("mine", parameters, "0 3 * * *", "UTC", form).deployment()
    return deployment._parameter_openapi_schema.model_dump()


def refused(form: Form, overrides: dict[str, Any]) -> list[str]:
    """What Prefect's server says about the overrides of a run."""
    parts = {"properties": {at: form[at] for at in overrides if at in form}}
    found = validate({"overrides": overrides}, {"properties": {"overrides": parts}})
    return [one.message for one in found]


def values(at: str, property_: dict[str, Any]) -> list[Any]:
    """Values that the schema allows: the present one, or some of which the recipe accepts one."""
    _, given, shown = property_["description"].rpartition("Deployed with: ")
    if given and property_.get("type") != "string" and not shown.endswith("…"):
        with contextlib.suppress(ValueError):
            return [orjson.loads(shown)]
    if given:
        return [f"'{shown}'" if shown.startswith("[") else shown]  # a text is as after --set
    if "enum" in property_:
        return property_["enum"]
    if property_.get("type") in ("integer", "number"):
        least = property_.get("minimum", property_.get("exclusiveMinimum", 0))
        return [least + 1, min(99_999, property_.get("maximum", 99_999))]
    return [TEXTS.get(at.rpartition(".")[2])]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_path_of_the_form_can_be_set(recipe: str) -> None:
    found, accepted = form(recipe), set()
    assert len(found) > 90
    for at, property_ in found.items():
        for value in values(at, property_):
            given = {at: value} | NEEDS.get(at, {})
            assert not refused(found, given), at
            with contextlib.suppress(RecipeError):
                load_recipe(recipe, overrides=as_settings(given))
                accepted.add(at)
    assert found.keys() == accepted


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_page_sends_nothing_that_the_user_did_not_choose(recipe: str) -> None:
    """It fills in defaults, and sends switches and objects with properties by itself."""
    for at, property_ in form(recipe).items():
        first = property_.get("anyOf", [property_])[0]
        assert first.get("type") != "boolean", at
        assert "properties" not in first, at
        assert b'"default":' not in orjson.dumps(property_), at
        assert b"$ref" not in orjson.dumps(property_), at


@pytest.mark.parametrize(
    ("at", "wrong", "right"),
    [
        ("stages.distill.samples", "many", 8),
        ("stages.distill.samples", 0, 1),
        ("stages.distill.reasoning", "some", "drop"),
        ("stages.distill.sampling.temperature", [1], 0.5),
        ("stages.distill.formats.when", "never", "always"),
        ("stages.quality.echo.min_share", -2, 0.5),
        ("stages.5.dedup.minhash.threshold", "high", 0.8),
        ("stages.verify.code.required", "maybe", True),
        ("stages.verify.require", "all", None),
        ("teacher.concurrency", 0, 16),
        ("teacher.model", 3, "Qwen/Qwen3-4B"),
        ("budget.tokens", 0.5, 1_000_000),
        ("guards.rejected.action", "shout", "stop"),
        ("seed", -1, 3),
        ("shard_rows", "all", 10),
    ],
)
def test_a_wrong_value_is_refused(at: str, wrong: Any, right: Any) -> None:
    recipe = "distill-answers"
    assert refused(form(recipe), {at: wrong})
    assert not refused(form(recipe), {at: right})
    load_recipe(recipe, overrides=as_settings({at: right}))


def test_a_path_that_is_not_listed_stays_allowed() -> None:
    assert "stages.quality" not in form("quickstart")
    assert not refused(form("quickstart"), {"stages.quality": ["length"], "budget": None})


def test_a_property_says_what_it_is_for_and_what_it_is_now() -> None:
    found = form("distill-answers", "stages.distill.samples=8")["stages.distill.samples"]
    assert found["description"].startswith("Answers per prompt")
    assert found["description"].endswith("\n\nDeployed with: 8")
    assert (found["type"], found["minimum"], found["maximum"]) == ("integer", 1, 64)


def test_an_api_key_in_an_address_is_not_shown() -> None:
    found = form("distill-answers", "teacher={url: 'http://h:1/v1?key=SECRET'}")
    assert found["teacher.url"]["description"].endswith("http://h:1/v1?***")
    assert b"SECRET" not in orjson.dumps(found)


def test_settings_of_another_teacher_and_of_one_that_is_launched_are_left_out() -> None:
    served = form("distill-answers", "teacher={url: 'http://h:1/v1'}")
    assert "teacher.timeout_s" in served
    assert not {"teacher.model", "teacher.embedded", "teacher.replicas"} & served.keys()
    assert "teacher.replicas" in form("distill-answers")


OWN = """
name: own
teacher: http://h:1/v1
teachers: {small: {url: 'http://h:2/v1'}}
guards: {rejected: stop}
stages:
- read: {answers: answers.jsonl}
- quality: {filters: [length, {length: {max_words: 9}}, length], spare: {}}
- trim
- use: my_stage:Shout
  with: {mark: '!'}
- trim
- verify: maths
- write
"""
STAGE = """
from typing import ClassVar
from synth.engine.stage import ShardStage
from synth.kind import Kind
class Shout(ShardStage):
    name: ClassVar[str] = "shout"
    takes: ClassVar = frozenset({Kind.ANSWERS})
    mark: str
    times: int = 1
    async def apply(self, table, place): ...
"""


def test_stages_and_filters_of_one_name_and_own_stages_go_by_number(tmp_path: Path) -> None:
    (tmp_path / "my_stage.py").write_text(STAGE)
    (tmp_path / "answers.jsonl").write_text('{"prompt": "Why?", "response": "So."}\n')
    (tmp_path / "own.yaml").write_text(OWN)
    recipe = str(tmp_path / "own.yaml")
    found = form(recipe)
    expected = {
        "stages.quality.length.max_words",
        "stages.quality.1.length.max_words",
        "stages.quality.2.length.max_words",
        "stages.quality.spare",
        "stages.trim.openers",
        "stages.3.with.mark",
        "stages.3.with.times",
        "stages.4.trim.openers",
        "teacher.url",
        "teachers.small.url",
    }
    assert expected <= found.keys()
    assert "guards.rejected.share" not in found  # `rejected: stop` has no keys to set
    assert "stages.verify.maths.tolerance" not in found
    given = {"stages.quality.2.length.max_words": 7, "stages.4.trim.openers": False}
    plan = load_recipe(recipe, overrides=as_settings(given))
    _, quality, *_ = plan.stages
    assert isinstance(quality, Quality)
    assert [one.part.max_words for one in quality.filters][1:] == [9, 7]
    assert [one.openers for one in plan.stages if isinstance(one, Trim)] == [True, False]


def test_the_order_of_overrides_does_not_matter() -> None:
    """PostgreSQL does not keep it. The first path makes the short form of `quality` a long one."""
    given = {"stages.quality.spare": {}, "stages.quality.length.max_words": 7}
    for overrides in (given, dict(reversed(given.items()))):
        plan = load_recipe("quickstart", overrides=as_settings(overrides))
        [filters] = [one.filters for one in plan.stages if isinstance(one, Quality)]
        assert filters[0].part.max_words == 7


def test_a_misspelt_key_of_a_long_list_form_is_still_explained() -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'rejct'; known: checks, reject, "):
        load_recipe("quickstart", overrides=["stages.verify.rejct=[]"])


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("8", 8),
        ("'8'", "'8'"),
        ("06:00", "06:00"),
        ("'06:00'", "06:00"),
        ("'[x]'", "'[x]'"),
        ("{a: [1, true]}", {"a": [1, True]}),
        ("", None),
        ("*", "*"),
    ],
)
def test_values_of_set_become_values_of_the_form(text: str, given: Any) -> None:
    values = as_values([f"a.b={text}"])
    assert values == {"a.b": given}
    assert as_values(as_settings(values)) == values


def test_a_value_that_only_the_recipe_accepts_frees_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAMPLES", "8")
    changes = ("stages.distill.samples=${SAMPLES}", "seed=3")
    given = as_values(changes)
    found = schema(form("quickstart", *changes), given)
    assert not validate({"overrides": given}, found)
    properties = found["properties"]["overrides"]["properties"]
    assert "stages.distill.samples" not in properties
    assert "seed" in properties
