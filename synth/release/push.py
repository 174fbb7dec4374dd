"""Publishes a finished release on the Hugging Face Hub, as one commit. Private by default.

It uploads the manifest and the files that it lists, and no other file in the folder. The token
comes from `hf auth login` or HF_TOKEN and is never a setting. Repeating a push is safe: files
already on the Hub are not sent again. `synth.release.hub` makes the requests. The recipe's stage
`push`, in `filters/pii/push.py`, also scans the release before it is published.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pydantic import Field, field_validator

from synth.errors import InputError, RefusedError
from synth.model import Model
from synth.release.hub import LOGIN, Difference, Publication, PushReceipt, logged_in
from synth.store.durable import sha256_file
from synth.store.manifest import NAME, Manifest, ShardFile, load_manifest, verify_file

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/(?!.*(--|\.\.|\.git$))\w([\w.-]{0,94}\w)?", re.ASCII)


class Destination(Model):
    """Where a release is published."""

    repo: str
    """The dataset's name on the Hub: `organisation/name` or `user/name`."""
    private: bool = True
    tag: str | None = Field(default="release-{release}", min_length=1)
    """A tag for this commit; null sets none. `{release}` becomes the first 12 characters of the
    manifest's sha256, so each release has a tag of its own. A tag that already marks another commit
    is never moved."""
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


def check_destination(to: Destination) -> None:
    """Raises `RefusedError` if a push there would be refused: no token, a token that may only read,
    or an existing dataset that is not as private as asked. Raises `InfrastructureFault` if the Hub
    does not answer. Writes nothing."""
    if not logged_in():
        raise RefusedError(f"no token for the Hub, so {to.repo} cannot be written: {LOGIN}")
    Publication(to.repo, to.private, None, to.revision).check()


def push_release(
    release: Path,
    to: Destination,
    *,
    say: Callable[[str], None] = lambda _line: None,
    inspect: Callable[[Manifest], list[str]] = lambda _manifest: [],
    agreed: Callable[[Difference], bool] | None = None,
) -> PushReceipt | None:
    """Verifies the release against its manifest and pushes it to the Hub as one commit.

    `say` gets one line per step. `inspect` looks at the release and returns warnings, or raises.
    `agreed` sees what the push would change, with these warnings, and decides whether it happens;
    if not, the result is None and nothing was written. Raises `InputError` if there is no
    finished release, `StoreFault` for a damaged file, `RefusedError` if a rule or the token forbids
    the push, and `InfrastructureFault` if the Hub cannot be reached. The same call then resumes the
    push.
    """
    manifest = finished_release(release)
    check_destination(to)
    say(f"checking {len(manifest.files)} files in {release}")
    for file in manifest.files:
        verify_file(release, file)
    warnings = inspect(manifest)
    path = release / NAME
    receipt = ShardFile(path=NAME, rows=0, bytes=path.stat().st_size, sha256=sha256_file(path))
    publication = Publication(
        to.repo,
        to.private,
        to.tag and to.tag.replace("{release}", receipt.sha256[:12]),
        to.revision,
        folder=release,
        files=[*manifest.files, receipt],
        run=f"synth-release: {receipt.sha256[:32]}",
        about=_about(manifest),
        tag_names_release=to.tag is not None and "{release}" in to.tag,
        say=say,
    )
    if agreed is not None and not agreed(publication.difference(warnings)):
        return None
    return publication.publish()


def finished_release(release: Path) -> Manifest:
    """The manifest of a release. Raises `InputError` if the folder holds no finished release."""
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
