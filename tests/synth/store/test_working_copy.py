"""A working copy and a bucket become alike; nothing that was paid for is lost on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import fsspec
import pytest

from synth.store.working_copy import WorkingCopy
from tests.memory_bucket import MemoryBucket

Copy = Callable[[str], WorkingCopy]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    """Makes the working copy of a machine."""
    url = f"memory://{tmp_path.name}/run"
    yield lambda machine: WorkingCopy(MemoryBucket(url), tmp_path / machine)
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


def write(copy: WorkingCopy, **files: str) -> None:
    for name, content in files.items():
        path = copy.folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def files(copy: WorkingCopy) -> dict[str, str]:
    paths = (path for path in sorted(copy.folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(copy.folder).as_posix(): path.read_text()
        for path in paths
        if not path.name.startswith(".")
    }


def test_another_machine_continues_where_one_stopped(copy: Copy) -> None:
    one, two = copy("one"), copy("two")
    one.folder.mkdir()
    own = {"teacher__log": "x", "stage__work__0.npy": "part"}
    write(one, stage__kept="rows", stage__receipt="r", **own)
    one.temporary = lambda name: "/work/" in name
    one.push()
    assert two.pull() == 2
    assert files(two) == {"stage/kept": "rows", "stage/receipt": "r"}
    assert two.pull() == 0
    write(two, stage__kept="new rows")
    (two.folder / "stage/receipt").unlink()
    two.push()
    one = copy("one")  # in another process
    one.pull()
    assert files(one) == {
        "stage/kept": "new rows",
        "stage/work/0.npy": "part",
        "teacher/log": "x",
    }


def test_a_lost_or_half_fetched_copy_is_fetched_again(copy: Copy) -> None:
    one = copy("one")
    one.folder.mkdir()
    write(one, a="1", b="2")
    one.push()
    (one.folder / "a").unlink()
    assert copy("one").pull() == 1
    (one.folder / ".synced.json").unlink()
    assert copy("one").pull() == 2
    assert files(one) == {"a": "1", "b": "2"}


def test_data_is_uploaded_before_receipts_and_manifests(copy: Copy) -> None:
    one, order = copy("one"), []
    one.folder.mkdir()
    write(one, **{"s__manifest.json": "m", "s__receipts__0.json": "r", "s__kept__0": "k"})
    put = one.place.put
    one.place.put = lambda path, name: (order.append(name), put(path, name))  # type: ignore[method-assign]  watched
    one.push()
    assert order == ["s/kept/0", "s/receipts/0.json", "s/manifest.json"]


def test_a_journal_with_other_replies_stays_under_another_name(copy: Copy) -> None:
    def journal(machine: WorkingCopy, reply: str) -> None:
        path = machine.folder / "s/journal/00000.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS replies (body)")
            database.execute("INSERT INTO replies VALUES (?)", (reply,))

    def replies(machine: WorkingCopy) -> list[set[str]]:
        found = []
        for path in sorted((machine.folder / "s/journal").glob("*.sqlite")):
            with closing(sqlite3.connect(path)) as database:
                found.append({body for (body,) in database.execute("SELECT body FROM replies")})
        return found

    one, two = copy("one"), copy("two")
    journal(one, "both")
    one.push()
    two.pull()
    journal(two, "of two")
    two.push()
    journal(one, "of one")  # the machine was lost before it uploaded this
    one = copy("one")
    one.pull()
    assert replies(one) == [{"both", "of one"}, {"both", "of two"}]
    one.push()
    two.pull()
    assert replies(two) == replies(one)
