"""`synth rollback`: makes an earlier release of an incremental run the current one."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path

from flows import loop
from flows.increments import write_increment_again
from flows.progress import ConsoleProgress
from flows.show import show_releases
from flows.terminal import print_line
from synth.engine.lock import locked
from synth.engine.receipts import forget_hashes
from synth.errors import ExitCode, InputError
from synth.release.union import current_release, lost_files, make_current
from synth.store.increments import RELEASES, load_state, numbers_in


def rollback(arguments: Namespace) -> int:
    """Makes release `--to` the current one; the one before the current by default."""
    root = arguments.run
    known = numbers_in(root / RELEASES)
    if not known:
        raise InputError(f"{root} has no releases of an incremental run")
    with locked(root), ConsoleProgress() as progress:
        forget_hashes()
        number = _before(root) if arguments.to is None else arguments.to
        if number not in known:
            listed = ", ".join(map(str, known))
            raise InputError(f"{root} has no release {number}; known: {listed}")
        for increment in lost_files(root, number):
            loop.run(write_increment_again(root, increment, progress))
        make_current(root, number)
    show_releases(root)
    if withdrawn := load_state(root).withdrawn:
        numbers = ", ".join(map(str, withdrawn))
        print_line(
            f"The next run reads the rows of withdrawn increments ({numbers}) again, unless the "
            "release has them, with the recipe as it is then. To leave bad rows out, remove them "
            f"from the input first. To undo: synth rollback {shlex.quote(str(root))} "
            f"--to {max(withdrawn)}"
        )
    return ExitCode.OK


def _before(root: Path) -> int:
    """The number of the release that the current one extends."""
    release = current_release(root)
    if release is None or len(release.increments) < 2:
        raise InputError(f"{root} has no release before the current one")
    return release.increments[-2].number
