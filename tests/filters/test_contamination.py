"""`decontaminate`: what each tier finds, what it must leave alone, and the evidence it gives."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks import contamination
from benchmarks.word_problems import word_problems
from filters.contamination import index
from filters.contamination.stage import Decontaminate
from filters.contamination.text import code_form
from flows.recipe import Recipe
from synth.engine.stage import Outcome, Place
from synth.errors import InputError
from synth.kind import Kind
from synth.record import new_record, records_table
from tests.filters.rows import HOSTILE, assert_whole
from tests.limits import cpu_within
from tests.synth.generate.saying import Saying, Script, said

EXAM = [
    (
        "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts does it "
        "take in all, if the tailor wastes nothing and cuts each of them once?"
    ),
    "Name the three moons that were discovered last.",
    "Choose one of the following options that fits the sentence best of all: the cat sat on a mat",
    "Choose one of the following options that fits the sentence best of all: a dog ran to its bed",
    "Choose one of the following options that fits the sentence best of all: no bird flew over us",
    "Who won?",
]


def exam(folder: Path, items: list[str], name: str = "exam") -> str:
    """The path of a benchmark file with these items."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"question": item}) + "\n" for item in items))
    return str(path)


def run(
    texts: list[str],
    settings: dict[str, Any],
    script: Script | None = None,
    *,
    kind: Kind = Kind.DOCUMENTS,
) -> tuple[Outcome, Saying]:
    """The stage's outcome over these texts, and the teacher that was asked."""
    field = "prompt" if kind is Kind.PROMPTS else "text"
    rows = [new_record(**{field: text, "source": str(i)}) for i, text in enumerate(texts)]
    table, teacher = records_table(rows), Saying(script or (lambda *_: "different"))
    stage = Decontaminate.model_validate(settings)
    outcome = asyncio.run(stage.apply(table, Place(7, kind, teacher=teacher)))
    assert_whole(outcome, table)
    return outcome, teacher


def reasons(texts: list[str], settings: dict[str, Any]) -> list[str | None]:
    """Why each text leaves, in order; None for one that stays."""
    outcome, _ = run(texts, settings)
    left = {row["trail"][0]["parent"]: row["reason"] for row in outcome.rejected.to_pylist()}
    return [left.get(str(i)) for i in range(len(texts))]


def test_a_shared_n_gram_is_evidence_and_one_word_less_is_not(tmp_path):
    words = [f"word{i}" for i in range(40)]
    against = {"against": [exam(tmp_path, [" ".join(words)])], "flag": 1}
    other = [f"other{i}" for i in range(60)]
    thirteen, twelve = " ".join(other + words[5:18]), " ".join(other + words[5:17])
    assert reasons([thirteen, twelve], against) == ["ngram_of_exam", None]


def test_of_a_short_item_eight_words_suffice_and_seven_do_not(tmp_path):
    words = [f"word{i}" for i in range(25)]
    against = {"against": [exam(tmp_path, [" ".join(words)])], "flag": 1}
    other = [f"other{i}" for i in range(60)]
    eight, seven = " ".join(other + words[5:13]), " ".join(other + words[5:12])
    assert reasons([eight, seven], against) == ["ngram_of_exam", None]


def test_case_punctuation_and_letter_forms_do_not_hide_an_item(tmp_path):
    shouted = EXAM[0].upper().replace(" ", "\n  ").replace("2", "\uff12").replace(".", " --")
    assert reasons([f"{shouted} Thanks!"], {"against": [exam(tmp_path, EXAM)]}) == ["ngram_of_exam"]


def test_an_item_of_few_words_is_found_only_as_the_whole_text(tmp_path):
    texts = ["who won", "Who won the cup that was given away on the last day of the games?"]
    assert reasons(texts, {"against": [exam(tmp_path, EXAM)]}) == ["ngram_of_exam", None]


def test_how_a_benchmark_asks_is_no_evidence(tmp_path):
    asked = "Choose one of the following options that fits the sentence best of all: rain or snow"
    assert reasons([asked], {"against": [exam(tmp_path, EXAM)], "flag": 1}) == [None]


def test_counting_is_no_evidence(tmp_path):
    numbers = " ".join(map(str, range(30)))
    against = {"against": [exam(tmp_path, [f"What comes next? {numbers}"])], "flag": 1}
    assert reasons([f"Add them up: {numbers}"], against) == [None]


def test_scripts_without_spaces_have_n_grams_too(tmp_path):
    item = "光合作用是植物利用阳光把二氧化碳和水变成糖和氧气的过程"
    against = {"against": [exam(tmp_path, [item])], "flag": 1}
    assert reasons([f"请解释：{item}。", "植物需要水。"], against) == ["ngram_of_exam", None]


def test_an_item_in_a_long_text_is_found(tmp_path):
    padding = " ".join(word_problems(150))
    texts = [f"{padding} {EXAM[0]} {padding}", padding]
    assert reasons(texts, {"against": [exam(tmp_path, EXAM)]}) == ["ngram_of_exam", None]
    reworded = EXAM[0].replace("takes 2 bolts of", "needs two bolts of the").replace("half", "but")
    reworded = reworded.replace("bolts does", "of them does").replace("nothing and", "none, yet")
    outcome, _ = run([f"{padding} {reworded} {padding}"], {"against": [exam(tmp_path, EXAM)]})
    [row] = outcome.kept.to_pylist() + outcome.rejected.to_pylist()
    assert row["scores"][0]["note"] == "exam#0"


def test_a_rewording_is_close_and_another_problem_of_the_kind_is_not(tmp_path):
    reworded = EXAM[0].replace("takes", "needs").replace("blue", "red").replace("half", "a half")
    settings = {"against": [exam(tmp_path, EXAM)], "ngram_words": 30, "short_ngram_words": 30}
    assert reasons([reworded, *word_problems(30)], settings) == ["close_to_exam", *[None] * 30]


def test_likeness_to_an_item_of_few_words_is_no_evidence(tmp_path):
    texts = ["What is the name of it?", "What is the nature of it?"]
    assert (
        reasons(texts, {"against": [exam(tmp_path, ["What is the name of that?"])]}) == [None] * 2
    )


def test_a_row_that_leaves_names_benchmark_item_and_words_and_one_that_stays_the_nearest(tmp_path):
    settings = {"against": [exam(tmp_path, EXAM), exam(tmp_path, ["What is a quark?"], "quiz")]}
    outcome, teacher = run([f"Solve: {EXAM[0]}", "What is a quark made of?"], settings)
    [left], [stays] = outcome.rejected.to_pylist(), outcome.kept.to_pylist()
    assert (left["reason"], left["by"]) == ("ngram_of_exam", "decontaminate")
    assert left["scores"][0]["note"].startswith("exam#0: a robe takes 2 bolts of blue fiber")
    assert left["scores"][0]["value"] == left["score"] > 0.9
    assert (stays["scores"][0]["verdict"], stays["scores"][0]["note"]) == ("keep", "quiz#0")
    assert not teacher.asked


def test_both_prompt_and_answer_are_looked_at(tmp_path):
    rows = [
        new_record(prompt=EXAM[0], text="Three.", source="0"),
        new_record(prompt="Give me an exercise.", text=EXAM[0], source="1"),
        new_record(prompt="What is a quark?", text="A particle.", source="2"),
    ]
    stage = Decontaminate.model_validate({"against": [exam(tmp_path, EXAM)]})
    outcome = asyncio.run(stage.apply(records_table(rows), Place(7, Kind.ANSWERS)))
    assert outcome.rejected["reason"].to_pylist() == ["ngram_of_exam"] * 2


def test_code_is_like_in_its_form_whatever_its_names_and_comments():
    rot = 'def rot(xs: list) -> list:\n    """Turn it."""\n    return xs[1:] + xs[:1]  # all\n'
    turn = "def turn(word: list) -> list:\n    return word[1:] + word[:1]"
    assert code_form(rot) == code_form(turn) == code_form(f"So:\n```python\n{rot}```\nDone.") != ""
    assert code_form(turn.replace("+", "-")) != code_form(turn)
    assert code_form("Words in a row, and no definition.") == ""


def test_words_and_form_of_code_are_looked_at_apart(tmp_path):
    items = [
        "def total(prices):\n    return sum(p * 1.2 for p in prices if p > 0)",
        "def longest(names):\n    best = None\n    for n in names:\n        best = n\n    return n",
    ]
    renamed = items[0].replace("total", "names").replace("prices", "longest").replace("p ", "best ")
    outcome, _ = run([renamed], {"against": [exam(tmp_path, items)], "ngram_words": 30})
    [row] = outcome.kept.to_pylist() + outcome.rejected.to_pylist()
    assert row["scores"][0]["note"] == "exam#0"


REWORDED = "A bathrobe needs two bolts of blue fibre, and of white fibre half as much. How many?"


@pytest.mark.parametrize("items", [EXAM, EXAM[-1:]], ids=["all", "one without n-grams"])
def test_processes_that_share_a_saved_index_decide_the_same(
    tmp_path: Path, items: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*EXAM, "What is the capital of the country that has most lakes?", ""]
    table = records_table([new_record(text=text, source="t") for text in texts])
    stage = Decontaminate.model_validate({"against": [exam(tmp_path, items)]})

    def decided(work: Path | None) -> list[Any]:
        index._index.cache_clear()  # as in a new process
        outcome = asyncio.run(stage.apply(table, Place(7, Kind.DOCUMENTS, work=work)))
        return [outcome.kept.to_pylist(), outcome.rejected.to_pylist()]

    alone = decided(None)
    assert decided(tmp_path / "work") == alone
    monkeypatch.setattr(index, "build", None)
    assert decided(tmp_path / "work") == alone
    assert not list((tmp_path / "work").glob(".*"))


def test_the_judge_decides_about_the_close_ones_and_is_asked_about_no_other(tmp_path):
    texts = [REWORDED, REWORDED + " Show your steps.", "Zqx vvk jjw ppk."]
    settings = {"against": [exam(tmp_path, EXAM)], "judge": {}}
    verdicts = ["Same numbers, other words.\nsame", "They are different."]

    def script(request: Any, before: int) -> str:
        assert EXAM[0] in request.turns[-1]["content"] or before
        shown = "Show your steps" in request.turns[-1]["content"]
        return verdicts[1] if shown else verdicts[0]

    outcome, teacher = run(texts, settings, script)
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], left["scores"][0]["note"]) == ("same_as_exam", "exam#0")
    kept = [row["scores"][0] for row in outcome.kept.to_pylist()]
    assert kept[0]["note"].endswith(", another problem")
    assert all("Zqx" not in request.turns[-1]["content"] for request in teacher.asked)


def test_candidates_that_stay_without_a_judge_are_counted(tmp_path):
    texts, against = [REWORDED, "Zqx vvk jjw ppk.", EXAM[0]], [exam(tmp_path, EXAM)]
    assert run(texts, {"against": against})[0].unjudged == 1
    assert run(texts, {"against": against, "judge": {}})[0].unjudged == 0


def test_after_a_yes_the_judge_is_asked_no_more(tmp_path):
    _, teacher = run(
        [EXAM[2][:60]], {"against": [exam(tmp_path, EXAM)], "judge": {}}, lambda *_: "same"
    )
    assert len(teacher.asked) == 1


@pytest.mark.parametrize("reply", ["I cannot say.", said("", fault="reply_empty")])
def test_where_the_judge_says_nothing_the_likeness_decides(tmp_path, reply):
    near = EXAM[0].replace("takes", "needs").replace("blue", "red").replace("half", "a half")
    settings = {"against": [exam(tmp_path, EXAM)], "judge": {}, "ngram_words": 30}
    outcome, _ = run([near, REWORDED], {**settings, "short_ngram_words": 30}, lambda *_: reply)
    assert outcome.rejected["reason"].to_pylist() == ["close_to_exam"]
    assert outcome.unjudged == 1
    assert "could not be parsed" in outcome.kept.to_pylist()[0]["scores"][0]["note"]


def test_it_asks_a_teacher_only_where_it_has_a_judge(tmp_path):
    settings = {"against": [exam(tmp_path, EXAM)]}
    assert not Decontaminate.model_validate(settings).asks_teacher
    recipe = {
        "name": "clean",
        "stages": [
            {"read": {"prompts": exam(tmp_path, EXAM, "prompts")}},
            {"decontaminate": {**settings, "judge": None}},
        ],
    }
    with pytest.raises(ValidationError, match="`decontaminate` needs a teacher"):
        Recipe.model_validate(recipe)


def test_hostile_texts_have_a_verdict_in_bounded_time(tmp_path):
    stage = {"against": [exam(tmp_path, EXAM)]}
    run(["warm"], stage)
    with cpu_within(8):
        outcome, _ = run([*HOSTILE, "", "a" + "\u0301\u0316" * 500_000], stage)
    assert len(outcome.rejected) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"against": ["gsm9k"]}, "unknown benchmark 'gsm9k'; did you mean 'gsm8k'"),
        ({"against": []}, "at least 1"),
        ({"against": ["gsm8k", "gsm8k"]}, "two benchmarks are called 'gsm8k'"),
        ({"against": [{"file": "exam.docx"}]}, "known: .jsonl"),
        ({"against": [{"name": "x"}]}, "one of `file` and `hub`"),
        ({"against": ["gsm8k"], "candidate": 0.7}, "`candidate` must not be above `flag`"),
    ],
)
def test_a_wrong_recipe_names_the_mistake(settings, message):
    with pytest.raises(ValidationError, match=message):
        Decontaminate.model_validate(settings)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"question": "One?"}, {"question": "Two?"}]'),
        ("a.csv", "id,question\n1,One?\n2,Two?\n"),
        ("a.txt", "One?\nTwo?\n"),
        ("a.jsonl", '{"id": 1, "text": "x", "question": "One?"}\n{"id": 2, "question": "Two?"}\n'),
    ],
)
def test_benchmarks_are_read_in_every_format(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert reasons(["one", "Two"], {"against": [str(path)]}) == ["ngram_of_a", "ngram_of_a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no item"),
        ('{"q": "x"}\n', "no column of items|no column"),
        ("{", "cannot be read"),
    ],
)
def test_a_benchmark_file_without_items_is_refused(tmp_path, content, message):
    path = tmp_path / "exam.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        run(["x"], {"against": [str(path)]})
    with pytest.raises(InputError, match="no benchmark file"):
        Decontaminate.model_validate({"against": [str(tmp_path / "none.jsonl")]}).files()


def test_another_content_of_a_benchmark_is_another_stage(tmp_path):
    stage = Decontaminate.model_validate({"against": [exam(tmp_path, EXAM)]})
    before = stage.identity()
    exam(tmp_path, EXAM[1:])
    assert stage.identity() != before


@pytest.mark.gold
def test_rephrased_items_are_candidates_and_other_problems_are_not_flagged(real):
    index = contamination.index_over(real)
    assert contamination.found_rate(index, real, "gsm8k") >= 0.97
    assert contamination.found_rate(index, real, "humaneval") >= 0.95
    flagged, _ = contamination.flagged_rate(index, word_problems(500))
    assert flagged < 0.02
