"""The files of an incremental run, and which of its increments count.

    outputs/nightly/
      increments/0002/  increment.json  input.sha256  seeds.ids  00-read/ … release/
      releases/0002/    README.md  manifest.json: release 2, made by increment 2
      releases/state.json  {"current": 2, "withdrawn": []}
      release/          the current release: the data files of all its increments

The folder of an increment is otherwise that of an ordinary run.
`increments/0002/increment.json`: {"number": 2, "base": 1, "earlier": [1]}
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from synth.errors import StoreFault
from synth.store.durable import write_bytes

INCREMENTS = "increments"
RELEASES = "releases"
MARK = "increment.json"
STATE = "state.json"
SEEDS = "seeds.ids"
"""The ids of the seeds that an increment began with."""
INPUT = "input.sha256"
"""The hash of the input that an increment read when it began."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IncrementMark(_File):
    """Marks a run folder as an increment. Never changes, so that the increment can be repeated."""

    number: int
    base: int
    """The release that was current when it began; 0 for none."""
    earlier: list[int]
    """The increments of that release. Their seeds are not read again."""


class ReleaseState(_File):
    """Which release is current."""

    current: int = 0
    """0 for none."""
    withdrawn: list[int] = []
    """The releases that a rollback withdrew. Their numbers are not used again."""


def is_incremental(run: Path) -> bool:
    """Whether the folder belongs to an incremental run."""
    return (run / INCREMENTS).is_dir()


def increment_run(root: Path, number: int) -> Path:
    """The run folder of an increment."""
    return root / INCREMENTS / f"{number:04d}"


def release_record(root: Path, number: int) -> Path:
    """The folder with the manifest and the card of a release, current or not."""
    return root / RELEASES / f"{number:04d}"


def numbers_in(folder: Path) -> list[int]:
    """The numbers of the increments or releases in the folder, in order."""
    return sorted(int(path.name) for path in folder.glob("[0-9]*/") if path.name.isdecimal())


def load_mark(run: Path) -> IncrementMark | None:
    """The mark of an increment's run folder; None for any other folder."""
    return _load(run / MARK, IncrementMark)


def unfinished(mark: IncrementMark, state: ReleaseState) -> bool:
    """Whether the increment is unfinished: begun on the current release, and not withdrawn.

    An unfinished increment that began on another release is not resumed.
    """
    withdrawn = mark.number in state.withdrawn
    return mark.base == state.current and mark.number != state.current and not withdrawn


def earlier_runs(run: Path) -> list[Path]:
    """The run folders of the increments that this increment builds on."""
    mark = load_mark(run)
    return [run.parent / f"{number:04d}" for number in mark.earlier] if mark else []


def reusable_runs(run: Path) -> list[Path]:
    """The other run folders whose journals hold replies that this run can reuse.

    Those of an increment are earlier increments that were withdrawn or abandoned, since their seeds
    are read again, and the folder above, which has the sample of `synth plan`. Those of the folder
    above are all increments.
    """
    mark = load_mark(run)
    if mark is None:
        return [increment_run(run, number) for number in numbers_in(run / INCREMENTS)]
    others = set(numbers_in(run.parent)) - set(mark.earlier)
    aside = [run.parent / f"{number:04d}" for number in sorted(others) if number < mark.number]
    return [run.parent.parent, *aside]


def load_state(root: Path) -> ReleaseState:
    """The state of an incremental run. Raises `StoreFault` if it is lost, but releases exist."""
    path, found = root / RELEASES / STATE, numbers_in(root / RELEASES)
    if not path.is_file() and found in ([], [1]):
        return ReleaseState()  # 1: a killed run recorded its first release, and came no further
    try:
        if state := _load(path, ReleaseState):
            return state
        wrong = "missing"
    except StoreFault:
        wrong = "damaged"
    raise StoreFault(
        f"{path} is {wrong}, so it is unknown which release is current: choose one with "
        f"`synth rollback {root} --to N`; known: {', '.join(map(str, found))}"
    )


def save_state(root: Path, state: ReleaseState) -> None:
    """Makes a release the current one."""
    _save(root / RELEASES / STATE, state)


def save_mark(run: Path, mark: IncrementMark) -> None:
    """Marks the run folder as an increment."""
    _save(run / MARK, mark)


_Kind = TypeVar("_Kind", bound=_File)


def _save(path: Path, content: _File) -> None:
    """Writes a line of JSON, and its sha256 as another one."""
    line = content.model_dump_json().encode()
    write_bytes(path, line + b'\n"%b"\n' % sha256(line).hexdigest().encode())


def _load(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    line, _, checksum = content.partition(b"\n")
    if checksum != b'"%b"\n' % sha256(line).hexdigest().encode():
        raise StoreFault(f"{path} is damaged: restore it from a backup")
    return kind.model_validate_json(line)
