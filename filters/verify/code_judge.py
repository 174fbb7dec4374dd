"""One answer against its tests, in a sandbox."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from filters.verify.code_block import PYTHON, program_in
from filters.verify.code_tests import FunctionTests, ProgramTests, same_output
from filters.verify.sandbox import literal
from filters.verify.sandbox.literal import TooLargeError
from filters.verify.sandbox.pool import Sandbox
from filters.verify.sandbox.run import (
    Answer,
    Budget,
    OutsideKillError,
    check_function,
    run_program,
)
from synth.verdicts import Check, Verdict

CONSTANTS: Final = (None, ("synth",))  # what a function may always give, and must not pass by
SHOWN_CHARS: Final = 120
MOST_ARGUMENT: Final = 131_000  # bytes; Linux: MAX_ARG_STRLEN


class Judge:
    """Checks answers, and knows which tests can show nothing. For many threads."""

    def __init__(self, sandbox: Sandbox, command: Sequence[str], budget: Budget) -> None:
        self.sandbox, self.command, self.budget = sandbox, list(command), budget
        self._flaws: dict[bytes, Check | None] = {}

    def check(self, prompt: str, text: str, tests: FunctionTests | ProgramTests) -> Check:
        """The check of one answer; `prompt` is code that it may go on from."""
        try:
            if isinstance(tests, ProgramTests):
                return self._program(text, tests)
            return self._function(prompt, text, tests)
        except TooLargeError as error:
            return Check(Verdict.UNVERIFIED, f"the answer is {error}")

    def _function(self, prompt: str, text: str, tests: FunctionTests) -> Check:
        if self.command:
            return Check(Verdict.UNVERIFIED, "the tests call a function, which needs Python")
        answer = Answer(prompt, *program_in(text))
        answer.job()  # raises before anything is run
        return self._flaw(tests) or self._held(tests, answer)

    def _flaw(self, tests: FunctionTests) -> Check | None:
        """Why the tests can show nothing, or None. Found out once for each text of tests."""
        key = hashlib.sha256(tests.job).digest()
        if key not in self._flaws:
            self._flaws[key] = next(
                filter(None, map(partial(self._accepts, tests), CONSTANTS)), None
            )
        return self._flaws[key]

    def _accepts(self, tests: FunctionTests, constant: object) -> Check | None:
        if self._held(tests, constant).verdict is not Verdict.PASS:
            return None  # also where they break: that is told by the run with the answer
        why = f"the tests also hold for a function that always gives {constant!r}"
        return Check(Verdict.UNVERIFIED, why)

    def _held(self, tests: FunctionTests, answer: Answer | object) -> Check:
        return twice(
            lambda: self.sandbox.use(
                lambda lane: check_function(lane, tests.job, answer, self.budget)
            )
        )

    def _program(self, text: str, tests: ProgramTests) -> Check:
        code = program_in(text, None if self.command else PYTHON).code
        role = "command" if self.command else "script"
        if self.command and len(code.encode()) > MOST_ARGUMENT:
            raise TooLargeError("larger than 128 kB")
        job = literal.encode([*self.command, code]) if self.command else literal.encode_text(code)
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
    """The check, tried once more where something from outside has killed the process."""
    for _ in range(2):
        try:
            return work()
        except OutsideKillError:
            continue
    return Check(Verdict.ERROR, "the sandboxed process was killed from outside, twice")
