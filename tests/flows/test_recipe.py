"""A wrong recipe has one line for each mistake, with file, line and choices."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from filters.quality.stage import Quality
from filters.verify.stage import Verify
from flows.recipe_file import SHIPPED, load_recipe
from synth.errors import RecipeError
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.kind import Kind
from synth.teacher.embedded import Embedded

GOOD = """\
name: mine
teacher: embedded
stages:
  - read: {prompts: prompts.jsonl}
  - evolve: {rounds: 2}
  - distill: {samples: 2}
  - verify: [maths]
  - write: {format: messages}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why is the sky blue?"}\n')
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    return path


def error_of(recipe: Path, *replacements: tuple[str, str]) -> str:
    """The error of the good recipe with some text replaced."""
    text = GOOD
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    recipe.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(recipe))
    return str(caught.value)


def test_a_good_recipe_is_a_plan(recipe: Path) -> None:
    plan = load_recipe(str(recipe))
    assert [stage.name for stage in plan.stages] == ["read", "evolve", "distill", "verify", "write"]
    assert plan.kind_before(len(plan.stages)) is Kind.RELEASE


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_has_a_description(path: Path) -> None:
    plan = load_recipe(path.stem)
    assert plan.name == path.stem
    assert plan.recipe["description"]


@pytest.mark.parametrize(
    "quality",
    ["[{toxicity: {words: bad.txt}}]", "{filters: [echo, {toxicity: {words: bad.txt}}]}"],
)
def test_a_list_of_words_lies_beside_the_recipe(recipe: Path, quality: str) -> None:
    (recipe.parent / "bad.txt").write_text("fool\n")
    recipe.write_text(GOOD.replace("verify: [maths]", f"quality: {quality}"))
    stage = load_recipe(str(recipe)).stages[3]
    assert isinstance(stage, Quality)
    assert stage.filters[-1].part.words == recipe.parent.resolve() / "bad.txt"
    assert "line 7: no file or folder 'nix.txt'" in error_of(
        recipe, ("verify: [maths]", f"quality: {quality.replace('bad.txt', 'nix.txt')}")
    )


def test_an_unknown_stage_is_named_with_line_and_choices(recipe: Path) -> None:
    message = error_of(recipe, ("evolve:", "evlove:"))
    assert message.startswith("mine.yaml, line 5: unknown stage 'evlove'; known: read, clean,")
    assert "did you mean 'evolve'?" in message


def test_an_unknown_key_is_named_with_line_and_choices(recipe: Path) -> None:
    message = error_of(recipe, ("rounds: 2", "round: 2"))
    assert message.startswith("mine.yaml, line 5: unknown key 'round' in ")
    assert "known: teacher, rounds, operations, keep" in message


def test_an_unknown_key_of_the_recipe_is_named(recipe: Path) -> None:
    message = error_of(recipe, ("name: mine", "name: mine\nsed: 3"))
    assert "line 2: unknown key 'sed' in the recipe; known: name, description, seed" in message


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("rounds: many", "line 5: stages.evolve.rounds is 'many'"),
        ("rounds: 0", "line 5: stages.evolve.rounds is 0"),
        ("rounds: 2, operations: [fly]", "line 5: stages.evolve.operations is 'fly'"),
        ("rounds: no", "line 5: stages.evolve.rounds is 'no', expected a whole number"),
        ("rounds: 0", "line 5: stages.evolve.rounds is 0, expected at least 1"),
        ("keep: newest", "stages.evolve.keep is 'newest', expected 'all' or 'latest'"),
        ("operations: [depen]", "or 'maths_backward'; did you mean 'deepen'?"),
        ("operations: deepen", "is 'deepen', expected a list such as [a, b]"),
        ("operations:", "stages.evolve.operations is empty, expected a list"),
    ],
)
def test_a_wrong_value_is_shown_with_its_place(recipe: Path, new: str, expected: str) -> None:
    assert expected in error_of(recipe, ("rounds: 2", new))


def test_every_mistake_is_reported_at_once(recipe: Path) -> None:
    message = error_of(recipe, ("rounds: 2", "rounds: 0"), ("samples: 2", "sample: 2"))
    assert [line.split(":")[0] for line in message.splitlines()] == [
        "mine.yaml, line 5",
        "mine.yaml, line 6",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "  - distill: {samples: 2}\n",
            "",
            "line 6: `verify` needs answers, but the stage before it makes prompts",
        ),
        ("  - write: {format: messages}", "  - push: {repo: a/b}", "line 8: `push` needs release"),
        ("  - evolve: {rounds: 2}", "  - rewrite", "line 5: `rewrite` needs documents"),
        (
            "  - evolve: {rounds: 2}",
            "  - read: {web: prompts.jsonl}",
            "can only be the first stage",
        ),
        ("  - read: {prompts: prompts.jsonl}\n", "", "line 4: `evolve` is the first stage"),
        ("messages}", "messages}\n  - dedup: {exact: {}}", "line 9: `dedup` cannot follow `write`"),
        ("format: messages", "format: text", "`format: text` does not fit answers; choose one of"),
        (
            "format: messages",
            "format: [messages, text]",
            "`format: text` does not fit answers; choose one of",
        ),
        (
            "format: messages",
            "format: [messages, messages]",
            "`messages` is there twice: each format is a config",
        ),
        (
            "format: messages",
            "quotas: {by: evlove, rows: {deepen: 1}}",
            "`quotas: {by: evlove}` names no stage before it; known: read, evolve, distill",
        ),
        (
            "format: messages",
            "target_rows: 1, quotas: {by: evolve, rows: {deepen: 1}}",
            "give `target_rows` or `quotas`",
        ),
        (
            "verify: [maths]",
            "quality: [length]\n  - select: {by: [verdict, -lenght]}",
            "known: gain, length, novelty, verdict; did you mean 'length'?",
        ),
        (
            "verify: [maths]",
            "dedup: {exact: {}, index: seen}\n  - dedup: {rouge: {}, index: seen}",
            "two `dedup` stages have the index seen",
        ),
        ("verify: [maths]", "prefer: {by: judge}", "`prefer: {by: judge}` names no score of a"),
        (
            "verify: [maths]",
            "quality: [{length: {min_words: 5, max_words: 2}}]",
            "min_words 5 is above max_words 2",
        ),
        (
            "verify: [maths]",
            "quality: [{gopher: {min_mean_chars: 7.5, max_mean_chars: 7}}]",
            "min_mean_chars 7.5 is above max_mean_chars 7",
        ),
        (
            "verify: [maths]",
            "quality: [{readability: {min_lix: 50, max_lix: 20}}]",
            "min_lix 50.0 is above max_lix 20.0",
        ),
        ("teacher: embedded\n", "", "`evolve` needs a teacher, but the recipe has none; add"),
        ("  - read: {prompts: prompts.jsonl}", "  - read: {prompts: x.jsonl}", "line 4: no file"),
        ("teacher: embedded", "teacher: qwen", "'qwen' is not an address"),
        (
            "teacher: embedded",
            "teacher: {replicas: 2}",
            "give the `model` to launch",
        ),
        ("name: mine", "name: ../mine", "name is '../mine'"),
        ("[maths]", "[mathss]", "mathss"),
    ],
)
def test_a_stage_in_an_impossible_place_is_reported(
    recipe: Path, old: str, new: str, expected: str
) -> None:
    assert expected in error_of(recipe, (old, new))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name: a\nname: b\n",
            "line 2: duplicate key 'name' (first on line 1)",
        ),
        ("name: &a b\nx: *a\n", "line 2: aliases (*name) are not allowed"),
        ("name: [1, 2\n", "line 2: "),
        ("- 1\n", "is not a mapping"),
        ("name: !!python/object:os.system x\n", "line 1: "),
        ("name: a\x00b\n", "mine.yaml: "),
        ("#" * 1_000_001, "a recipe has at most 1,000,000"),
        ("", "is not a mapping"),
    ],
)
def test_yaml_with_traps_is_refused(recipe: Path, text: str, expected: str) -> None:
    recipe.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(recipe))
    assert expected in str(caught.value)


def test_a_recipe_that_is_not_utf8_is_reported(recipe: Path) -> None:
    recipe.write_bytes(b"name: \xff\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml is not UTF-8"):
        load_recipe(str(recipe))


def test_times_and_words_are_not_turned_into_numbers(recipe: Path) -> None:
    recipe.write_text(GOOD.replace("name: mine", "name: mine\ndescription: 12:30:45"))
    assert load_recipe(str(recipe)).recipe["description"] == "12:30:45"


def test_values_are_set_over_the_recipe(recipe: Path) -> None:
    plan = load_recipe(
        str(recipe),
        overrides=["stages.evolve.rounds=3", "seed=11"],
        teacher="http://gpu:1/v1",
        limit=9,
    )
    assert isinstance(plan.stages[1], Evolve)
    assert plan.stages[1].rounds == 3
    assert plan.seed == 11
    assert plan.teacher is not None
    assert plan.teacher.url == "http://gpu:1/v1"
    assert plan.stages[0].model_dump()["limit"] == 9


def test_a_setting_is_set_over_the_short_form_of_a_teacher(recipe: Path) -> None:
    plan = load_recipe(str(recipe), overrides=["teacher.concurrency=2"])
    assert plan.teacher is not None
    assert (plan.teacher.embedded, plan.teacher.concurrency) == (Embedded(), 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("stages.evlove.rounds=3", "stages has no 'evlove'; it has read, evolve, distill"),
        ("stages.evlove.rounds=3", "; did you mean 'evolve'?"),
        (
            "evolve.rounds=3",
            "--set evolve.rounds: the recipe has no key 'evolve'; did you mean stages.e",
        ),
        (
            "stages.reverse={}",
            "copy the recipe to a file and add `- reverse: {…}` where it belongs",
        ),
        ("stages.verify.0=mathss", "--set stages.verify.0: unknown verifier 'mathss'"),
        ("stages.distill.samples=two", "--set stages.distill.samples is 'two', expected a whole n"),
        ("stages.reverse={}", "stages has no 'reverse'; it has read, evolve, distill"),
        ("stages.evolve.round=3", "unknown key 'round'"),
        ("rounds", "expected PATH=VALUE, such as stages.evolve.rounds=2"),
        ("name.x.y=3", "is not a mapping"),
    ],
)
def test_a_wrong_override_is_reported(recipe: Path, change: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(recipe), overrides=[change])
    assert expected in str(caught.value)


def test_a_setting_is_set_over_the_short_form_of_a_stage(recipe: Path) -> None:
    plan = load_recipe(str(recipe), overrides=["stages.verify.reject=[]"])
    assert isinstance(plan.stages[3], Verify)
    assert not plan.stages[3].reject
    assert [entry.part.name for entry in plan.stages[3].checks] == ["maths"]


def test_all_settings_of_a_stage_may_be_set_at_once(recipe: Path) -> None:
    plan = load_recipe(str(recipe), overrides=["stages.distill={samples: 5}"])
    assert plan.stages[2] == Distill(samples=5)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("verify: [maths]", "verify: {check: [maths]}", "unknown key 'check' in stages.verify;"),
        (
            "name: mine",
            "nam: mine",
            "mine.yaml, line 1: unknown key 'nam' in the recipe; known: na",
        ),
        ("evolve: {rounds: 2}", "evolve: {operations: [fly]}", "stages.evolve.operations is 'fly'"),
        ("- write: {format: messages}", "- write:\n    format: text", "indent the settings of `wr"),
    ],
)
def test_one_mistake_has_one_line(recipe: Path, old: str, new: str, expected: str) -> None:
    message = error_of(recipe, (old, new))
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{question: Q}", "did you mean 'prompt'?"),
        ("{promt: Q}", "did you mean 'prompt'?"),
        ("{Question: prompt}", "write the role first: `prompt: Question`"),
        ("{text: Q}", "known: answer, entry_point, messages, prompt, system, tests"),
    ],
)
def test_a_wrong_role_is_reported_with_the_nearest(
    recipe: Path, written: str, expected: str
) -> None:
    new = f"prompts: prompts.jsonl, columns: {written}"
    assert expected in error_of(recipe, ("prompts: prompts.jsonl", new))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{columns: {question: Q}}", "unknown role 'question' for `prompts`; known: "),
        ("{limit: [2]}", "stages.read.limit is [2], expected a whole number"),
    ],
)
def test_a_value_of_a_wrong_type_is_reported_in_one_line(
    recipe: Path, written: str, expected: str
) -> None:
    recipe.write_text(
        GOOD.replace("{prompts: prompts.jsonl}", written[:-1] + ", prompts: prompts.jsonl}")
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(recipe))
    assert str(caught.value).startswith(f"mine.yaml, line 4: {expected}")
    assert "\n" not in str(caught.value)


def test_an_address_may_be_written_as_vllm_prints_it(recipe: Path) -> None:
    plan = load_recipe(str(recipe), teacher="localhost:8000")
    assert plan.teacher is not None
    assert plan.teacher.url == "http://localhost:8000/v1"


def test_a_schema_may_be_a_file_beside_the_recipe(recipe: Path) -> None:
    (recipe.parent / "answer.json").write_text('{"type": "object", "required": ["why"]}')
    recipe.write_text(GOOD.replace("{samples: 2}", "{json_schema: answer.json}"))
    stage = load_recipe(str(recipe)).stages[2]
    assert {"type": "object", "required": ["why"]} in stage.identity().values()
    inline = Distill(json_schema={"type": "object", "required": ["why"]})
    assert stage.identity() == inline.identity()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "{json_schema: {type: objct}}",
            "line 6: not a JSON schema: at type: 'objct' is not valid",
        ),
        ("{json_schema: missing.json}", "line 6: no file or folder 'missing.json'"),
        ("{json_schema: mine.yaml}", "line 6: .*mine.yaml is not a JSON schema"),
        ("{sampling: {max_tokens: 9, retry_max_tokens: 9}}", "line 6: retry_max_tokens is 9"),
    ],
)
def test_a_wrong_schema_or_room_is_reported_with_its_line(
    recipe: Path, written: str, expected: str
) -> None:
    assert re.search(expected, error_of(recipe, ("{samples: 2}", written)))


def test_an_unknown_recipe_is_reported_with_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match=r"unknown recipe 'quikstart'.*quickstart"):
        load_recipe("quikstart")


def test_a_teacher_address_with_a_password_is_refused(recipe: Path) -> None:
    message = error_of(recipe, ("teacher: embedded", "teacher: http://me:secret@gpu/v1"))
    assert "use `api_key_env`" in message
    assert "secret" not in message


def test_checking_a_recipe_imports_neither_prefect_nor_datasets() -> None:
    code = (
        "import sys; from flows.recipe_file import load_recipe; load_recipe('quickstart');"
        "print([m for m in ('prefect', 'datasets', 'pandas', 'torch')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
