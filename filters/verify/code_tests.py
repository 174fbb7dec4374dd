"""The tests of a row, as `reference.tests` holds them, in the formats that the field uses.

def check(candidate):⏎    assert candidate(2) == 4⏎⏎check(square)      HumanEval
assert square(2) == 4                                                  MBPP
{"fn_name": "square", "inputs": [[2]], "outputs": [4]}                 APPS, called
{"inputs": ["2\\n"], "outputs": ["4\\n"]}                                APPS, stdin to stdout
[{"input": "2\\n", "output": "4\\n"}]                                    LiveCodeBench
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from filters.verify.sandbox import literal
from filters.verify.sandbox.literal import MOST_BYTES, TooLargeError


class FunctionTests(NamedTuple):
    """Tests that call functions, as a job for the sandbox that runs them."""

    job: bytes


class ProgramTests(NamedTuple):
    """Inputs of a program, each with the output that is expected."""

    cases: list[tuple[str, str]]


class UnusableTestsError(Exception):
    """There is nothing to check with. Says why."""


def read_tests(text: str | None, prompt: str) -> FunctionTests | ProgramTests:
    """The tests; `prompt` is code that they may use helpers of."""
    if not text or not text.strip():
        raise UnusableTestsError("no tests")
    if len(text) > MOST_BYTES:
        raise UnusableTestsError("the tests are larger than 1 MB")
    if text.lstrip()[0] not in "[{":
        return _function_tests({"tests": text, "prompt": prompt})
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # Python may begin so as well
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
        raise UnusableTestsError(f"{len(inputs)} inputs and {len(outputs)} outputs")
    if name := value.get("fn_name"):
        if not all(isinstance(args, list) for args in inputs):
            raise UnusableTestsError("an input is no list of arguments")
        return _function_tests({"name": str(name), "calls": inputs, "expected": outputs})
    if not all(isinstance(one, str) for one in [*inputs, *outputs]):
        raise UnusableTestsError("an input or output of a program is no text")
    if not any(map(str.strip, outputs)):
        raise UnusableTestsError("no output is expected of the program")
    return ProgramTests(list(zip(inputs, outputs, strict=True)))


def _function_tests(job: dict[str, Any]) -> FunctionTests:
    try:
        return FunctionTests(literal.encode(job))
    except TooLargeError as error:
        raise UnusableTestsError(f"the tests are {error}") from None


def same_output(given: str, expected: str) -> bool:
    """Whether the lines are the same but for white space at their ends, and blank last ones."""
    return _lines(given) == _lines(expected)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
