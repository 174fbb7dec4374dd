"""What is put around a prompt: the teacher reads it, the record has only what the student shall."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synth.engine.account import account
from synth.engine.stage import Outcome, Place
from synth.errors import InputError
from synth.generate.distill import HINT, Distill
from synth.generate.prompting import FORMATS, Examples
from synth.generate.resample import Resample
from synth.kind import Kind
from synth.record import RECORD, new_record, records_table
from synth.teacher.protocol import Request
from tests.synth.generate.saying import Saying, apply, said


def prompts(*texts: str) -> list[dict[str, Any]]:
    return [new_record(prompt=text, source=f"f#{n}") for n, text in enumerate(texts)]


def contents(request: Request) -> list[str]:
    return [turn["content"] for turn in request.turns]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    path = tmp_path / "examples.jsonl"
    rows = [("Add 2 and 3.", "5"), ("Name a river in France.", "Loire"), ("Add 4 and 4.", "8")]
    path.write_text("\n".join(json.dumps({"prompt": p, "answer": a}) for p, a in rows))
    return path


def test_fixed_examples_come_first_and_are_the_same_for_all(examples: Path) -> None:
    stage = Distill(examples=Examples(file=examples, count=2), system="Be brief.")
    outcome, teacher, _ = apply(stage, prompts("Why?", "How?"), lambda *_: "So.")
    first, second = map(contents, teacher.asked)
    assert first == ["Be brief.", "Add 2 and 3.", "5", "Name a river in France.", "Loire", "Why?"]
    assert first[:-1] == second[:-1]
    read = [turn["content"] for turn in outcome.kept["context"].to_pylist()[0]]
    assert read == ["Be brief.", "Why?"]


def test_similar_examples_are_those_most_like_the_prompt_the_likest_last(examples: Path) -> None:
    stage = Distill(examples=Examples(file=examples, count=2, by="similar"))
    _, teacher, _ = apply(stage, prompts("Add 4 and 5."), lambda *_: "9")
    assert contents(teacher.asked[0]) == ["Add 2 and 3.", "5", "Add 4 and 4.", "8", "Add 4 and 5."]


def test_an_example_that_is_the_prompt_itself_is_not_shown(examples: Path) -> None:
    stage = Distill(examples=Examples(file=examples, count=3, by="similar"))
    _, teacher, _ = apply(stage, prompts("add 4 and 4"), lambda *_: "8")
    assert "8" not in contents(teacher.asked[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has 0 examples"),
        ("no", "line 1: expected an object with `prompt` and `answer`"),
        ('{"prompt": "a"}', "line 1: expected an object"),
        ('\n{"prompt": "a", "answer": 3}', "line 2: `prompt` and `answer` must be texts"),
    ],
)
def test_wrong_examples_are_named_with_their_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "e.jsonl").write_text(text)
    with pytest.raises(InputError, match=told):
        Examples(file=tmp_path / "e.jsonl").chosen("Why?")


def test_domain_knowledge_is_told_with_the_system_prompt_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "domain.md").write_text("Mud is brown.\n")
    stage = Distill(knowledge=tmp_path / "domain.md", system="Be brief.")
    outcome, teacher, _ = apply(stage, prompts("Why?"), lambda *_: "So.")
    assert contents(teacher.asked[0]) == [f"Be brief.\n\n{HINT}\nMud is brown.", "Why?"]
    read = [turn["content"] for turn in outcome.kept["context"].to_pylist()[0]]
    assert read == ["Be brief.", "Why?"]
    before = stage.model_dump(mode="json", exclude=set(stage.not_in_fingerprint))
    assert "knowledge" not in before, "its path is not what counts"
    assert stage.files() == [tmp_path / "domain.md"]


def knowing(request: Request, _before: int) -> str:
    is_question = request.turns[0]["content"].startswith("Task: recall")
    return "Mud is brown." if is_question else f"So. {request.seed}"


def test_generated_knowledge_is_asked_for_first_and_stands_in_the_trail() -> None:
    stage = Distill(knowledge="generate", samples=2)
    outcome, teacher, _ = apply(stage, prompts("Why?", "How?"), knowing)
    assert contents(teacher.asked[-1]) == [f"How?\n\n{HINT}\nMud is brown."]
    for row, prompt in zip(outcome.kept.to_pylist(), ["Why?", "Why?", "How?", "How?"], strict=True):
        assert [step["operation"] for step in row["trail"][1:]] == ["knowledge", "answer"]
        assert len({step["parent"] for step in row["trail"][1:]}) == 1
        assert [turn["content"] for turn in row["context"]] == [prompt]


def test_knowledge_that_cannot_be_used_is_passed_over() -> None:
    def knows_nothing(request: Request, before: int) -> Any:
        empty = said("", fault="reply_empty")
        return empty if request.turns[0]["content"].startswith("Task") else "So."

    outcome, teacher, _ = apply(Distill(knowledge="generate"), prompts("Why?"), knows_nothing)
    assert outcome.kept["text"].to_pylist() == ["So."]
    assert contents(teacher.asked[-1]) == ["Why?"]


def test_each_prompt_gets_one_format_and_one_system_prompt_by_its_id_alone() -> None:
    rows = prompts(*(f"What is {n}?" for n in range(40)))
    formats = {"formats": ["boxed", "brief", "In French."]}
    stage = Distill.model_validate({**formats, "system": ["Be a cook.", "Be a judge."]})
    outcome, _, _ = apply(stage, rows, lambda *_: "So.")
    contexts = outcome.kept["context"].to_pylist()
    ends = {context[-1]["content"].split("\n\n")[1] for context in contexts}
    assert ends == {FORMATS["boxed"], FORMATS["brief"], "In French."}
    assert {context[0]["content"] for context in contexts} == {"Be a cook.", "Be a judge."}
    again, _, _ = apply(stage, rows[::-1], lambda *_: "So.")
    assert again.kept["context"].to_pylist() == contexts[::-1]


GOLD = [
    new_record(prompt="6 * 7?", reference={"answer": "42"}, source="gold"),
    new_record(prompt="6 * 8? Box it: \\boxed{…}", reference={"answer": "48"}, source="marked"),
    new_record(prompt="Why?", source="open"),
]


def test_a_format_for_gold_answers_is_asked_of_them_alone_and_not_released() -> None:
    formats = {"ask": ["final_line"], "when": "gold"}
    stage = Distill.model_validate({"formats": formats, "samples": 2})
    outcome, teacher, _ = apply(stage, GOLD, lambda request, _n: f"A: {request.seed}")
    asked = {contents(request)[-1] for request in teacher.asked}
    given = [row["context"][-1]["content"] for row in GOLD]
    assert asked == {f"6 * 7?\n\n{FORMATS['final_line']}", *given[1:]}
    read = [row["context"][-1]["content"] for row in outcome.kept.to_pylist()]
    assert read == [prompt for prompt in given for _ in range(2)]
    rows = outcome.kept.to_pylist()
    for row in rows:
        row["scores"] = [{"name": "pass_rate", "verdict": "keep", "value": 0.5, "note": ""}]
    again = Resample.model_validate({"formats": formats})
    _, teacher, _ = apply(again, rows, lambda request, _n: f"A: {request.seed}")
    assert {contents(request)[-1] for request in teacher.asked} == asked


def test_a_format_is_released_where_that_is_wanted() -> None:
    stage = Distill.model_validate({"formats": {"ask": ["boxed"], "released": True}})
    outcome, _, _ = apply(stage, GOLD, lambda *_: "So.")
    ends = [row["context"][-1]["content"] for row in outcome.kept.to_pylist()]
    assert all(end.endswith(FORMATS["boxed"]) for end in ends)
    with pytest.raises(ValidationError, match="released `formats` are part of the prompts already"):
        Resample.model_validate({"formats": ["boxed"]})


def test_formats_read_back_as_they_were_recorded() -> None:
    for given in (["boxed"], {"ask": ["boxed"], "when": "gold"}):
        stage = Distill.model_validate({"formats": given})
        assert Distill.model_validate(stage.model_dump(mode="json")) == stage


def resampled(
    verdicts: dict[str, list[str]], **settings: Any
) -> tuple[Outcome, Saying, list[dict[str, Any]]]:
    """Samples with these verdicts, asked for by `distill` and then again."""
    samples = max(map(len, verdicts.values()))
    first, *_ = apply(Distill(samples=samples), prompts(*verdicts), lambda r, _n: f"A: {r.seed}")
    rows = first.kept.to_pylist()
    for row, found in zip(rows, [v for one in verdicts.values() for v in one], strict=True):
        decided = verdicts[row["context"][-1]["content"]]
        rate = decided.count("pass") / len(decided)
        row["scores"] = [
            {"name": "maths", "verdict": found, "value": None, "note": ""},
            {"name": "pass_rate", "verdict": "keep", "value": rate, "note": ""},
        ]
    teacher, done = Saying(lambda r, _n: f"B: {r.seed}"), []
    table = records_table(rows)
    place = Place(7, Kind.ANSWERS, teacher=teacher, done=done.append)
    outcome = asyncio.run(Resample.model_validate(settings).apply(table, place))
    account("resample", outcome, table)
    assert sum(done) == len(rows)
    assert outcome.kept.schema.equals(RECORD)
    return outcome, teacher, rows


VERDICTS = {
    "easy": ["pass", "pass"],
    "torn": ["pass", "fail"],
    "hard": ["fail", "fail"],
    "also torn": ["fail", "pass"],
}


def test_only_prompts_on_which_samples_disagree_are_asked_again() -> None:
    outcome, teacher, rows = resampled(VERDICTS, samples=3)
    asked = sorted(contents(request)[-1] for request in teacher.asked)
    assert asked == ["also torn"] * 3 + ["torn"] * 3
    kept = outcome.kept.to_pylist()
    asked = [row["context"][-1]["content"] for row in kept]
    assert asked == ["easy"] * 2 + ["torn"] * 5 + ["hard"] * 2 + ["also torn"] * 5
    ids = {row["id"] for row in rows}
    assert [row for row in kept if row["id"] in ids] == rows
    new = [row for row in kept if row["id"] not in ids]
    assert [row["trail"][-1]["sample"] for row in new] == [2, 3, 4] * 2
    assert len({row["id"] for row in kept}) == len(kept)


def test_a_new_sample_has_the_trail_of_its_prompt_and_no_verdict_of_another() -> None:
    outcome, _, rows = resampled({"torn": ["pass", "fail"]})
    [new] = [row for row in outcome.kept.to_pylist() if row["text"].startswith("B")]
    assert new["trail"][:-1] == rows[0]["trail"][:-1]
    assert new["trail"][-1]["parent"] == rows[0]["trail"][-1]["parent"]
    assert new["trail"][-1]["stage"] == "resample"
    assert new["scores"] == []


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"above": 0.5}, 0),
        ({"above": 0.49, "below": 0.51}, 2),
        ({"below": 0.5}, 0),
    ],
)
def test_the_bounds_are_outside(settings: dict[str, float], asked: int) -> None:
    assert len(resampled(VERDICTS, **settings)[1].asked) == asked


def test_bounds_that_hold_nothing_are_a_mistake() -> None:
    with pytest.raises(ValidationError, match=r"no pass rate is above 0.5 and below 0.5"):
        Resample(above=0.5, below=0.5)
