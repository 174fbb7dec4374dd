"""`code` runs model-written code in a sandbox against the tests of its row.

The candidate's code never sees the expected output: its results leave the sandbox as literals and
are compared elsewhere. sandbox/README.md lists what the sandbox does not cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from pydantic import Field

from filters.verify.code_judge import CodeJudge, program_in
from filters.verify.code_tests import FunctionTests, ProgramTests, UnusableTestsError, read_tests
from filters.verify.sandbox import literal
from filters.verify.sandbox.backend import NoSandboxError
from filters.verify.sandbox.pool import AT_ONCE, Sandbox, find_interpreter
from filters.verify.sandbox.run import SandboxLimits, run_program
from synth.batch import Batch, last_user_turn
from synth.errors import RefusedError
from synth.model import Model
from synth.verdicts import Check, Verdict

Task = tuple[int, str, str, FunctionTests | ProgramTests]
"""The row index, its prompt, its answer and its tests."""


class Code(Model):
    """Runs the code of an answer against `reference.tests`, in a sandbox.

    The tests are asserts that call the function, cases with `fn_name`, or inputs and outputs of a
    program. If the tests also pass for other results, they prove nothing and the row is
    `unverified`.
    """

    name: ClassVar[str] = "code"
    interpreter: tuple[str, ...] = Field(
        (),
        description="a command that takes a program as its last argument and reads standard input, "
        "such as `[node, -e]`; default: Python",
    )
    timeout_s: float = Field(10.0, gt=0, le=600, description="longest time for one run")
    memory_mb: int = Field(512, ge=64, le=65_536, description="most memory for one run")
    required: bool = Field(
        True,
        description="`true` refuses the run on a machine without a sandbox; `false` runs no tests "
        "there and marks rows with tests `unverified`",
    )

    def preflight(self) -> None:
        """Raises `NoSandboxError` if this machine has no working sandbox, or RefusedError."""
        try:
            with self._sandbox() as sandbox:
                self._try_interpreter(sandbox)
        except NoSandboxError:
            if self.required:
                raise

    def check(self, batch: Batch) -> list[Check]:
        """One check per row; the note has the call and its result.

        Raises `SandboxFault` if the sandbox fails during the run.
        """

        prompts = last_user_turn(batch.table).to_pylist()
        checks: list[Check] = []
        tasks: list[Task] = []
        rows = zip(prompts, batch.texts, batch.references, strict=True)
        for row, (prompt, text, reference) in enumerate(rows):
            checks.append(Check(Verdict.NOT_APPLICABLE, "no tests"))
            written = (reference or {}).get("tests") or ""
            if not written.strip():
                continue
            given = program_in(prompt).last
            try:
                tests = read_tests(written, given)
            except UnusableTestsError as unusable:
                checks[row] = Check(Verdict.UNVERIFIED, str(unusable))
            else:
                tasks.append((row, given, text, tests))
        if not tasks:
            return checks
        try:
            found = self._run(tasks)
        except NoSandboxError:
            if self.required:
                raise
            found = [Check(Verdict.UNVERIFIED, "not run: this machine has no sandbox")] * len(tasks)
        for (row, *_), check in zip(tasks, found, strict=True):
            checks[row] = check
        return checks

    def _run(self, tasks: Sequence[Task]) -> list[Check]:
        """The check of each task."""
        with self._sandbox() as sandbox, ThreadPoolExecutor(min(AT_ONCE, len(tasks))) as threads:
            judge = CodeJudge(sandbox, self.command(), self.budget)
            return list(threads.map(lambda task: judge.check(*task[1:]), tasks))

    @property
    def budget(self) -> SandboxLimits:
        """The limits of one run."""
        return SandboxLimits(self.timeout_s, self.memory_mb << 20)

    def command(self) -> list[str]:
        """The interpreter's path and command; [] for Python. Raises `RefusedError` if missing."""
        if not self.interpreter:
            return []
        path = find_interpreter(self.interpreter[0])
        if path is None:
            raise RefusedError(
                f"code: no interpreter {self.interpreter[0]!r} on the PATH; install it, or name "
                "another with `interpreter`"
            )
        return [path, *self.interpreter]

    def _sandbox(self) -> Sandbox:
        return Sandbox(next(iter(self.command()), None))

    def _try_interpreter(self, sandbox: Sandbox) -> None:
        if command := self.command():
            job = literal.encode([*command, ""])
            output = sandbox.use(
                lambda lane: run_program(lane, job, "", self.budget, role="command")
            )
            if output.problem:
                raise RefusedError(
                    f"code: {' '.join(self.interpreter)} does not run in the sandbox: "
                    f"{output.problem}; all users must be able to read it, and it may need more "
                    "than `memory_mb`"
                )
