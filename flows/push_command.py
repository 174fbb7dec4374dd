"""`synth push`: a flow run that publishes a release on the Hugging Face Hub."""

from __future__ import annotations

from argparse import Namespace

from pydantic import ValidationError

from flows import loop
from flows.progress import ConsoleProgress
from flows.temporary_server import prefect_api
from synth.errors import ExitCode, InputError
from synth.release.push import Push


def push(arguments: Namespace) -> int:
    """A flow run that publishes the release."""
    try:
        settings = Push(repo=arguments.repo, private=not arguments.public, tag=arguments.tag)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    progress = ConsoleProgress()
    with prefect_api(progress.say):
        from flows.pipeline import publish, watching

        watching.set(progress)
        receipt = loop.run(publish(str(arguments.run), settings))
    state = "is already there" if receipt.already else "published"
    print(f"{receipt.repo} {state}: {receipt.url} (commit {receipt.commit[:12]})")
    return ExitCode.OK
