"""The rehearsal teacher's arithmetic: exact on what it understands, quick to refuse the rest."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from synth.teacher.rehearsal.answer import answer
from synth.teacher.rehearsal.arithmetic import (
    NotArithmeticError,
    evaluate,
    find_expression,
    show,
)
from synth.teacher.rehearsal.dice import Dice


@pytest.mark.parametrize(
    ("prompt", "value"),
    [
        ("Compute 46 * 37 - 118 and show each step.", "1584"),
        ("What is (84 - 30) / 9?  Just the value.", "6"),
        ("Please work out 7 ÷ 2.", "3.5"),
        ("What's 2 x 3?", "6"),
        ("Evaluate 3 × (2 − 8).", "-18"),
        ("Find 5/6 - 1/4 in lowest terms.", r"\frac{7}{12}"),
        ("What is 15% of 240?", "36"),
        ("Compute 1,234 + 2,000.", "3234"),
        ("A receipt lists 12.40 + 7.85 + 3.99 in all.", "24.24"),
        ("Calculate 2^10 - 24 (no calculator).", "1000"),
        ("Compute 0.1 + 0.2 exactly.", "0.3"),
    ],
)
def test_explicit_arithmetic_is_found_and_exact(prompt: str, value: str) -> None:
    expression = find_expression(prompt)
    assert expression is not None
    assert show(evaluate(expression).value) == value


@pytest.mark.parametrize(
    "prompt",
    [
        "Solve for x: 5x - 17 = 3x + 9.",
        "Find the positive root of x^2 - 3x - 40 = 0.",
        "It took 3-4 weeks in 2019-2020.",
        "The ratio is 3 : 5 : 7, the scale 1 : 25 000.",
        "Take 1/2 cup of flour.",
        "Part KT-204 (12 left) and MB-118 (3 left).",
        "A coach leaves at 09:40.",
        "Add nothing at all.",
        "",
    ],
)
def test_what_is_no_arithmetic_is_left_alone(prompt: str) -> None:
    assert find_expression(prompt) is None


@pytest.mark.parametrize(
    "hostile",
    [
        "9**9**9",
        "2**-100000000",
        "10**70*10**70",
        "1/0",
        "0**-1",
        "2**.5",
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[0]*9",
        "'a'*9",
        "True+1",
        "1j*2",
        "0x10+1",
        "1_000+1",
        "1e400+1",
        "1<2",
        "(" * 100 + "1+1" + ")" * 100,
        "-" * 150 + "1",
        "1+" * 5000 + "1",
        "1\x00+2",
        "",
    ],
)
def test_hostile_expression_is_refused_at_once(hostile: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(NotArithmeticError):
        evaluate(hostile)
    assert time.perf_counter() - begin < 0.1


@pytest.mark.parametrize(
    "prompt",
    [
        "What is 9^9^9?",
        "What is 1/0?",
        "Compute " + "(" * 3000 + "1 + 1" + ")" * 3000,
        "1 + " * 4000,
    ],
)
def test_hostile_prompt_gets_an_answer_without_a_box_quickly(prompt: str) -> None:
    begin = time.perf_counter()
    text = answer(prompt, Dice(b"hostile")).text
    assert time.perf_counter() - begin < 0.5
    assert text
    assert "\\boxed" not in text


def test_worked_answer_ends_in_its_boxed_value_and_holds_every_step() -> None:
    draft = answer("Please give the exact result of 1000 - 7 * 83 + 6.", Dice(b"steps"))
    assert draft.text.splitlines()[-1] == r"The answer is \boxed{425}."
    assert "581" in draft.text
    assert "419" in draft.text
    assert draft.reasoning is not None
    assert "425" in draft.reasoning


def test_values_are_shown_as_integer_decimal_or_fraction() -> None:
    shown = [show(value) for value in (Fraction(4), Fraction(-1, 8), Fraction(-2, 3), Fraction(0))]
    assert shown == ["4", "-0.125", r"-\frac{2}{3}", "0"]
