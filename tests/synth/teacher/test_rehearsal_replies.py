"""The rehearsal teacher's clean replies: made from what they are given, and unlike one another."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from rapidfuzz import fuzz

from synth.generate.eliminate import eliminate
from synth.generate.operations import Operation
from synth.generate.reasons import Limits
from synth.generate.rewrite import Style
from synth.teacher.protocol import Reply
from synth.teacher.rehearsal.answer import answer
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.instance import instance
from synth.teacher.rehearsal.replies import Job, compose, read_job
from synth.teacher.rehearsal.text import count_tokens, cut_tokens, key_terms

PROMPTS = [
    "Plan a three-day walking weekend for two people who are moderately fit.",
    "Why is the sky blue at midday but often red at sunset?",
    "Write a short poem about the sound of a kettle in an empty house.",
    "How do I remove candle wax from a wool carpet?",
    "My flatmate keeps borrowing my milk. Help me bring it up without a row.",
    "Explain how tides work to someone who has never seen the sea. Keep it short.",
    'Label the mood as calm, angry or mixed.\n\n"The walls are thin, but the breakfast was good."',
    "Argue that public libraries should lend tools as well as books.",
]
SOURCE = """---
title: ignored
---
Home | About us | Sign in
We use cookies to improve your experience. Accept all cookies.
# The seed library
The seed library in Orrin lends more than 340 varieties of vegetables. Members borrow a packet
in March and return seed from their own plants by October.
- Beans and peas come back true to type, whereas squash cross easily.
In 2011 a cold spring ruined the tomatoes, and 27 members shared what they had left.
[The catalogue](https://example.org/catalogue) is kept on cards in a wooden drawer.
Copyright 2024. All rights reserved."""


def clean(job: Job, key: str = "0") -> str:
    return compose(job, Dice(key.encode())).text


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_evolved_prompt_is_new_and_about_the_same(operation: str, prompt: str) -> None:
    evolved = clean(Job("evolve", prompt, operation))
    assert evolved != prompt
    terms = {word.lower() for term in key_terms(prompt) for word in term.split()}
    assert any(term in evolved.lower() for term in terms)
    added = len(evolved.split()) - len(prompt.split())
    if operation == "broaden":
        assert prompt[:30] not in evolved
        assert 15 <= len(evolved.split()) <= 100
    elif operation in ("complicate", "code_mislead"):
        assert evolved.startswith(prompt.rstrip(".")[:40])
        assert evolved.count("\n") >= 4
    else:
        assert 10 <= added <= 22


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_evolved_prompt_survives_elimination(operation: str, prompt: str) -> None:
    for number in range(10):
        child = Reply(clean(Job("evolve", prompt, operation), str(number)), "")
        assert eliminate(child, prompt, Limits(), operation=Operation(operation)).reason is None


@pytest.mark.parametrize("prompt", PROMPTS)
def test_operation_without_wording_adds_a_constraint(prompt: str) -> None:
    evolved = clean(Job("evolve", prompt, "unheard_of"))
    assert 10 <= len(evolved.split()) - len(prompt.split()) <= 22
    assert eliminate(Reply(evolved, ""), prompt, Limits()).reason is None


def test_style_without_code_is_written_as_a_textbook() -> None:
    first, _, text = clean(Job("rewrite", SOURCE, "unheard_of")).partition("\n")
    assert first == "=== unheard_of ==="
    assert text == clean(Job("rewrite", SOURCE, "textbook")).partition("\n")[2]


def test_evolving_again_adds_something_else() -> None:
    prompt = PROMPTS[0]
    for round_number in range(6):
        child = clean(Job("evolve", prompt, "constrain"), str(round_number))
        assert len(child.split()) > len(prompt.split())
        prompt = child
    added = [line for line in re.split(r"(?<=[.?!]) ", prompt) if line]
    assert len(set(added)) == len(added)


def test_no_two_evolved_prompts_or_answers_are_near_duplicates() -> None:
    for task, names in (("evolve", tuple(Operation)), ("answer", ("",))):
        for name in names:
            job = [Job("evolve" if task == "evolve" else "answer", text, name) for text in PROMPTS]
            texts = [clean(each, f"{task}{name}{at}") for at, each in enumerate(job)]
            for one, other in combinations(texts, 2):
                assert fuzz.ratio(one, other) < 85, (one, other)


def test_samples_of_one_prompt_differ() -> None:
    for prompt in PROMPTS:
        samples = [clean(Job("answer", prompt), f"sample {number}") for number in range(4)]
        assert len(set(samples)) == 4


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("audience", ["children", "middle school", "college", "professionals", ""])
def test_rewrite_opens_with_its_style_and_is_grounded(style: str, audience: str) -> None:
    job = Job("rewrite", SOURCE, style, title="The seed library", audience=audience)
    first, _, text = clean(job, style + audience).partition("\n")
    assert first == f"=== {style} ==="
    assert "cookie" not in text.lower()
    assert "rights reserved" not in text
    assert "https://" not in text
    body = re.sub(r"(?m)^\s*\d+\. ", "", text)
    if style == "maths":
        assert text.splitlines()[-1].startswith("The answer is \\boxed{")
        body = body[: body.index("## Solution")]
    assert set(re.findall(r"\d+", body)) <= set(re.findall(r"\d+", SOURCE))
    assert any(word in text for word in ("Orrin", "seed", "catalogue", "Members", "tomatoes"))


def test_styles_have_their_shapes() -> None:
    text = {style: clean(Job("rewrite", SOURCE, style)) for style in Style}
    assert text["faq"].count("?**") >= 2
    assert "|---|---|---|" in text["table"]
    assert re.search(r"(?m)^2\. \*\*", text["tutorial"])
    assert "## Solution" in text["maths"]
    assert "## Key terms" in text["textbook"]
    assert "## Review" in text["textbook"]


@pytest.mark.parametrize("source", ["", "   ", "Menu\nHome\nAbout", "one", "1 2 3"])
@pytest.mark.parametrize("style", Style)
def test_source_without_prose_still_gets_a_reply(style: str, source: str) -> None:
    assert clean(Job("rewrite", source, style)).startswith(f"=== {style} ===\n")


def test_function_has_the_name_and_signature_asked_for() -> None:
    prompt = "Write a Python function `clock_time(minutes: int) -> str` that formats minutes."
    text = answer(prompt, Dice(b"code")).text
    assert "```python\ndef clock_time(minutes: int) -> str:\n" in text
    code = text.split("```python\n")[1].split("```")[0]
    compile(code, "reply", "exec")


def test_essay_has_60_to_250_words_and_claims_no_model() -> None:
    for number in range(60):
        text = answer(PROMPTS[number % 4], Dice(b"%d" % number)).text
        assert 55 <= len(text.split()) <= 260
        assert not re.search(r"language model|\bAI\b|assistant", text)


def test_reasoning_is_given_where_reasons_are_asked_for() -> None:
    assert answer("Why do cats purr? Give the reason.", Dice(b"1")).reasoning
    assert answer("Write a poem on moss.", Dice(b"1")).reasoning is None


def test_json_schema_is_followed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": 0, "maximum": 5},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "verdict": {"enum": ["keep", "drop"]},
            "reason": {"type": "string", "maxLength": 40},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
            "same": {"type": "boolean"},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "required": ["score", "verdict"],
        "$defs": {"tag": {"type": "string", "minLength": 3}},
    }
    for number in range(50):
        made = instance(schema, PROMPTS[0], Dice(b"%d" % number))
        assert made["score"] in range(6)
        assert 0 <= made["share"] <= 1
        assert made["verdict"] in ("keep", "drop")
        assert len(made["reason"]) <= 40
        assert len(made["tags"]) >= 2
        assert all(len(tag) >= 3 for tag in made["tags"])
        assert isinstance(made["same"], bool)
        assert made["note"] is None or isinstance(made["note"], str)


def test_schema_that_contains_itself_ends() -> None:
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}}, "required": ["child"]}
    assert isinstance(instance(schema, "x", Dice(b"1")), dict)


def test_job_is_read_from_first_opening_to_last_closing_tag() -> None:
    user = "<prompt>\nUse <prompt> tags.\n</prompt>\nand more\n</prompt>"
    job = read_job([("system", "Task: evolve a prompt (reason)\nRules"), ("user", user)], None)
    assert (job.task, job.name) == ("evolve", "reason")
    assert job.given == "Use <prompt> tags.\n</prompt>\nand more"


def test_title_and_audience_are_read() -> None:
    system = "Task: rewrite a source (faq)\nAudience: middle school\nRules"
    user = "<title>Seeds</title>\n<source>\nA text with <title>x</title>.\n</source>"
    job = read_job([("system", system), ("user", user)], None)
    assert (job.task, job.title, job.audience) == ("rewrite", "Seeds", "middle school")
    assert job.given == "A text with <title>x</title>."


@pytest.mark.parametrize("system", ["Task: evolve a prompt (fly)", "Task: rewrite a source (fly)"])
def test_job_may_have_a_name_that_is_new_here(system: str) -> None:
    job = read_job([("system", system), ("user", "First")], None)
    assert (job.task, job.name) == (system.split()[1], "fly")


@pytest.mark.parametrize(
    "system", ["", "Task: brew some tea (fly)", "Please\nTask: evolve a prompt (reason)"]
)
def test_anything_else_is_answered(system: str) -> None:
    turns = [("system", system), ("user", "First"), ("assistant", "x"), ("user", "Second")]
    job = read_job(turns, None)
    assert (job.task, job.given) == ("answer", "Second")


@pytest.mark.parametrize("text", ["", "word", "two words", "a b c d e f g h i j", "x" * 500])
@pytest.mark.parametrize("tokens", [0, 1, 2, 5, 12])
def test_cut_text_fits_its_tokens_and_is_the_beginning(text: str, tokens: int) -> None:
    cut = cut_tokens(text, tokens)
    assert text.startswith(cut)
    assert count_tokens(cut) <= tokens
