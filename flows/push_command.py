"""`synth push`: publishes a release on the Hugging Face Hub.

If the user configured a Prefect server, the push is a flow run there. Otherwise it runs without
Prefect, since nobody would see a temporary server.
"""

from __future__ import annotations

from argparse import Namespace

from pydantic import ValidationError

from flows import loop
from flows.progress import ConsoleProgress
from flows.temporary_server import configured, prefect_api
from synth.engine.plan import RELEASE
from synth.errors import ExitCode, InputError
from synth.release.hub import PushReceipt
from synth.release.push import Push, push_release


def push(arguments: Namespace) -> int:
    """Publishes the release of the run."""
    try:
        settings = Push(repo=arguments.repo, private=not arguments.public, tag=arguments.tag)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    progress = ConsoleProgress()
    if configured():
        receipt = _pushed_by_flow(str(arguments.run), settings, progress)
    else:
        receipt = push_release(arguments.run / RELEASE, settings, say=progress.say)
    state = "is already there" if receipt.already else "published"
    print(f"{receipt.repo} {state}: {receipt.url} (commit {receipt.commit[:12]})")
    return ExitCode.OK


def _pushed_by_flow(run: str, settings: Push, progress: ConsoleProgress) -> PushReceipt:
    with prefect_api(progress.say):
        from flows.pipeline import publish, watching  # noqa: PLC0415  imports Prefect

        watching.set(progress)
        return loop.run(publish(run, settings))
