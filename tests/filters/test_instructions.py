"""`instructions`: each rule on what follows it and on a near miss; where instructions are found."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filters.verify.instructions.rules import RULES
from filters.verify.instructions.verifier import Instructions
from seeds.read import Read
from synth.batch import Batch
from synth.instructions.attached import Instruction, attached
from synth.instructions.draw import draw
from synth.instructions.stated import stated, states
from synth.text.sentences import sentences
from tests.filters.rows import HOSTILE, answers
from tests.limits import cpu_within

Gold = Callable[[str], list[dict[str, Any]]]
STARTER = Path(__file__).parents[2] / "seeds/starter/prompts.jsonl"
LONG = "One two three four five six. Seven eight!"

# ruff: noqa: E501  a case is a line
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("length_constraints:number_words", {"relation": "at least", "num_words": 8}, LONG, LONG[7:]),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 9}, LONG, LONG + " x"),
    ("length_constraints:number_words", {"relation": "at most", "num_words": 8}, LONG, LONG + " x"),
    ("length_constraints:number_words", {"relation": "exactly", "num_words": 8}, LONG, LONG + " x"),
    ("length_constraints:number_words", {"relation": "around", "num_words": 10}, LONG + " x", LONG),
    ("length_constraints:number_sentences", {"relation": "exactly", "num_sentences": 3}, "Hello! How are you? Fine.", "Hello, how are you? Fine."),
    ("length_constraints:number_sentences", {"relation": "at least", "num_sentences": 2}, LONG, "One. two"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2, "divider": "blank"}, "a\n\nb", "a\nb"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "so"},
        "A.\n\n'So, it is.",
        "So.\n\nA.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "So"},
        "\n\n**So** it is.\n\n \n\nA.",
        "**Soon** it is.\n\nA.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "It's so"},
        "It's so, isn't it?",
        "It so is.",
    ),
    ("keywords:existence", {"keywords": ["ant", "big bee"]}, "A _big\nbee_ eats an **Ant**.", "A big bee eats an antler."),
    ("keywords:existence", {"keywords": ["\u732b"]}, "\u6211\u6709\u732b\u3002", "\u6211\u6709\u72d7\u3002"),
    ("keywords:forbidden_words", {"forbidden_words": ["ant"]}, "An antler.", "An ant."),
    ("keywords:frequency", {"keyword": "a", "relation": "at least", "frequency": 2}, "a A", "a bar"),
    ("keywords:letter_frequency", {"letter": "Q", "let_relation": "less than", "let_frequency": 2}, "q", "qQ"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [date]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Yes.\nP.P.S Also.", "Yes.\nP.S. No."),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Yes. P.S. Also.", "Yes. Ps no."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n- b\n- c\n"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "**bold**\n---\n* a", "**bold**\n---"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "*So it is*\n* a\n* * *", "*So it is*\n- - -"),
    ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
    ("detectable_format:constrained_response", {"options": ["A", "B"]}, "It is B.", "Apples."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "**a** and b"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2\nb",
        "SECTION 1\na\nb",
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "## SECTION I\nas in SECTION II\n**SECTION II**",
        "SECTION 1\nSECTION 2\nSECTION 3",
    ),
    ("detectable_format:json_keys", {"keys": ["a", "b"]}, '{"b": 1, "a": [2]}', '{"a": 1, "b": 2, "c": 3}'),
    ("detectable_format:json_keys", {"keys": ["a"]}, '```json\n{"a": 1}\n```', '["a"]'),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', 'Here: {"a": 1}'),
    ("detectable_format:title", {}, "<<A Day>>\nIt was.", "<< >>\nIt was."),
    ("combination:two_responses", {}, "One.\n******\nTwo.", "One.\n******\nOne."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Why  is it?"}, "Why is it? So.", "So. Why is it?"),
    ("change_case:english_lowercase", {}, "all of 3 small.", "All of it."),
    ("change_case:english_lowercase", {}, "42", "\u732b"),
    ("change_case:english_capital", {}, "ALL OF 3.", "ALL OF it."),
    ("change_case:english_capital", {}, "42", "The Moon"),
    ("change_case:capital_word_frequency", {"capital_relation": "at least", "capital_frequency": 2}, "AN OWL", "An OWL"),
    ("punctuation:no_comma", {}, "So it is.", "So, it is."),
    ("startend:end_checker", {"end_phrase": "That is all."}, 'So. "That is all."', "That is all. So."),
    ("startend:end_checker", {"end_phrase": "It's over."}, "So.\n\n**It\u2019s over.**\n", "It's over now."),
    ("startend:quotation", {}, '"So it is."', '"So" it is.'),
    ("language:response_language", {"language": "fr"}, "Il pleut sur la ville et sur la mer depuis hier soir.", "It has been raining on the town since last night."),
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "a b c", "a b c d"),
    ("count:unique_word_count", {"N": 2}, "A, a b", "a A. a!"),
    ("count:numbers", {"N": 2}, "From 3 to 1,000 in the 1960s.", "From 3 to three."),
    ("count:keywords_multiple", {"counts": {"ant": 1, "bee": 2}}, "ant bee BEE", "ant bee bee bee"),
    ("count:keywords_multiple", {"keyword1": "ant", "keyword3": "bee"}, "ant bee BEE bee", "antler bee bee bee"),
    ("count:conjunctions", {"small_n": 2}, "He and she, but not it.", "and and And"),
    ("count:pronouns", {"N": 2}, "He saw her.", "He saw Ann."),
    ("format:no_whitespace", {}, "a,b", "a, b"),
    ("format:newline", {}, "a\nb\n\nc", "a\nb c"),
    ("format:parentheses", {"depth": 3}, "([{}])", "([])()"),
    ("format:parentheses", {}, "So :) (a [b {c (d [e])}])", "((((((] ([{(a)}])"),
    ("words:repeats", {"small_n": 2}, "a b A", "a b A a."),
    ("words:last_first", {}, "See the cat. Cat! Cat it was.", "See the cat. A cat it was."),
    ("sentence:keyword", {"N": 2, "word": "ant"}, "A bee. An ant.", "An ant. A bee."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "follows", "misses"), CASES)
def test_what_follows_a_rule_passes_and_a_near_miss_does_not(
    name: str, given: dict[str, Any], follows: str, misses: str
) -> None:
    assert RULES[name](follows, given)
    assert not RULES[name](misses, given)


def test_every_rule_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(RULES)


def check(
    text: str, *, meta: dict[str, Any] | None = None, prompt: str = "Why?", **settings: bool
) -> Any:
    table = answers([(prompt, text)], meta=meta or {})
    return Instructions(**settings).check(Batch(table))[0]


def test_one_broken_instruction_fails_the_row_and_is_named() -> None:
    meta = {"instructions": [{"id": "punctuation:no_comma"}, {"id": "format:no_whitespace"}]}
    assert check("a,b", meta=meta) == ("fail", "broken: punctuation:no_comma")
    assert check("a.b", meta=meta)[0] == "pass"


@pytest.mark.parametrize(
    ("one", "told"),
    [
        ({"id": "mood:cheerful"}, "unknown: mood:cheerful"),
        ({"id": "language:response_language", "language": "fr"}, "too short to detect"),
        ({"id": "count:numbers"}, "`N` is None; expected a number"),
        ({"id": "count:numbers", "N": True}, "`N` is True; expected a number"),
        ({"id": "keywords:existence", "keywords": "ant"}, "expected a list of texts"),
        (
            {"id": "length_constraints:number_words", "num_words": 3, "relation": "about"},
            "known: at least",
        ),
    ],
)
def test_what_cannot_be_checked_is_unverified_and_not_wrong(one: dict[str, Any], told: str) -> None:
    found = check("So it is.", meta={"instructions": [one]})
    assert found.verdict == "unverified"
    assert told in found.note


def test_without_instructions_nothing_is_claimed() -> None:
    assert check("So it is.") == ("not_applicable", "no instructions")
    assert check("So, it is.", prompt="Do not use any commas. Why?")[0] == "fail"
    assert (
        check("So, it is.", prompt="Do not use any commas. Why?", read_prompt=False)[0]
        == "not_applicable"
    )


def test_the_constraints_of_the_starter_seeds_are_all_read() -> None:
    [outcome] = Read(prompts=(STARTER,)).shards(1_000)
    found = [attached(json.loads(meta)) for meta in outcome.kept["meta"].to_pylist()]
    assert (sum(map(bool, found)), sum(map(len, found))) == (17, 38)
    assert {one.id for each in found for one in each} <= set(RULES)


@pytest.mark.parametrize(
    ("constraint", "text", "verdict"),
    [
        ({"check": "max_words", "value": 3}, "One doesn't, well-known.", "pass"),
        ({"check": "max_words", "value": 3}, "One two three four.", "fail"),
        ({"check": "min_words", "value": 3}, "One two.", "fail"),
        ({"check": "paragraphs", "value": 2}, "One.\n\nTwo.", "pass"),
        ({"check": "contains", "value": "owe you one"}, "I *owe you one*.", "pass"),
        ({"check": "excludes", "value": "just"}, "It is just so.", "fail"),
        ({"check": "excludes", "value": "just"}, "It is justified.", "pass"),
        ({"check": "ends_with", "value": "?"}, "Is it?", "pass"),
        ({"check": "json_keys", "value": ["a"]}, '{"a": 1}', "pass"),
        ({"check": "lowercase", "value": True}, "so it is.", "pass"),
        ({"check": "max_words", "value": "few"}, "One.", "unverified"),
        ({"check": "rhymes", "value": True}, "One.", "unverified"),
        ("max_words", "One.", "not_applicable"),
    ],
)
def test_a_constraint_is_checked_as_the_instruction_that_it_is(
    constraint: Any, text: str, verdict: str
) -> None:
    assert check(text, meta={"constraints": [constraint]}).verdict == verdict


def test_an_empty_answer_follows_nothing() -> None:
    assert check("  ", prompt="Do not use any commas.")[0] == "fail"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Write at least 300 words.", [("length_constraints:number_words", "at least", 300)]),
        ("Use fewer than 1,200 words.", [("length_constraints:number_words", "less than", 1200)]),
        ("Say it in no more than three sentences.", [("length_constraints:number_sentences", "at most", 3)]),
        ("Give exactly five bullet points.", [("detectable_format:number_bullet_lists", 5)]),
        ("Use at least 20 words in all capital letters.", []),
        ("At least 10 words per line.", []),
        ("The essay had at least one flaw.", []),
    ],
)  # fmt: skip
def test_a_count_is_read_from_the_prompt(prompt: str, expected: list[tuple[str, str, int]]) -> None:
    found = [(one.id, *one.given.values()) for one in stated(prompt)]
    assert found == expected


def test_both_ways_of_attaching_are_read() -> None:
    ours = {"instructions": [{"id": "count:numbers", "N": 3}, "nonsense", {"N": 3}]}
    theirs = {"instruction_id_list": ["count:numbers"], "kwargs": [{"N": 3, "word": None}]}
    expected = [Instruction("count:numbers", {"N": 3})]
    assert attached(ours) == attached(theirs) == expected
    assert attached({"instruction_id_list": "count:numbers"}) == []


def test_sentences_end_at_full_stops_but_not_at_short_forms() -> None:
    text = 'Dr. Li paid 3.5 dollars, e.g. for tea. "Why?" she asked. 1. One! Two?'
    assert sentences(text) == [
        "Dr. Li paid 3.5 dollars, e.g. for tea.", '"Why?" she asked.', "1. One!", "Two?"
    ]  # fmt: skip


def test_hostile_texts_are_bounded() -> None:
    every = [{"id": name, **given} for name, given, *_ in CASES]
    table = answers([(text[:50_000], text) for text in HOSTILE], meta={"instructions": every})
    with cpu_within(20):
        assert len(Instructions().check(Batch(table))) == len(HOSTILE)
        for text in HOSTILE:
            stated(text)
            draw(text, [], random.Random(1))


@pytest.mark.gold
def test_what_is_read_from_ifeval_prompts_is_what_their_authors_meant(gold: Gold) -> None:
    right, wrong = Counter[str](), []
    for row in gold("ifeval_prompts.jsonl"):
        meant = list(zip(row["instruction_id_list"], row["kwargs"], strict=True))
        for one in stated(row["prompt"]):
            same = [each for name, each in meant if name == one.id]
            if any(
                all(each.get(k) == v for k, v in one.given.items() if k in each) for each in same
            ):
                right[one.id] += 1
            else:
                wrong.append((one, row["key"]))
    assert sum(right.values()) > 100
    # "Use less than 100 words", which its authors left out of the list
    assert len(wrong) <= 1, wrong


@pytest.mark.gold
def test_reported_cases_get_the_verdict_that_a_person_gave(gold: Gold) -> None:
    for row in gold("cases/instructions.jsonl"):
        found = check(row["response"], meta=row)
        allowed = {"fail-or-open": {"fail", "unverified"}}.get(row["right"], {row["right"]})
        assert found.verdict in allowed, (row, found)


@pytest.mark.gold
def test_ifevals_columns_are_read_as_they_are(gold: Gold, tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in gold("ifeval_prompts.jsonl")]
    (tmp_path / "ifeval.jsonl").write_text("\n".join(lines))
    [outcome] = Read(prompts=(tmp_path / "ifeval.jsonl",)).shards(1_000)
    metas = [json.loads(meta) for meta in outcome.kept["meta"].to_pylist()]
    found = [one.id for meta in metas for one in attached(meta)]
    assert len(found) > 400
    assert set(found) - set(RULES) == set()


@pytest.mark.gold
def test_our_verdicts_are_those_of_ifbench_where_the_rule_is_the_same(gold: Gold) -> None:
    agreed: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for row in gold("ifbench_graded_strict.jsonl"):
        verdicts = zip(row["instruction_id_list"], row["follow_instruction_list"], strict=True)
        for name, follows in verdicts:
            if name in RULES:
                asked[name] += 1
                agreed[name] += RULES[name](row["response"], _parameters(row["prompt"])) == follows
    told = {name: f"{agreed[name]} of {count}" for name, count in sorted(asked.items())}
    print(told)
    assert sum(asked.values()) >= 40
    assert sum(agreed.values()) / sum(asked.values()) >= 0.95, told


def _parameters(prompt: str) -> dict[str, Any]:
    """Those of every IFBench instruction that we know; its rows do not hold them."""
    times = {"once": 1, "twice": 2, "three": 3, "five": 5, "seven": 7}
    patterns = {
        "min_words": r"between (\d+) and \d+ words",
        "max_words": r"between \d+ and (\d+) words",
        "N": r"exactly (\d+) numbers|at least (\d+) (?:unique words|pronouns)|in the (\d+)-\w+ sentence",
        "small_n": r"at least (\d+) different coordinating|more than (\d+) times",
        "depth": r"at least (\d+) levels deep",
        "word": r"include keyword (\w+) in the",
    }
    found: dict[str, Any] = {}
    for key, pattern in patterns.items():
        if match := re.search(pattern, prompt):
            said = next(group for group in match.groups() if group)
            found[key] = said if key == "word" else int(said)
    counts = re.findall(r"keyword (\w+) (once|twice|three|five|seven)", prompt)
    return found | {"counts": {word: times[said] for word, said in counts}}


@pytest.mark.gold
def test_what_is_added_to_real_prompts_is_read_back(gold: Gold) -> None:
    prompts = [row["prompt"] for row in gold("ifeval_prompts.jsonl")]
    right = asked = 0
    for number, prompt in enumerate(prompts):
        one = draw(prompt, [], random.Random(number))
        if one is not None:
            asked += 1
            right += states(f"{prompt} {one.sentence}", one.instruction)
    print(f"{right} of {asked} read back")
    assert asked > len(prompts) / 2
    assert right / asked >= 0.99
