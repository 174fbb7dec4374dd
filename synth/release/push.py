"""Publishes a finished release on the Hugging Face Hub, as one commit. Private by default.

This is a recipe's last stage: `- push: {repo: my-org/maths-distill}`. It uploads the manifest and
the files that it lists, and no other file in the folder. The token comes from `hf auth login` or
HF_TOKEN and is never a setting. Repeating a push is safe: files already on the Hub are not sent
again. `synth.release.hub` makes the requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pydantic import Field, field_validator

from synth.engine.plan import RELEASE
from synth.engine.stage import Delivery, Sink
from synth.errors import InputError, RefusedError
from synth.kind import Kind
from synth.release.hub import LOGIN, Publication, PushReceipt, logged_in
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


class Push(Sink):
    """Publishes the release as a dataset on the Hub."""

    name = "push"
    takes = frozenset({Kind.RELEASE})

    repo: str
    """The dataset's name on the Hub: `organisation/name` or `user/name`."""
    private: bool = True
    tag: str | None = Field(default=None, min_length=1)
    """A tag for this commit. A tag that already marks another commit is never moved."""
    revision: str = Field(default="main", min_length=1)
    """The branch. It is created if it does not exist."""

    @field_validator("repo")
    @classmethod
    def _is_a_dataset_name(cls, value: str) -> str:
        if not REPO.fullmatch(value):
            raise ValueError(
                f"{value!r} is not the name of a dataset on the Hub; expected `org/name`, "
                "like my-org/maths-distill, without an address or `datasets/` before it"
            )
        return value

    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """Pushes the run's release and writes its address to `push.json`. Makes no shards."""
        receipt = push_release(delivery.run / RELEASE, self, say=delivery.say)
        write_bytes(delivery.folder / "push.json", receipt.model_dump_json(indent=1).encode())
        return []


def push_release(
    release: Path, settings: Push, *, say: Callable[[str], None] = lambda _line: None
) -> PushReceipt:
    """Verifies the release against its manifest and pushes it to the Hub as one commit.

    `say` gets one line per step. Raises `InputError` if there is no finished release, `StoreFault`
    for a damaged file, `RefusedError` if a rule or the token forbids the push, and
    `InfrastructureFault` if the Hub cannot be reached. The same call then resumes the push.
    """
    manifest = _finished(release)
    say(f"checking {len(manifest.files)} files in {release}")
    for file in manifest.files:
        verify_file(release, file)

    if not logged_in():
        raise RefusedError(f"no token for the Hub, so {settings.repo} cannot be written: {LOGIN}")
    path = release / NAME
    receipt = ShardFile(path=NAME, rows=0, bytes=path.stat().st_size, sha256=sha256_file(path))
    return Publication(
        folder=release,
        repo=settings.repo,
        private=settings.private,
        tag=settings.tag,
        revision=settings.revision,
        files=[*manifest.files, receipt],
        run=f"synth-release: {receipt.sha256[:32]}",
        about=_about(manifest),
        say=say,
    ).publish()


def _finished(release: Path) -> Manifest:
    manifest = load_manifest(release / NAME)
    if manifest is None:
        raise InputError(
            f"no finished release in {release}: there is no {NAME}; run the recipe up to `write`"
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
    rows = manifest.rows_kept
    teacher = f", teacher {manifest.teacher.model}" if manifest.teacher else ""
    return f"{manifest.recipe or 'release'}: {rows:,} rows{teacher}; synth-pipeline {manifest.code}"
