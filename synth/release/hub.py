"""Pushes a release to the Hub as one commit of a dataset.

All steps before the commit can be repeated safely. The commit names its parent, so it applies once
or not at all, and before a retry we search the branch for it. A failed attempt is therefore retried
as a whole, after reading the state of the Hub again. Import this module only to push a release,
because it imports the Hub's client.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd as Add
from huggingface_hub import CommitOperationDelete as Delete
from huggingface_hub import HfApi, get_session, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
from pydantic import BaseModel, ConfigDict

from synth.errors import InfrastructureFault, InputError, RefusedError, StoreFault, SynthError
from synth.release.formats import Format
from synth.store.manifest import CARD, DATA, PROVENANCE, ShardFile

LOGIN = "log in with `hf auth login`, or set HF_TOKEN, with a token that may write to it"
AGAIN = "run the same command again: uploaded files are kept"
PASSING = frozenset({408, 409, 412, 425, 429, 500, 502, 503, 504})
"""Statuses worth another attempt. 409 and 412: somebody else committed at the same time."""
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses between attempts. The client retries uploads (five times in 23 s), but not the commit."""
CONNECT_S = 10.0
ANSWER_S = 180.0
"""Without this limit the client waits forever. Giving up early is safe, because the next attempt
first looks for the commit."""
TABLES = tuple(f"{folder}/" for folder in (DATA, PROVENANCE, *Format))
"""Folders of Parquet files. Those that a release does not list belong to an earlier one."""
GROUP = 8
"""Files per round of uploads. Each round reports progress in one line."""
NOTHING_IGNORED = "# every file of the manifest is meant to be here\n"
"""Replaces a .gitignore on the Hub, which would make the client skip files silently."""


def logged_in() -> bool:
    """Whether the Hub's client finds a token. Raises `RefusedError` if it cannot renew one."""
    try:
        return get_token() is not None
    except Exception:  # many types are possible: OIDC, OAuth, files
        raise RefusedError(f"the Hub's client cannot get its token: {LOGIN}") from None


Result = TypeVar("Result")


class PushReceipt(BaseModel):
    """Where a release was pushed to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    url: str
    commit: str
    """The id of the commit that holds the release."""
    files: int
    bytes: int
    tag: str | None
    already: bool
    """Whether the Hub already had this release, so that nothing was sent."""


class Difference(BaseModel):
    """What a push would change on the Hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    private: bool
    exists: bool
    """Whether the dataset is on the Hub already."""
    tag: str | None
    rows: int
    """Rows of the release's training data."""
    new: list[ShardFile]
    changed: list[ShardFile]
    same: list[ShardFile]
    removed: list[str]
    """Data files of earlier releases."""
    warnings: list[str]
    """What was found in the release."""

    @property
    def lines(self) -> list[str]:
        """The difference in lines for the user."""
        visible = "private" if self.private else "PUBLIC"
        state = f"{visible} dataset" if self.exists else f"new {visible} dataset"
        sent = sum(file.bytes for file in (*self.new, *self.changed))
        tag = f", tag {self.tag}" if self.tag else ""
        counts = f"{len(self.changed)} changed, {len(self.same)} the same, {len(self.removed)} gone"
        return [
            f"{self.repo}: {state}, {self.rows:,} rows{tag}",
            f"{sent / 1e6:,.1f} MB to upload: {len(self.new)} new files, {counts}",
            *(f"  + {file.path} ({file.bytes:,} bytes)" for file in self.new),
            *(f"  ~ {file.path} ({file.bytes:,} bytes)" for file in self.changed),
            *(f"  - {path}" for path in self.removed),
            *self.warnings,
        ]


@dataclass
class Publication:
    """A push of one release to one branch of one dataset."""

    repo: str
    private: bool
    tag: str | None
    revision: str
    """The branch. It is created if it does not exist."""
    folder: Path = Path()
    files: list[ShardFile] = field(default_factory=list)
    """The verified files; the manifest itself is the last."""
    run: str = ""
    """The commit's title. It holds the manifest's sha256, so that this release can be recognised.
    """
    about: str = ""
    tag_names_release: bool = False
    """Whether the tag holds the release's hash, so that it also fits an earlier commit of it."""
    say: Callable[[str], None] = lambda _line: None
    reached: bool = False
    """Whether the Hub has answered once. If so, a failing address is worth another attempt."""
    sent_on: str | None = None
    """The parent of the first commit sent. That commit may exist although no answer came."""

    def __post_init__(self) -> None:
        # `token=True` always sends the login token, even if the environment disables that.
        self.api = HfApi(token=True, library_name="synth-pipeline")

    def publish(self) -> PushReceipt:
        """Pushes the release, with up to `len(WAITS_S)` retries, and returns the receipt."""
        return self._patiently(self._attempt)

    def check(self) -> None:
        """Raises `RefusedError` if the token or the dataset's visibility forbids a push."""
        self._patiently(self._may_write)

    def difference(self, warnings: list[str]) -> Difference:
        """What `publish` would change. Changes nothing."""
        return self._patiently(partial(self._compared, warnings))

    def _patiently(self, act: Callable[[], Result]) -> Result:
        waits = iter(WAITS_S)
        while True:
            try:
                with disable_progress_bars(), _bounded_patience():  # `say` reports the progress
                    return act()
            except SynthError:
                raise
            except Exception as error:
                fault, passing = explain(error, self.repo, self.api.endpoint, reached=self.reached)
                wait = next(waits, None) if passing else None
                if wait is None:
                    # `from None`, because the cause's text may hold a signed upload address.
                    raise fault from None
                pause = max(wait * random.uniform(0.75, 1.25), _asked_to_wait_s(error))
                self.say(f"{str(fault).partition(';')[0]}; trying again in {pause:.0f} s")
                time.sleep(pause)

    def _may_write(self) -> None:
        """Raises `RefusedError` as `check` does."""
        told = self.api.whoami()
        self.reached = True
        if told.get("auth", {}).get("accessToken", {}).get("role") == "read":
            raise RefusedError(f"the token may only read, not write to {self.repo}: {LOGIN}")
        self._exists()

    def _exists(self) -> bool:
        """Whether the dataset exists. Raises `RefusedError` if it is not as private as asked."""
        with contextlib.suppress(RepositoryNotFoundError):
            self._check_visibility()
            return True
        return False

    def _check_visibility(self) -> None:
        found = self.api.repo_info(self.repo, repo_type="dataset").private
        if found is not self.private:
            now, asked = ("private", "public") if found else ("public", "private")
            raise RefusedError(
                f"{self.repo} exists and is {now}, but `push` asks for {asked}; nothing was "
                f"uploaded. Make it {asked} in its settings on the Hub, choose another `repo`, or "
                f"set `private: {str(not self.private).lower()}` under `push`"
            )

    def _compared(self, warnings: list[str]) -> Difference:
        exists = self._exists()
        there: dict[str, RepoFile] = {}
        if exists:
            with contextlib.suppress(RevisionNotFoundError):
                there = self._tree(self.revision)
        same = [file for file in self.files if self._same(there.get(file.path), file)]
        sent = [file for file in self.files if file not in same]
        return Difference(
            repo=self.repo,
            private=self.private,
            exists=exists,
            tag=self.tag,
            rows=sum(file.rows for file in self.files if file.path.startswith(f"{DATA}/")),
            new=[file for file in sent if file.path not in there],
            changed=[file for file in sent if file.path in there],
            same=same,
            removed=self._stale(there),
            warnings=warnings,
        )

    def _attempt(self) -> PushReceipt:
        self._open()
        head, tagged = self._refs()
        there = self._tree(head)
        commit = self._landed(head, there)
        already = commit is not None and self.sent_on is None
        if self.tag and tagged not in (None, commit) and not self.tag_names_release:
            raise RefusedError(
                f"tag {self.tag!r} of {self.repo} marks another commit ({tagged}), and a "
                "published tag is not moved; choose another `tag` under `push`"
            )
        if commit is None:
            commit = self._commit(head, self._stale(there))
        if self.tag and tagged is None:
            self.api.create_tag(self.repo, tag=self.tag, revision=commit, repo_type="dataset")
        url = f"{self.api.endpoint}/datasets/{self.repo}"
        self.say(f"{url} {'already held' if already else 'holds'} the release, commit {commit}")
        return PushReceipt(
            repo=self.repo,
            url=url,
            commit=commit,
            files=len(self.files),
            bytes=sum(file.bytes for file in self.files),
            tag=self.tag,
            already=already,
        )

    def _open(self) -> None:
        """Creates the dataset if needed, and checks that it is as private as requested."""
        self.api.create_repo(self.repo, repo_type="dataset", private=self.private, exist_ok=True)
        self.reached = True
        # For a dataset that exists, `create_repo` succeeds without making it private or public.
        self._check_visibility()

    def _refs(self) -> tuple[str, str | None]:
        """The head of the branch, and the commit that the tag already marks, if any."""
        refs = self.api.list_repo_refs(self.repo, repo_type="dataset")
        heads = {ref.name: ref.target_commit for ref in refs.branches}
        if self.revision not in heads:
            self.api.create_branch(
                self.repo, branch=self.revision, repo_type="dataset", exist_ok=True
            )
            info = self.api.repo_info(self.repo, repo_type="dataset", revision=self.revision)
            heads[self.revision] = str(info.sha)
        tags = {ref.name: ref.target_commit for ref in refs.tags}
        return heads[self.revision], tags.get(self.tag or "")

    def _landed(self, head: str, there: dict[str, RepoFile]) -> str | None:
        """The commit that added this release, if the branch has it.

        Once we have sent a commit, we look for its title, since others may have committed after it.
        Before that we compare the content, except for the card, which people edit on the Hub.
        """
        ours = [file for file in self.files if file.path != CARD]
        held = not self._stale(there) and all(self._same(there.get(f.path), f) for f in ours)
        if not held and self.sent_on is None:
            return None
        for commit in self.api.list_repo_commits(self.repo, repo_type="dataset", revision=head):
            if commit.commit_id == self.sent_on:
                break  # earlier commits are not ours
            if commit.title == self.run:
                return str(commit.commit_id)
        return head if held else None

    def _commit(self, head: str, stale: list[str]) -> str:
        """Commits the release, removes stale files, and returns the commit's id."""
        adds = [Add(file.path, self.folder / file.path) for file in self.files]
        for add, file in zip(adds, self.files, strict=True):
            # This hash was just verified. The client need not read the file again, and the Hub
            # refuses a file that changes from now on.
            add.upload_info.sha256 = bytes.fromhex(file.sha256)
        for start in range(0, len(adds), GROUP):
            group = adds[start : start + GROUP]
            self.api.preupload_lfs_files(
                self.repo,
                group,
                repo_type="dataset",
                revision=self.revision,
                gitignore_content=NOTHING_IGNORED,
                free_memory=False,
            )
            self.say(f"uploaded {start + len(group)} of {len(adds)} files to {self.repo}")
        self.sent_on = self.sent_on or head
        commit = self.api.create_commit(
            self.repo,
            [*adds, *(Delete(path, is_folder=False) for path in stale)],
            commit_message=self.run,
            commit_description=self.about,
            repo_type="dataset",
            revision=self.revision,
            parent_commit=head,
        ).oid
        there = self._tree(commit)
        if lost := [file.path for file in self.files if not self._same(there.get(file.path), file)]:
            raise StoreFault(
                f"commit {commit} of {self.repo} does not hold {lost[0]} as it is in {self.folder} "
                f"({len(lost)} of {len(self.files)} files differ); run the same command again"
            )
        return commit

    def _tree(self, revision: str) -> dict[str, RepoFile]:
        entries = self.api.list_repo_tree(
            self.repo, repo_type="dataset", revision=revision, recursive=True
        )
        return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}

    def _stale(self, there: dict[str, RepoFile]) -> list[str]:
        """Data files of earlier releases, which `load_dataset` would read as part of this one."""
        ours = {file.path for file in self.files}
        return sorted(path for path in there if path.startswith(TABLES) and path not in ours)

    def _same(self, there: RepoFile | None, file: ShardFile) -> bool:
        if there is None or there.size != file.bytes:
            return False
        if there.lfs is not None:
            return there.lfs.sha256 == file.sha256
        content = (self.folder / file.path).read_bytes()  # plain git: a few MB at most
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return there.blob_id == blob.hexdigest()


def explain(
    error: Exception, repo: str, endpoint: str, *, reached: bool
) -> tuple[SynthError, bool]:
    """The client's error in our words, and whether it may be transient. Raises bugs again.

    Leaves out headers, tokens and signed upload addresses, which the client's texts may contain.
    """
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
            return _refusal(status, cause.server_message, repo), False
        if isinstance(cause, httpx2.TransportError):
            fault = f"no answer from {endpoint} ({type(cause).__name__}); {AGAIN}"
            # No connection from the start is reported at once: the address is probably wrong.
            hopeless = isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol)
            return InfrastructureFault(fault), reached or not hopeless
    if isinstance(error, json.JSONDecodeError):
        fault = f"{endpoint} does not answer as the Hub does; {AGAIN}"
        return InfrastructureFault(fault), reached
    if isinstance(error, ValueError):  # the client rejects the card, paths or revision
        return InputError(f"the Hub does not accept the release: {_clean(str(error))}"), False
    if isinstance(error, PermissionError):  # Xet's uploader, if its token is refused
        return _refusal(403, None, repo), False
    if isinstance(error, OSError | RuntimeError):  # Xet's uploader, and local files that vanished
        fault = f"the upload to {endpoint} broke off ({type(error).__name__}); {AGAIN}"
        return InfrastructureFault(fault), True
    raise error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes. The uploader wraps HTTP errors in a `RuntimeError`."""
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
            f"{repo} does not exist, or the token may not read it; check `repo`, or {LOGIN}"
        )
    details = f": {_clean(words)}" if words else ""
    return RefusedError(f"the Hub refuses the push to {repo} with status {status}{details}")


def _clean(words: str) -> str:
    """The Hub's message on one line, without the token."""
    line, token = " ".join(words.split()), get_token()
    return (line.replace(token, "***") if token else line)[:300]


@contextlib.contextmanager
def _bounded_patience() -> Iterator[None]:
    """Sets a timeout for the client's connections, unless the user has set one."""
    client = get_session()
    before = client.timeout
    if before.read is None:
        client.timeout = httpx2.Timeout(ANSWER_S, connect=CONNECT_S)
    try:
        yield
    finally:
        client.timeout = before


def _asked_to_wait_s(error: Exception) -> float:
    """The pause that the Hub requests in `Retry-After`, at most its five-minute window."""
    for cause in causes(error):
        if isinstance(cause, HfHubHTTPError):
            seconds = cause.response.headers.get("retry-after", "")
            return min(float(seconds), 300.0) if seconds.isdecimal() else 0.0
    return 0.0
