"""`synth push` and `synth pull`: publish a release on the Hugging Face Hub, and bring it back.

If the user configured a Prefect server, the push is a flow run there. Otherwise it runs without
Prefect, since nobody would see a temporary server.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from pydantic import ValidationError

from filters.pii.push import Push, publish_release
from flows import loop
from flows.progress import ConsoleProgress
from flows.temporary_server import configured, prefect_api
from synth.engine.plan import RELEASE
from synth.errors import ExitCode, InputError
from synth.release.hub import Difference, PushReceipt
from synth.release.pull import pull_release
from synth.release.push import push_release
from synth.store.manifest import DATA


def push(arguments: Namespace) -> int:
    """Publishes the release of the run. On a terminal, asks first."""
    settings = _settings(arguments)
    progress = ConsoleProgress()
    release = arguments.run / RELEASE
    if arguments.dry_run:
        push_release(release, settings, say=progress.say, agreed=_shown)
        return ExitCode.OK
    if configured():
        receipt = _pushed_by_flow(str(arguments.run), settings, progress)
    else:
        agreed = progress.agreed if settings.approve else None
        receipt = publish_release(release, settings, say=progress.say, agreed=agreed)
    if receipt is None:
        print("nothing was published")
        return ExitCode.OK
    state = "is already there" if receipt.already else "published"
    print(f"{receipt.repo} {state}: {receipt.url} (commit {receipt.commit[:12]})")
    return ExitCode.OK


def _settings(arguments: Namespace) -> Push:
    given = {
        "repo": arguments.repo,
        "private": not arguments.public,
        "allow": [kind.strip() for kind in (arguments.allow or "").split(",") if kind.strip()],
        "approve": sys.stdin.isatty() and sys.stderr.isatty() and not arguments.yes,
    }
    if arguments.tag:
        given["tag"] = arguments.tag
    try:
        return Push.model_validate(given)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _shown(difference: Difference) -> bool:
    """Prints what a push would change, and does not agree to it."""
    print("\n".join(difference.lines))
    return False


def _pushed_by_flow(run: str, settings: Push, progress: ConsoleProgress) -> PushReceipt | None:
    with prefect_api(progress.say):
        from flows.pipeline import publish, watching  # noqa: PLC0415  imports Prefect

        watching.set(progress)
        return loop.run(publish(run, settings))


def pull(arguments: Namespace) -> int:
    """Brings a published release back into a run folder."""
    folder = arguments.out or Path("outputs") / arguments.repo.rpartition("/")[2]
    progress = ConsoleProgress()
    manifest = pull_release(arguments.repo, folder / RELEASE, arguments.revision, progress.say)
    rows = sum(file.rows for file in manifest.files if file.path.startswith(f"{DATA}/"))
    print(f"{arguments.repo}: {rows:,} rows are in {folder / RELEASE}, as published")
    return ExitCode.OK
