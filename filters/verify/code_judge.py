"""Extracts the code from an answer and runs it against its tests in a sandbox.

Here it is:⏎```python⏎def f(x): …⏎```⏎For example:⏎```⏎f(3)⏎```  ->  [def f(x): …]
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from filters.verify.code_tests import FunctionTests, ProgramTests, same_output
from filters.verify.sandbox import literal
from filters.verify.sandbox.literal import TooLargeError
from filters.verify.sandbox.pool import Sandbox
from filters.verify.sandbox.run import (
    OutsideKillError,
    SandboxLimits,
    Submission,
    check_function,
    run_program,
)
from synth.text.markdown import blocks
from synth.verdicts import Check, Verdict

SHOWN_CHARS: Final = 120
MOST_ARGUMENT: Final = 131_000  # bytes; Linux: MAX_ARG_STRLEN


class CodeJudge:
    """Checks answers and detects tests that prove nothing. Thread-safe."""

    def __init__(self, sandbox: Sandbox, command: Sequence[str], budget: SandboxLimits) -> None:
        self.sandbox, self.command, self.budget = sandbox, list(command), budget
        self._empty: dict[bytes, bool] = {}
        """Hash of tests: whether a function that always returns None passes them."""
        self._telling: set[bytes] = set()
        """Hashes of the tests that rejected altered results."""

    def check(self, prompt: str, text: str, tests: FunctionTests | ProgramTests) -> Check:
        """Checks one answer; if `prompt` is code, the answer may continue it."""
        try:
            if isinstance(tests, ProgramTests):
                return self._program(text, tests)
            return self._function(prompt, text, tests)
        except TooLargeError as error:
            return Check(Verdict.FAIL, f"the answer is {error}")

    def _function(self, prompt: str, text: str, tests: FunctionTests) -> Check:
        """Checks an answer by tests that call a function.

        Tests prove nothing if they pass for None or for altered results. The answer must pass
        twice: on copies, so that it cannot change expected values, and in place, since tests may
        check how it changes its arguments.
        """
        if self.command:
            return Check(Verdict.UNVERIFIED, "the tests call a function, which needs Python")
        answer = Submission(prompt, *program_in(text), ready=tests.ready)
        answer.job()  # raises `TooLargeError` before any code runs
        key = hashlib.sha256(tests.job).digest()
        if key not in self._empty:
            self._empty[key] = self._held(tests, None).verdict is Verdict.PASS
        if self._empty[key]:
            why = "the tests also pass for a function that always returns None"
            return Check(Verdict.UNVERIFIED, why)
        check = self._held(tests, answer)
        if check.verdict is not Verdict.PASS:
            return check
        if key not in self._telling:
            if self._held(tests, answer, altered=True).verdict is Verdict.PASS:
                why = "the tests also pass for values other than the answer's"
                return Check(Verdict.UNVERIFIED, why)
            self._telling.add(key)
        return self._held(tests, answer, in_place=True)

    def _held(self, tests: FunctionTests, answer: Submission | object, **how: bool) -> Check:
        return twice(
            lambda: self.sandbox.use(
                lambda lane: check_function(lane, tests.job, answer, self.budget, **how)
            )
        )

    def _program(self, text: str, tests: ProgramTests) -> Check:
        role = "command" if self.command else "script"
        if self.command:
            code = program_in(text, None).last
            if len(code.encode()) > MOST_ARGUMENT:
                raise TooLargeError("larger than 128 kB")
            job = literal.encode([*self.command, code])
        else:
            job = literal.encode_text(literal.BETWEEN_BLOCKS.join(program_in(text).blocks))
        for number, (stdin, expected) in enumerate(tests.cases, 1):
            check = twice(partial(self._case, role, job, stdin, expected))
            if check.verdict is not Verdict.PASS:
                where = f"input {number} of {len(tests.cases)}, {stdin[:SHOWN_CHARS]!r}"
                return Check(check.verdict, f"{where}: {check.note}")
        return Check(Verdict.PASS, f"{len(tests.cases)} outputs as expected")

    def _case(self, role: str, job: bytes, stdin: str, expected: str) -> Check:
        output = self.sandbox.use(
            lambda lane: run_program(lane, job, stdin, self.budget, role=role)
        )
        if output.problem:
            return Check(Verdict.FAIL, f"the program {output.problem}")
        if same_output(output.text, expected):
            return Check(Verdict.PASS)
        shown = f"{output.text[:SHOWN_CHARS]!r} in place of {expected[:SHOWN_CHARS]!r}"
        return Check(Verdict.FAIL, shown)


def twice(work: Callable[[], Check]) -> Check:
    """Runs the check again if something outside killed the process the first time."""
    for _ in range(2):
        try:
            return work()
        except OutsideKillError:
            continue
    return Check(Verdict.ERROR, "the sandboxed process was killed from outside, twice")


DEFINES: Final = re.compile(r"^(?:async def|def|class)\b", re.MULTILINE)
PYTHON: Final = frozenset({"python", "py", "python3"})


class ExtractedCode(NamedTuple):
    """The code blocks to run."""

    blocks: list[str]
    """At least one, in the order of the text."""
    marked: bool
    """Whether they are fenced."""

    @property
    def last(self) -> str:
        """The last block that defines something in Python, else the last one."""
        return ([block for block in self.blocks if DEFINES.search(block)] or self.blocks)[-1]


def program_in(text: str, languages: frozenset[str] | None = PYTHON) -> ExtractedCode:
    """The code blocks labelled with one of the languages (None: any), else the unlabelled ones.

    Without either kind, the whole text is the only block.
    """
    found = [
        block
        for block in blocks(text)
        if languages is None or block.language in languages or not block.language
    ]
    named = [block for block in found if block.language] or found
    if not named:
        return ExtractedCode([text], marked=False)
    return ExtractedCode([block.code for block in named], marked=True)
