"""The error model of the whole project.

Three things can go wrong:

- **A bad record is data.** An unparsable line, a refused request or an empty reply: the row goes to
  a `rejected/` shard with a stable snake_case reason. Nothing is raised and no row is lost.
- **A wrong recipe, file or command** raises a `SynthError` that names the value, the place and the
  choices. Nothing has been written yet.
- **An infrastructure fault** (dead teacher, full disk, locked folder) raises `InfrastructureFault`
  after retries. Everything on disk stays valid, and the same command resumes the run.

Any other exception is a bug in this project and shows its traceback. `synth` exits with the code of
the error that ended it. The exit codes are part of the interface.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum

THREE_WAYS = (
    "three ways to get a teacher: ask a served model with `--teacher http://HOST:PORT/v1`; install "
    "vLLM on a machine with a GPU (`pip install vllm`), and the run launches the recipe's model; "
    "or try the small model on this machine's CPU with `--teacher embedded` (few of its rows "
    "survive the filters)"
)
"""Advice for users who have no teacher."""


class ExitCode(IntEnum):
    """The exit codes of `synth`."""

    OK = 0
    BUG = 1
    """An unexpected error. It prints a traceback; please report it."""
    INVALID = 2
    """A wrong command, recipe or input file: nothing was written."""
    INFRASTRUCTURE = 3
    """The teacher, the disk or Prefect failed: the same command resumes."""
    LOCKED = 4
    """Another run is using the run folder."""
    EMPTY = 5
    """The run ended, but no row survived: there is no release."""
    BUDGET = 6
    """The budget is used up, or the deadline has passed: the same command continues with more."""
    GUARD = 7
    """A guard stopped the run: look at its texts, then resume."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM: the same command resumes."""


class SynthError(Exception):
    """An error that is shown as one message, without a traceback."""

    exit_code = ExitCode.INVALID


class RecipeError(SynthError):
    """The recipe is wrong; the message has one line per mistake, with file, line and choices."""


class InputError(SynthError):
    """A whole input cannot be used: it is missing, empty, or in an unknown format."""


class RefusedError(SynthError):
    """The request is not allowed, by the Hub (the token lacks the right) or on this machine."""


class RunLockedError(SynthError):
    """Another process is using the run folder."""

    exit_code = ExitCode.LOCKED


class NoRowsError(SynthError):
    """Every row was rejected, so there is nothing to release."""

    exit_code = ExitCode.EMPTY


class BudgetSpentError(SynthError):
    """A cap of the budget is reached. Replies so far are kept, and the run can be continued.

    `setting` is the key of the cap, such as `tokens`.
    """

    exit_code = ExitCode.BUDGET

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class GuardError(SynthError):
    """A guard of the recipe stopped the run. Finished work stays valid, and the run can be resumed.
    Not retried: the same replies would stop it again."""

    exit_code = ExitCode.GUARD


class InfrastructureFault(SynthError):  # noqa: N818  a fault, not a mistake: the error model tells them apart
    """Something outside the data failed. Transient faults are retried; after others, the run can
    be resumed."""

    exit_code = ExitCode.INFRASTRUCTURE


class TeacherFault(InfrastructureFault):
    """The teacher is unreachable, overloaded for too long, or not the model the recipe names."""


class StoreFault(InfrastructureFault):
    """A shard, journal or manifest cannot be written, or does not match its checksum."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'evolve'?` if a known name is similar, ignoring case; else an empty text."""
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""
