"""Publishes a finished release on the Hugging Face Hub: one commit, private unless told else.

The last stage of a line, `- push: {repo: my-org/maths-distill}`. What is uploaded is what the
release's manifest lists, and the manifest; a stray file in the folder is not. The token comes from
where `hf auth login` or HF_TOKEN put it, and is never a setting. A push is safe to repeat: what the
Hub already holds is left alone. The conversation with the Hub itself is in `synth.store.push`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, field_validator

from synth.engine.stage import Delivery, Sink
from synth.errors import InfrastructureFault, InputError, RefusedError, SynthError
from synth.kind import Kind
from synth.store.durable import sha256_file, write_bytes
from synth.store.manifest import (
    NAME,
    Manifest,
    ShardFile,
    ShardReceipt,
    load_manifest,
    verify_file,
)

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/(?!.*(--|\.\.|\.git$))\w([\w.-]{0,94}\w)?", re.ASCII)
LOGIN = "log in with `hf auth login`, or set HF_TOKEN, with a token that may write to it"
AGAIN = "run the same command again: what was uploaded is kept"
PASSING = frozenset({408, 412, 425, 429, 500, 502, 503, 504})
"""Statuses worth another try. 412: somebody else committed meanwhile, so the parent is another."""


class Push(Sink):
    """Publishes the release as a dataset on the Hub."""

    name = "push"
    takes = frozenset({Kind.RELEASE})

    repo: str
    """The dataset's name on the Hub: `organisation/name` or `user/name`."""
    private: bool = True
    tag: str | None = Field(default=None, min_length=1)
    """A name for this commit; a tag that marks another commit is never moved."""
    revision: str = Field(default="main", min_length=1)
    """The branch; made when it is not there."""

    @field_validator("repo")
    @classmethod
    def _is_a_dataset_name(cls, value: str) -> str:
        if not REPO.fullmatch(value):
            raise ValueError(
                f"{value!r} is no name of a dataset on the Hub; expected `org/name`, "
                "like my-org/maths-distill, without an address or `datasets/` before it"
            )
        return value

    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """The run's release is on the Hub, and `push.json` says where. Makes no shards."""
        from synth.engine.plan import RELEASE

        receipt = push_release(delivery.run / RELEASE, self, say=delivery.say)
        write_bytes(delivery.folder / "push.json", receipt.model_dump_json(indent=1).encode())
        return []


class PushReceipt(BaseModel):
    """Where the release is now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    url: str
    commit: str
    """The id of the commit that holds the release."""
    files: int
    bytes: int
    tag: str | None
    already: bool
    """The Hub held this very release before: nothing was sent."""


def push_release(
    release: Path, settings: Push, *, say: Callable[[str], None] = lambda _line: None
) -> PushReceipt:
    """The release stands on the Hub as one commit, verified against its manifest.

    `say` gets one line per step. Raises `InputError` without a finished release, `StoreFault` for a
    damaged file, `RefusedError` for what a rule or a right forbids, `InfrastructureFault` when the
    Hub cannot be reached; the same call goes on from there.
    """
    manifest = _finished(release)
    say(f"checking {len(manifest.files)} files in {release}")
    for file in manifest.files:
        verify_file(release, file)

    # Imported here: the Hub's client takes longer to load than a whole recipe to check.
    from synth.store.push import Publication, logged_in

    if not logged_in():
        raise RefusedError(f"no token for the Hub, so {settings.repo} cannot be written: {LOGIN}")
    path = release / NAME
    receipt = ShardFile(path=NAME, rows=0, bytes=path.stat().st_size, sha256=sha256_file(path))
    return Publication(
        folder=release,
        settings=settings,
        files=[*manifest.files, receipt],
        run=f"synth-release: {receipt.sha256[:32]}",
        about=_about(manifest),
        say=say,
    ).publish()


def explain(
    error: Exception, settings: Push, endpoint: str, *, reached: bool
) -> tuple[SynthError, bool]:
    """The client's error in our words, and whether it may pass. Raises it again when it is a bug.

    Says nothing of headers, tokens and signed upload addresses, which the client's own texts may.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    for cause in causes(error):
        if isinstance(cause, OfflineModeIsEnabled):
            return RefusedError("HF_HUB_OFFLINE is set; unset it to push"), False
        if isinstance(cause, HfHubHTTPError):
            status = cause.response.status_code
            if not str(cause.response.request.url).startswith(endpoint):
                fault = f"the storage behind {endpoint} answered {status}; {AGAIN}"
                return InfrastructureFault(fault), True
            if status in PASSING:
                return InfrastructureFault(f"{endpoint} answered {status}; {AGAIN}"), True
            return _refusal(status, cause.server_message, settings.repo), False
        if isinstance(cause, httpx2.TransportError):
            fault = f"no answer from {endpoint} ({type(cause).__name__}); {AGAIN}"
            # Nothing there from the start is told at once: most likely the address is wrong.
            hopeless = isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol)
            return InfrastructureFault(fault), reached or not hopeless
    if isinstance(error, json.JSONDecodeError):
        fault = f"{endpoint} does not answer as the Hub does; {AGAIN}"
        return InfrastructureFault(fault), reached
    if isinstance(error, ValueError):  # the client's own judgement on card, paths and revision
        return InputError(f"the Hub does not accept the release: {_clean(str(error))}"), False
    if isinstance(error, PermissionError):  # Xet's uploader, where its token is refused
        return _refusal(403, None, settings.repo), False
    if isinstance(error, OSError | RuntimeError):  # Xet's uploader, and local files that vanished
        fault = f"the upload to {endpoint} broke off ({type(error).__name__}); {AGAIN}"
        return InfrastructureFault(fault), True
    raise error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what is behind it: the uploader wraps an HTTP error in a `RuntimeError`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(status: int, words: str | None, repo: str) -> RefusedError:
    if status == 401:
        return RefusedError(f"the Hub does not accept the token for {repo}: {LOGIN}")
    if status == 403:
        return RefusedError(
            f"the token may not write to {repo}; it needs the right to write to the datasets of "
            f"{repo.partition('/')[0]!r}: {LOGIN}"
        )
    if status == 404:
        return RefusedError(
            f"{repo} is not there, or the token may not see it; check `repo`, or {LOGIN}"
        )
    told = f": {_clean(words)}" if words else ""
    return RefusedError(f"the Hub refuses the push to {repo} with status {status}{told}")


def _clean(words: str) -> str:
    """One line of what the Hub said, without the token should it repeat it."""
    from huggingface_hub import get_token

    line, token = " ".join(words.split()), get_token()
    return (line.replace(token, "***") if token else line)[:300]


def _finished(release: Path) -> Manifest:
    manifest = load_manifest(release / NAME)
    if manifest is None:
        raise InputError(
            f"no finished release in {release}: it has no {NAME}; run its recipe up to `write`"
        )
    if not manifest.files:
        raise InputError(
            f"{release} is the folder of the stage `{manifest.stage}`, not a release; "
            "push the `release` folder that `write` made"
        )
    for file in manifest.files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"{release / NAME} lists {file.path!r}, which is not in its folder")
    return manifest


def _about(manifest: Manifest) -> str:
    rows = sum(file.rows for file in manifest.files)
    teacher = f", teacher {manifest.teacher.model}" if manifest.teacher else ""
    return f"{manifest.recipe or 'release'}: {rows:,} rows{teacher}; synth-pipeline {manifest.code}"
