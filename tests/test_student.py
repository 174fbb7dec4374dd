"""`benchmarks.student`: arms by the real stages, equal tokens, statistics, and the page."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import student, student_page
from benchmarks.short_tasks import ALWAYS, DAYS, KINDS, OFTEN, UNSEEN, samples, tasks
from benchmarks.student import ARMS, Row, Size, equal_tokens, is_right, scores
from benchmarks.students.pieces import Pieces

GIVEN = tasks(40, 40)
GOLD = {task.prompt: task for task in GIVEN.train}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    return student.arms(GIVEN.train, "systematic", tmp_path_factory.mktemp("student"))


def right(rows: list[Row]) -> float:
    return student.right_share(GIVEN.train, rows)


def test_no_task_is_in_both_sets_and_some_kinds_are_only_held_out():
    prompts = [task.prompt for task in (*GIVEN.train, *GIVEN.held_out)]
    assert len(set(prompts)) == 80
    assert {task.kind for task in GIVEN.train} == set(KINDS)
    assert sum(task.kind in UNSEEN for task in GIVEN.held_out) == 8
    assert tasks(40, 40) == GIVEN
    assert tasks(80, 40, seed=1) != GIVEN


@pytest.mark.parametrize("task", [*KINDS.values(), *UNSEEN.values()])
def test_the_gold_answer_is_right_and_another_is_not(task):
    one = task(random.Random(3))
    other = DAYS[DAYS.index(one.answer) - 1] if one.answer in DAYS else f"{one.answer}1"
    for said in (one.answer, f"The answer is {one.answer}."):
        assert is_right(one, said)
    for said in (other, f"The answer is {other}.", one.misread, ""):
        assert not is_right(one, said)


@pytest.mark.parametrize(
    ("teacher", "kinds", "right"),
    [
        ("random", ("sum", *OFTEN, *ALWAYS), 0.4),
        ("systematic", ("sum", "count"), 1.0),
        ("systematic", OFTEN, 0.2),
        ("systematic", ALWAYS, 0.0),
    ],
)
def test_a_teacher_errs_as_often_as_it_says(teacher, kinds, right):
    given = [task for task in tasks(1000, 0).train if task.kind in kinds]
    gold = {task.prompt: task.answer for task in given}
    replies = samples(given, teacher)
    found = [row["response"].rstrip(".").split(" ")[-1] == gold[row["prompt"]] for row in replies]
    faults = 0.75 * 0.1  # of four faults of form, a loop ends in the answer too
    assert sum(found) / len(found) == pytest.approx(right * (1 - faults), abs=0.04)


def test_each_arm_has_fewer_wrong_answers_than_the_one_before(made):
    sizes = [len(made[arm]) for arm in ARMS]
    assert sizes[0] == 4 * 40
    assert sizes == sorted(sizes, reverse=True)
    assert right(made["unfiltered"]) < right(made["quality"]) < right(made["verified"]) == 1
    assert not {GOLD[row.prompt].kind for row in made["verified"]} & set(ALWAYS)


def test_the_last_arm_has_one_right_answer_per_task(made):
    prompts = [row.prompt for row in made["deduplicated"]]
    assert len(prompts) == len(set(prompts))
    assert set(prompts) == {row.prompt for row in made["verified"]}


def test_arms_have_equal_tokens_for_each_seed(made):
    drawn = [equal_tokens(made, lambda row: len(row.answer), seed) for seed in range(2)]
    for arms in drawn:
        totals = [sum(len(row.answer) for row in rows) for rows in arms.values()]
        assert max(totals) - min(totals) <= max(len(row.answer) for row in arms["deduplicated"])
        assert sorted(arms["deduplicated"]) == sorted(made["deduplicated"])
        assert all(set(rows) <= set(made[arm]) for arm, rows in arms.items())
    assert drawn[0]["unfiltered"] != drawn[1]["unfiltered"]


def test_scores_are_told_by_how_the_teacher_reads_the_kind():
    answers = [task.misread or task.answer for task in GIVEN.held_out]
    found = scores(GIVEN.held_out, answers)
    assert found["often"] == found["always"] == 0
    assert found["other"] == found["unseen"] == 1
    assert 0 < found["all"] < 1


def test_texts_are_the_same_after_tokens():
    pieces = Pieces([f"{task.prompt} The answer is {task.answer}." for task in GIVEN.train])
    for text in ("The answer is 12.", "I'm sorry, but I can't help with that.", "1 + 2 = 3\n"):
        assert pieces.decode(pieces.answered(text)) == f" {text}"
    assert pieces.decode(pieces.encode("Noël")) == "No?l"


def test_figures_over_seeds():
    assert student_page.interval([0.5]) == 0
    assert student_page.interval([0.4, 0.5, 0.6]) == pytest.approx(4.303 * 0.1 / 3**0.5)
    assert student_page.over_error([0.7, 0.9], [0.4, 0.6]) == pytest.approx(0.3 / 0.02**0.5)
    assert student_page.over_error([0.7], [0.4, 0.6]) is None
    assert student_page.over_error([0.7, 0.7], [0.4, 0.4]) is None  # no error to divide by


def test_a_finished_arm_is_not_trained_again(tmp_path: Path):
    calls = []

    def work() -> dict[str, object]:
        calls.append(1)
        return {"runs": len(calls)}

    place = tmp_path / "arm.json"
    found = [student.saved(place, key, work) for key in ("a", "a", "b")]
    assert found == [{"runs": 1}, {"runs": 1}, {"runs": 2}]


def test_the_page_and_the_plot_are_those_of_the_saved_figures():
    tiny = student_page.saved("tiny")
    assert tiny is not None
    page = student_page.page(tiny, student_page.saved("smollm2"))
    assert student_page.PAGE.read_text(encoding="utf-8") == page, (
        "python -m benchmarks.student --page"
    )
    plot = student_page.plot(tiny)
    assert student_page.PLOT.read_text(encoding="utf-8") == plot
    ET.fromstring(plot)


def test_a_model_that_no_arm_trained_is_a_row_without_tokens():
    one = {"rows": 0, "right": 0.0, "tokens": 0, "drawn_tasks": 0, "human": [0.5]}
    untrained = {**one, "scores": {"all": [0.1], "unseen": [0.2]}}
    seeds = {"all": [0.3, 0.4], "unseen": [0.2, 0.2]}
    trained = {**one, "rows": 9, "right": 0.5, "tokens": 70, "drawn_tasks": 4, "scores": seeds}
    found = {"untrained": untrained, "unfiltered": trained, "verified": trained}
    rows = student_page.lines(found)
    assert rows[0] == ["untrained", "", "", "", "0.100", "", "", "", "0.200", "0.50"]
    assert rows[2][:7] == ["verified", "50% of 9", "70", "4", "0.350", "± 0.635", "+0.000"]
    settings = {"tasks": 2_000, "seeds": 2, "asked": 150}
    measured = {
        "date": "2026-01-01",
        "cpu_minutes": 90,
        "machine": "two cores",
        "settings": settings,
    }
    shown = student_page.real({**measured, "teachers": {"smollm2": found}})
    assert "Measured on 2026-01-01, with 1.5 CPU hours of training: two cores." in shown
    assert "| verified | 50% of 9 | 70 |" in shown
    assert "2,000 tasks, and 2 seeds per arm. Each student answers 150 held-out tasks." in shown


def test_the_saved_figures_are_of_the_full_size():
    settings = student_page.saved("tiny")["settings"]
    assert {name: settings[name] for name in Size._fields} == student.FULL._asdict()
