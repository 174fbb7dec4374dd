"""One job on another machine, which shares only a place (a disk or object storage) with the run.

The worker fetches what the job reads into a folder of its own and does the job there; the journal,
too, is on its own disk. It stores what it made as an attempt, under a name that nobody else uses:

    attempts/02-distill-00005-9f1c2b3a/02-distill/kept/00005.parquet  …

The run takes one attempt over. So a worker that was cut off and comes back changes nothing.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Self
from uuid import uuid4

from synth import __version__
from synth.engine.basis import NAME as BASIS
from synth.engine.basis import differences, load_basis
from synth.engine.plan import StageFolder
from synth.engine.runner import Action, Given, Job, Runner
from synth.errors import InputError, StoreFault
from synth.store.durable import write_bytes
from synth.store.manifest import ShardFile
from synth.store.place import RunPlace
from synth.teacher.journal_check import replies_in

ATTEMPTS = "attempts"
OTHERS = "others.json"
"""Beside a stage's manifest: the journals in which its shards look for replies, with versions."""
_FETCHING = Lock()
"""Errands of one worker want the same journals."""
OF_ONE_SHARD = (Action.APPLY, Action.SIGN, Action.SPLIT)
"""The jobs that any machine can do."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A job for another machine. Holds only plain values."""

    place: str
    """The path or address that all machines reach."""
    run: str
    """The run's folder in the place; "" if the place is the run's folder."""
    job: Job
    input: str
    """The folder of the stage before, such as `01-evolve`."""
    kept: ShardFile
    """The shard that the job reads."""
    fingerprint: str
    """The fingerprint of the job's receipt."""
    code: str = __version__
    """The version of synth that hands it out."""

    @classmethod
    def of(cls, place: RunPlace, run: str, runner: Runner, job: Job) -> Self:
        """The job as an errand. The stage before it is finished."""
        receipts, before = runner.receipts, runner.receipts.before(job.stage)
        fingerprint = receipts.shard_fingerprint(job.stage, job.shard, before)
        given = receipts.folder(job.stage - 1).path.name
        return cls(place.url, run, job, given, before.shards[job.shard].kept, fingerprint)

    def plain(self) -> dict[str, Any]:
        """The errand in JSON types."""
        return {**asdict(self), "job": list(self.job), "kept": self.kept.model_dump()}

    @classmethod
    def load(cls, plain: dict[str, Any]) -> Self:
        """The errand with these values. Raises `InputError` if another version handed it out."""
        if plain["code"] != __version__:
            raise InputError(
                f"the worker {socket.gethostname()} has synth {__version__}, and the run has synth "
                f"{plain['code']}: install the same version on every machine"
            )
        stage, name, action, shard = plain["job"][:4]
        job, kept = Job(stage, name, Action(action), shard), ShardFile(**plain["kept"])
        return cls(**{**plain, "job": job, "kept": kept})

    @property
    def folder(self) -> StageFolder:
        """The folder of the job's stage, relative to the place."""
        return StageFolder.of(Path(self.run), self.job.stage, self.job.name)

    def name(self, *parts: str) -> str:
        """The name, in the place, of something in the run's folder."""
        return PurePosixPath(self.run, *parts).as_posix()


def list_journals(runner: Runner, index: int, place: RunPlace, root: Path) -> Path:
    """Writes a list of the journals that may have replies for rows of other shards, before a stage
    starts, and returns its path.

    Leaves out a finished shard's journal that has no more replies than the shard has requests.
    `root` is the place on this machine.
    """
    folder = runner.receipts.folder(index)
    versions: dict[str, str] = {}
    found = []
    for path in folder.journals():
        if replies_in(path) > runner.finished_requests(index, path):
            beside, name = (
                one.resolve().relative_to(root).as_posix() for one in (path.parent, path)
            )
            if name not in versions:
                versions |= place.files(beside)
            found.append([name, versions.get(name, "")])
    write_bytes(folder.path / OTHERS, json.dumps(found).encode())
    return folder.path / OTHERS


def fetch(place: RunPlace, errand: Errand, root: Path, cache: Path) -> Given:
    """Copies what the job reads from the place to `root`, except the plan. Raises `StoreFault`.

    `cache` keeps other shards' journals for the next errands.
    """
    folder, shard = errand.folder, errand.job.shard
    _need(place, errand.name(errand.input, errand.kept.path), root)
    _need(place, (folder.path / BASIS).as_posix(), root)
    if errand.job.action is Action.SPLIT:
        for name in place.files(folder.work(shard).as_posix()):
            _need(place, name, root)
    own, journals = folder.journal(shard).as_posix(), []
    if errand.job.action is Action.APPLY:
        for name in (own, folder.receipt(shard).as_posix()):
            place.get(name, root / name)
        others = (folder.path / OTHERS).as_posix()
        _need(place, others, root)
        for name, version in json.loads((root / others).read_bytes()):
            digest = sha256(f"{place.url} {name} {version}".encode()).hexdigest()
            path = cache / f"{digest}.sqlite"
            with _FETCHING:
                if name != own and (path.is_file() or place.get(name, path)):
                    journals.append(path)
    return Given(errand.kept, errand.fingerprint, tuple(journals))


def _need(place: RunPlace, name: str, root: Path) -> None:
    if not place.get(name, root / name):
        raise StoreFault(
            f"{name} is not in {place.url}, as the worker {socket.gethostname()} sees it: every "
            "machine must reach the run's folder under the same path or address"
        )


def check_same(runner: Runner, job: Job) -> None:
    """Raises `InputError` if this machine would do the job differently from the run's machine."""
    saved = load_basis(runner.receipts.folder(job.stage).path)
    here = runner.receipts.basis(job.stage).anywhere
    if saved is None or saved.anywhere != here:
        changed = differences(saved.anywhere, here) if saved else ["it cannot be read"]
        raise InputError(
            f"the worker {socket.gethostname()} differs from the machine of the run in "
            f"{job.label}: {'; '.join(changed)}. Install the same version of synth on every "
            "machine, and put the same files under the same paths"
        )


def store(place: RunPlace, errand: Errand, root: Path) -> str:
    """Stores what the job made as an attempt and returns the attempt's name."""
    attempt = f"{errand.folder.path.name}-{errand.job.shard:05d}-{uuid4().hex[:8]}"
    folder = StageFolder.of(root / errand.run, errand.job.stage, errand.job.name)
    for name in made_by(errand.job, folder, root):
        place.put(root / name, f"{errand.name(ATTEMPTS, attempt)}/{name}")
    return attempt


def store_journal(place: RunPlace, errand: Errand, root: Path) -> None:
    """Stores the journal of a job that failed, so that the next run has its replies."""
    journal = errand.folder.journal(errand.job.shard).as_posix()
    attempt = f"{errand.folder.path.name}-{errand.job.shard:05d}-{uuid4().hex[:8]}"
    if (root / journal).is_file():
        place.put(root / journal, f"{errand.name(ATTEMPTS, attempt)}/{journal}")


def made_by(job: Job, folder: StageFolder, root: Path) -> list[str]:
    """The names, relative to `root`, of what a job of one shard made there; the receipt last."""
    if job.action is Action.SIGN:
        paths = sorted(path for path in folder.work(job.shard).rglob("*") if path.is_file())
    else:
        kept, rejected = folder.path / folder.kept(job.shard), folder.rejected(job.shard)
        paths = [kept, folder.path / rejected, folder.journal(job.shard), folder.receipt(job.shard)]
    return [path.relative_to(root).as_posix() for path in paths if path.is_file()]


def take_over(place: RunPlace, errand: Errand, attempt: str) -> list[str]:
    """Puts the attempt's files in their places, the receipt last. Returns their names."""
    under = errand.name(ATTEMPTS, attempt)
    receipt = errand.folder.receipt(errand.job.shard).as_posix()
    names = [name.removeprefix(f"{under}/") for name in place.files(under)]
    place.remove(receipt)  # the next lines replace its files
    for name in sorted(names, key=lambda name: name == receipt):
        place.move(f"{under}/{name}", name)
    return names


def gather(place: RunPlace, run: str) -> list[str]:
    """Moves journals of attempts that nobody took over beside those of their stages, where shards
    look for replies; removes the rest of these attempts. Returns the names of the journals.

    The caller has the run's lock, so no attempt is being taken over.
    """
    under, journals = PurePosixPath(run, ATTEMPTS).as_posix(), []
    for name in place.files(under):
        attempt, _, inside = name.removeprefix(f"{under}/").partition("/")
        path = PurePosixPath(inside)
        if path.parent.name == "journal":
            mark = attempt.rpartition("-")[2]
            journals.append(path.with_name(f"{path.stem}-{mark}.sqlite").as_posix())
            place.move(name, journals[-1])
    place.clear(under)
    return journals
