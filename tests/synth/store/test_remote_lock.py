"""The lock of a run on S3, on moto's server: `make test-s3`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from synth.errors import RunLockedError
from synth.store.place import Bucket
from synth.store.remote_lock import LOCK, Holder, RemoteLock, locked_place
from tests.moto import moto

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def bucket() -> Iterator[None]:
    with moto() as system:
        system.mkdir("runs")
        yield


@pytest.fixture
def place(bucket: None, request: pytest.FixtureRequest) -> Bucket:
    return Bucket(f"s3://runs/{request.node.name}")


def held_since(place: Bucket, age: timedelta) -> None:
    holder = Holder(host="gpu1", process=4711, time=datetime.now(UTC) - age)
    place.system.pipe_file(place.path(LOCK), holder.model_dump_json().encode())


def test_a_second_run_is_refused_until_the_first_ends(place: Bucket) -> None:
    with locked_place(place) as check:
        with (
            pytest.raises(RunLockedError, match=r"is in use by process \d+ on "),
            locked_place(place),
        ):
            pass
        check()
    assert place.files() == {}
    with locked_place(place):
        pass


def test_a_lock_that_nobody_renews_is_taken_over_after_five_minutes(place: Bucket) -> None:
    held_since(place, timedelta(minutes=4))
    with pytest.raises(RunLockedError, match="process 4711 on gpu1"), locked_place(place):
        pass
    held_since(place, timedelta(minutes=6))
    with locked_place(place):
        assert b"gpu1" not in place.system.cat_file(place.path(LOCK))


def test_of_two_that_take_over_a_stale_lock_one_gets_it(place: Bucket) -> None:
    held_since(place, timedelta(minutes=6))
    first, second = RemoteLock(place), RemoteLock(place)
    found = second._found()
    first.take()
    second._found = lambda: found  # type: ignore[method-assign]  it looked before the first wrote
    with pytest.raises(RunLockedError, match="another process has just begun"):
        second.take()


def test_who_lost_the_lock_writes_no_more(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.store.remote_lock.RENEW_S", 0.01)
    lock = RemoteLock(place)
    lock.take()
    held_since(place, timedelta())  # another process
    lock.keep()  # ends when it finds out
    with pytest.raises(RunLockedError, match="another process took over"):
        lock.check()
    lock.release()
    assert list(place.files()) == [LOCK]  # the other's
