"""Where a run's folder is: on this machine, or a working copy of an address such as s3://bucket/run."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from synth.engine.plan import Plan
from synth.errors import InputError
from synth.store.place import is_address
from synth.store.working_copy import WorkingCopy, copy_of, working

WRITING = ("report", "push", "rollback")
"""The commands on a finished run that write to its folder."""


@contextmanager
def at_place(
    out: str | Path, plan: Plan, say: Callable[[str], None]
) -> Iterator[tuple[Path, WorkingCopy | None]]:
    """The folder of a run at `out`, and its working copy if `out` is an address. See `working`."""
    if not is_address(out):
        yield Path(out), None
        return
    if plan.incremental:
        raise InputError(
            f"--out {out}: the releases of `incremental: true` share files, which S3 cannot: give "
            "a folder"
        )
    with working(str(out), say) as copy:
        yield copy.folder, copy


@contextmanager
def fetched_runs(arguments: Namespace) -> Iterator[None]:
    """Replaces addresses of runs in a command's arguments by the folders of their working copies.

    Fetches what is new there. Locks a run that the command changes, and uploads the changes.
    """
    with ExitStack() as stack:
        for name in ("run", "other"):
            place = getattr(arguments, name, None)
            if place is None or not is_address(place):
                continue
            if arguments.command in WRITING or getattr(arguments, "clean", False):
                copy = stack.enter_context(working(str(place), _to_stderr))
            else:
                copy = copy_of(str(place))
                copy.pull()
            setattr(arguments, name, copy.folder)
        yield


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
