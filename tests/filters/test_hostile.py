"""No text of any shape makes a filter, verifier, extractor or stage slow, or breaks it.

A part meets a few texts of 200,000 characters, drawn by its name; `make test-faults` gives it every
text, of a million characters. The slowest part takes a second of CPU for a million on a fast core;
a quadratic part takes minutes, and some seconds for 200,000. Programs that a verifier runs in
processes of their own have limits there, and do not count here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pyarrow as pa
import pytest

from filters.catalogue import FILTERS, VERIFIERS
from filters.contamination.text import code_form, plain
from filters.pii.find import find
from filters.verify.code_judge import program_in
from filters.verify.code_tests import UnusableTestsError, read_tests
from filters.verify.maths.extract import final_answer
from seeds.clean import cleaned
from synth.batch import Batch
from synth.generate.chunk import parts
from synth.generate.eliminate import eliminate
from synth.generate.rewrite import read_rewrite
from synth.generate.screen import PromptLimits, screen
from synth.generate.template import shipped
from synth.generate.tools import CallError, calls_in
from synth.instructions.draw import draw
from synth.instructions.stated import stated
from synth.record import new_record, records_table
from synth.teacher.control import escape, restore
from synth.teacher.protocol import Reply
from synth.text.courtesies import ends
from tests.filters.rows import made
from tests.filters.test_instructions import CASES
from tests.limits import cpu_within, stretched

WARM = (
    "The naïve plan has 2 parts. It is so long that its language can be told from the words in it."
)
UNITS = (
    "x", " ", "\n", '"', "\u201c", "```\n", "[", "([{", '{"a":', "<a b=", "[a](", "7", "1 ", "1.",
    "1-", "\\", "\\boxed{", "# a\n", "a | b\n", "a ", "Aa bb. ", "a\nb\n\n", "a@b.", "a\u0301",
    "\u0301\u0316", "\u6c34\u3002", "I'm sorry, but I cannot ", "twenty-one hundred and ",
    "\t", "'", "`", "```python\nx\n", "(", "<", "<!--", "<tool_call>", "<script>", "1,234,", "1/2 ",
    "\\frac{1}", "- a\n", "-|-\n", "---\n", "**a** ", "a. ", "A B ", "!", ".", ":\n", "http://a",
    "password=", "\u6c34", "\u0645 ", "\U0001f468\u200d", "\u0130", "Certainly, ",
    "I hope this helps! ", "The answer is ", "def f(x):\n", "at least 300 words. ",
    "We use cookies. ", "x\r\n", "\u00a0", "- [ ] a\n", "$x$ ", "Human: a\n", "[INST]",
)  # fmt: skip


@cache
def hostile(size: int) -> list[str]:
    """Each unit over and over, and texts of chance."""
    chance = random.Random(3)
    noise = chance.choices("ab1 .,\"'`(){}[]<>\n\\$*_#-:;|@/=+", k=size)
    words = (f"{chance.randrange(16**6):06x}" for _ in range(size // 7))
    return [
        *((unit * (size // len(unit) + 1))[:size] for unit in UNITS),
        "".join(noise),
        " ".join(words),
        f"a{' ' * (size - 2)}b",
        f'{"x" * (size - 1)}"',
    ]


def rows(text: str) -> list[Batch]:
    """The text as an answer; and as the prompt, the answer, and the reference."""
    every = {"instructions": [{"id": name, **given} for name, given, *_ in CASES]}
    gold, same = (
        {"answer": "42", "source": "The lake has 3 fish."},
        {"answer": text, "source": text},
    )
    made = [
        new_record(prompt="How many?", text=text, reference=gold, meta=every),
        new_record(prompt=text, text=f"{text} 1", reference=same),
    ]
    return [Batch(records_table([row])) for row in made]


def verifier(name: str) -> Any:
    return VERIFIERS[name](**({"against": {"type": "object"}} if name == "json_schema" else {}))


def called(text: str) -> None:
    with suppress(CallError):
        calls_in(text, [])


def read(text: str) -> None:
    with suppress(UnusableTestsError):
        read_tests(text, text)


FAQ, LIMITS = shipped("rewrite/faq"), PromptLimits()
OF_ROWS: dict[str, Callable[[Batch], object]] = {
    **{name: lambda batch, name=name: made(name).judge(batch) for name in FILTERS},
    **{name: lambda batch, name=name: verifier(name).check(batch) for name in VERIFIERS},
}
OF_TEXTS: dict[str, Callable[[str], object]] = {
    "clean": cleaned,
    "redact": find,
    "trim": lambda text: (ends(text), ends(text, text)),
    "chunks": lambda text: list(parts(0, text, "{}", 300, 50)),
    "rewrite": lambda text: read_rewrite(Reply(f"=== faq ===\n{text}", ""), FAQ),
    "reply": lambda text: FAQ.unmarked(text, {"source": text}),
    "control": lambda text: restore(escape(text)),
    "screen": lambda text: (
        screen(Reply(text, text), LIMITS, instruction="Write.", beside="Why is it so?"),
        screen(Reply(text, text), LIMITS, instruction=text, beside=text),
    ),
    "eliminate": lambda text: (
        eliminate(Reply(f"{text} Say more words.", ""), "Why is it so?", LIMITS, answer="42"),
        eliminate(Reply("Why is it so in 1999?", ""), text, LIMITS, instruction=text, answer="42"),
    ),
    "stated": stated.__wrapped__,
    "draw": lambda text: draw(text, [], random.Random(1)),
    "tool calls": called,
    "final answer": final_answer,
    "program": program_in,
    "tests": read,
    "decontaminate": lambda text: (plain(text), code_form(f"def f(x):\n{text}")),
}


@pytest.mark.parametrize("name", [*OF_ROWS, *OF_TEXTS])
@pytest.mark.parametrize(
    ("chars", "drawn", "limit_s"),
    [
        pytest.param(200_000, 10, 0.5, id="a few"),
        pytest.param(1_000_000, None, 2.0, id="all", marks=pytest.mark.faults),
    ],
)
def test_hostile_texts_are_bounded(
    chars: int, drawn: int | None, limit_s: float, name: str
) -> None:
    slow, texts = [], hostile(chars)
    for text in (WARM, *random.Random(name).sample(texts, drawn or len(texts))):
        for given in rows(text) if name in OF_ROWS else [text]:
            started = time.process_time()
            (OF_ROWS | OF_TEXTS)[name](given)
            took = time.process_time() - started
            if text == WARM:  # the first call compiles and loads models
                continue
            if took > limit_s and took > stretched(limit_s):
                slow.append(f"{took:.1f} s for {text[:20]!r}…")
    assert not slow


OF_AN_EMPTY_PAGE = {
    "c4": "too_few_sentences",
    "fineweb": "empty_text",
    "gopher": "too_few_words",
    "length": "empty_text",
    "repetition": "empty_text",
}


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_an_empty_batch_and_an_empty_text_have_verdicts(name):
    judge = made(name).judge
    assert judge(Batch.of_texts([])).reasons == []
    assert judge(Batch.of_texts([""])).reasons == [OF_AN_EMPTY_PAGE.get(name)]
    assert judge(Batch.of_prompts([""])).reasons == ["empty_text" if name == "length" else None]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_is_named_as_in_the_catalogue(name):
    assert FILTERS[name].name == name


@pytest.mark.parametrize("name", sorted(set(OF_AN_EMPTY_PAGE)))
def test_a_hundred_thousand_empty_rows_and_nulls_have_a_verdict_each(name):
    rows = 100_000
    one = Batch.of_texts([""]).table
    texts = pa.array(["", None] * (rows // 2), pa.string())
    table = one.take(pa.array([0] * rows)).set_column(one.column_names.index("text"), "text", texts)
    with cpu_within(4):
        verdicts = FILTERS[name]().judge(Batch(table))
    assert verdicts.reasons == [OF_AN_EMPTY_PAGE[name]] * rows
