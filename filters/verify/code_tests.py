"""Parses the tests in `reference.tests`, in the common formats:

def check(candidate):⏎    assert candidate(2) == 4⏎⏎check(square)      HumanEval
assert square(2) == 4                                                  MBPP
{"fn_name": "square", "inputs": [[2]], "outputs": [4]}                 APPS, called
{"inputs": ["2\\n"], "outputs": ["4\\n"]}                                APPS, stdin to stdout
[{"input": "2\\n", "output": "4\\n"}]                                    LiveCodeBench
{"fn_name": "add", "inputs": ["1\\n2"], "outputs": ["3"]}                LiveCodeBench, called
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from filters.verify.sandbox import literal
from filters.verify.sandbox.literal import MOST_BYTES, TooLargeError

DECIMAL: Final = re.compile(r"[-+]?\d{1,300}(?:\.\d{0,300})?")


class FunctionTests(NamedTuple):
    """Tests that call functions, encoded as a sandbox job."""

    job: bytes
    ready: bool
    """Whether LeetCode's imports are available to the answer."""


class ProgramTests(NamedTuple):
    """Inputs of a program, each with its expected output."""

    cases: list[tuple[str, str]]


class UnusableTestsError(Exception):
    """The tests cannot be used; the message says why."""


def read_tests(text: str | None, prompt: str) -> FunctionTests | ProgramTests:
    """Parses the tests; they may use helper functions that `prompt` defines."""
    if not text or not text.strip():
        raise UnusableTestsError("no tests")
    if len(text) > MOST_BYTES:
        raise UnusableTestsError("the tests are larger than 1 MB")
    if text.lstrip()[0] not in "[{":
        return _function_tests({"tests": text, "prompt": prompt})
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # Python code may start like JSON
        return _function_tests({"tests": text, "prompt": prompt})
    if isinstance(value, list) and all(isinstance(case, dict) for case in value):
        value = {
            "inputs": [case.get("input") for case in value],
            "outputs": [case.get("output") for case in value],
        }
    return _cases(value)


def _cases(value: Any) -> FunctionTests | ProgramTests:
    inputs, outputs = (value.get(key) for key in ("inputs", "outputs")) if value else (None, None)
    if not (isinstance(inputs, list) and isinstance(outputs, list) and inputs):
        raise UnusableTestsError("the tests have no `inputs` and `outputs`")
    if len(inputs) != len(outputs):
        raise UnusableTestsError(f"the tests have {len(inputs)} inputs but {len(outputs)} outputs")
    if name := value.get("fn_name"):
        if all(isinstance(one, str) for one in [*inputs, *outputs]):
            inputs = [_arguments(one) for one in inputs]
            outputs = [_arguments(one)[0] for one in outputs]
        if not all(isinstance(args, list) for args in inputs):
            raise UnusableTestsError("an input of the tests is not a list of arguments")
        return _function_tests({"name": str(name), "calls": inputs, "expected": outputs})
    if not all(isinstance(one, str) for one in [*inputs, *outputs]):
        raise UnusableTestsError("an input or output of the tests is not a string")
    if not any(map(str.strip, outputs)):
        raise UnusableTestsError("the tests expect no output")
    return ProgramTests(list(zip(inputs, outputs, strict=True)))


def _function_tests(job: dict[str, Any]) -> FunctionTests:
    try:
        return FunctionTests(literal.encode(job), ready="calls" in job)
    except TooLargeError as error:
        raise UnusableTestsError(f"the tests are {error}") from None


def _arguments(text: str) -> list[Any]:
    """The call arguments, one JSON value per line as in LiveCodeBench."""
    try:
        return [json.loads(line) for line in text.strip().split("\n")]
    except (ValueError, RecursionError):
        raise UnusableTestsError(
            f"an input or output of the tests is not JSON: {text[:60]!r}"
        ) from None


def same_output(given: str, expected: str) -> bool:
    """Whether all lines match, ignoring white space at line ends and trailing blank lines.

    Decimals may be written differently: 1.5 matches 1.50, and 0.33333 matches 0.3333.
    """
    lines, wanted = _lines(given), _lines(expected)
    return len(lines) == len(wanted) and all(map(_same_line, lines, wanted))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _same_line(given: str, expected: str) -> bool:
    if given == expected:
        return True
    parts, wanted = re.split(r"(\s+)", given), re.split(r"(\s+)", expected)
    return len(parts) == len(wanted) and all(
        one == other or _same_decimal(one, other) for one, other in zip(parts, wanted, strict=True)
    )


def _same_decimal(given: str, expected: str) -> bool:
    """Whether both are numbers, at least one a decimal, and equal up to float noise or rounding.

    Rounding counts to the expected decimals if there are at least four (fewer are a required
    format), or to the given ones if there are at least six, as programming judges ask for.
    """
    found = [DECIMAL.fullmatch(text) for text in (given, expected)]
    if None in found or "." not in given + expected:
        return False
    value, wanted = Decimal(given), Decimal(expected)
    gives, wants = (len(text.partition(".")[2]) for text in (given, expected))
    rounded = gives >= wants >= 4 or wants >= gives >= 6
    half = Decimal((0, (5,), -min(gives, wants) - 1)) if rounded else Decimal(0)
    return abs(value - wanted) <= max(half, abs(wanted) * Decimal("1e-9"))
