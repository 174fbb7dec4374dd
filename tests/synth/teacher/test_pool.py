"""Several replicas over real sockets: each gets its share, and what one loses another answers."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson
import pytest

from synth.errors import TeacherFault
from synth.teacher import guard, replica, wire
from synth.teacher.client import Client, connected
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.parse import parse_replies
from tests.fake_teacher import FakeTeacher, process, serving

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in a run takes tenths here."""
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(guard, "PROBE_BASE_S", 0.05)
    monkeypatch.setattr(guard, "PROBE_CAP_S", 0.1)
    monkeypatch.setattr(replica, "HEALTH_S", 0.3)
    monkeypatch.setattr(guard, "TOKEN_S", 0.3)
    monkeypatch.setattr(replica, "METRICS_S", 0.3)


def body(prompt: str) -> bytes:
    return orjson.dumps({"model": "stand-in", "messages": [{"role": "user", "content": prompt}]})


class PoolTeacher:
    """An open teacher, and what it said to the user."""

    def __init__(self, client: Client, said: list[str]) -> None:
        self.client, self.said = client, said

    async def ask(self, prompt: str) -> str:
        answer = await self.client.ask(body(prompt))
        [reply] = parse_replies(answer.status, answer.body)
        return reply.text or f"{answer.status} {reply.fault}"

    async def ask_all(self, prompts: Iterable[str]) -> list[str]:
        return await asyncio.gather(*map(self.ask, prompts))

    async def heard(self, words: str) -> None:
        """Returns once a line with these words was said."""
        async with asyncio.timeout(5):
            while not any(words in line for line in self.said):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def teaching(*urls: str, **config: Any) -> AsyncIterator[PoolTeacher]:
    said: list[str] = []
    async with open_teacher(TeacherConfig(urls=urls, **config), say=said.append) as served:
        assert isinstance(served.transport, Client)
        yield PoolTeacher(served.transport, said)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result; a test that waits for ever fails."""

    async def bounded() -> T:
        async with asyncio.timeout(15):
            return await work

    return asyncio.run(bounded())


def prompts(number: int) -> list[str]:
    return [f"prompt {n}" for n in range(number)]


def answers(number: int) -> list[str]:
    return [f"prompt {n}!" for n in range(number)]


def test_replicas_share_the_requests_and_each_keeps_its_own_limit() -> None:
    async def work() -> None:
        a, b = FakeTeacher(latency_s=0.01), FakeTeacher(latency_s=0.01)
        async with serving(a, b), teaching(a.url, b.url, concurrency=4) as teacher:
            assert await teacher.ask_all(prompts(40)) == answers(40)
        assert (a.most_at_once, b.most_at_once) == (4, 4)
        assert sorted(a.asked + b.asked) == sorted(prompts(40))

    run(work())


def test_a_few_requests_are_spread_over_idle_replicas() -> None:
    async def work() -> None:
        a, b = FakeTeacher(latency_s=0.05), FakeTeacher(latency_s=0.05)
        async with serving(a, b), teaching(a.url, b.url, concurrency=64) as teacher:
            await teacher.ask_all(prompts(10))
        assert (len(a.asked), len(b.asked)) == (5, 5)

    run(work())


def test_of_those_that_wait_the_earliest_shard_goes_first() -> None:
    async def work() -> None:
        a = FakeTeacher(latency_s=0.01)
        async with serving(a), teaching(a.url, concurrency=1) as teacher:
            shards = [3, 1, 2, 1, 0]
            bodies = [body(f"shard {shard}") for shard in shards]
            ask = teacher.client.ask
            await asyncio.gather(
                *(ask(one, shard=shard) for one, shard in zip(bodies, shards, strict=True))
            )
        # the first took the slot that was free
        assert a.asked == ["shard 3", "shard 0", "shard 1", "shard 1", "shard 2"]

    run(work())


def test_two_replicas_of_unequal_speed_are_both_kept_full() -> None:
    async def work() -> None:
        fast, slow = FakeTeacher(latency_s=0.04), FakeTeacher(latency_s=0.16)
        held: list[list[int]] = []
        async with serving(fast, slow), teaching(fast.url, slow.url, concurrency=8) as teacher:
            asking = asyncio.create_task(teacher.ask_all(prompts(200)))
            while len(fast.asked) + len(slow.asked) < 180:
                await asyncio.sleep(0.005)
                held.append([one.in_flight for one in teacher.client.pool.replicas])
            assert await asking == answers(200)
        for all_the_time in zip(*held, strict=True):
            assert statistics.mean(all_the_time) > 0.95 * 8
        assert 2.5 < len(fast.asked) / len(slow.asked) < 4.5

    run(work())


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ({"root": "Qwen/Qwen3-8B-Base"}, r"Qwen/Qwen3-8B 0\.12\.0.*Qwen/Qwen3-8B-Base"),
        ({"version": "0.13.0"}, r"0\.12\.0.*0\.13\.0"),
        ({"model": "llama"}, "names the model 'stand-in'.*serves llama"),
    ],
)
def test_replicas_that_are_not_one_teacher_are_refused(other: dict[str, Any], shown: str) -> None:
    async def work() -> None:
        a, b = FakeTeacher(root="Qwen/Qwen3-8B"), FakeTeacher(**{"root": "Qwen/Qwen3-8B"} | other)
        async with serving(a, b):
            with pytest.raises(TeacherFault, match=shown) as fault:
                async with teaching(a.url, b.url, model="stand-in"):
                    pass
            assert b.url in str(fault.value)

    run(work())


def test_a_replica_that_is_not_there_at_the_start_is_named() -> None:
    async def work() -> None:
        a, b = FakeTeacher(), FakeTeacher()
        async with serving(a, b):
            await b.die()
            with pytest.raises(TeacherFault, match=f"no teacher answers at {b.url}"):
                async with teaching(a.url, b.url):
                    pass

    run(work())


def test_what_a_dead_replica_held_is_answered_by_the_other() -> None:
    async def work() -> None:
        a, b = FakeTeacher(latency_s=0.2), FakeTeacher(latency_s=0.01)
        async with serving(a, b), teaching(a.url, b.url, concurrency=8) as teacher:
            asking = asyncio.create_task(teacher.ask_all(prompts(60)))
            await asyncio.sleep(0.1)
            await a.die()
            assert await asking == answers(60)
            await teacher.heard(f"{a.url} is down")
        lost = set(a.asked) & set(b.asked)
        assert lost, "it held some when it died"

    run(work())


def test_a_hung_replica_behind_a_good_health_is_found_and_its_requests_are_asked_elsewhere() -> (
    None
):
    async def work() -> None:
        a, b = FakeTeacher(hung=True), FakeTeacher(latency_s=0.01)
        async with serving(a, b), teaching(a.url, b.url, concurrency=8, stall_s=0.3) as teacher:
            begin = time.monotonic()
            assert await teacher.ask_all(prompts(30)) == answers(30)
            assert time.monotonic() - begin < 30
            assert "without an answer for 0 s; `stall_s` is 0.3; no token" in teacher.said[0]
            await a.unhang()
            await teacher.heard(f"{a.url} answers again")
            a.asked.clear()
            await teacher.ask_all(prompts(10))
            assert a.asked, "it has its share again"

    run(work())


def test_a_single_hung_replica_is_asked_again_once_it_goes_on() -> None:
    async def work() -> None:
        a = FakeTeacher(hung=True)
        async with serving(a), teaching(a.url, stall_s=0.2) as teacher:
            asking = asyncio.create_task(teacher.ask_all(prompts(5)))
            await teacher.heard("waiting for it for at most 600 s")
            await a.unhang()
            assert await asking == answers(5)

    run(work())


async def generate(server: FakeTeacher) -> None:
    """Its count of tokens grows all the time, and not only with a reply."""
    while True:
        server.tokens += 1
        await asyncio.sleep(0.02)


def test_long_replies_are_no_stall_while_tokens_are_generated() -> None:
    async def work() -> None:
        a = FakeTeacher(latency_s=1.0)
        async with serving(a), teaching(a.url, stall_s=0.2) as teacher:
            generating = asyncio.create_task(generate(a))
            assert await teacher.ask_all(prompts(3)) == answers(3)
            generating.cancel()
        assert (a.probes, len(a.asked)) == (0, 3)

    run(work())


def test_a_token_that_is_late_while_others_are_generated_proves_nothing() -> None:
    async def work() -> None:
        a = FakeTeacher(latency_s=1.5, seats=1)
        async with serving(a), teaching(a.url, stall_s=0.2) as teacher:
            asking = asyncio.create_task(teacher.ask("prompt 0"))
            while not a.waiting:  # the probe
                await asyncio.sleep(0.01)
            generating = asyncio.create_task(generate(a))
            assert await asking == "prompt 0!"
            generating.cancel()
            assert teacher.said == []
        assert len(a.asked) == 1

    run(work())


def test_long_replies_without_metrics_are_left_alone_where_the_probe_is_answered() -> None:
    async def work() -> None:
        a = FakeTeacher(latency_s=0.8, tells_metrics=False)
        async with serving(a), teaching(a.url, stall_s=0.2) as teacher:
            assert await teacher.ask_all(prompts(3)) == answers(3)
            assert teacher.said == []
        assert a.probes
        assert len(a.asked) == 3

    run(work())


@pytest.mark.parametrize("health", [200, 404])
def test_a_slow_server_with_one_seat_generates_each_reply_once(health: int) -> None:
    """The probe waits behind our own requests, and no metrics tell that it makes progress."""

    async def work() -> None:
        a = FakeTeacher(latency_s=0.6, seats=1, tells_metrics=False, health=health)
        async with serving(a), teaching(a.url, stall_s=0.1) as teacher:
            assert await teacher.ask_all(prompts(3)) == answers(3)
            assert teacher.said == []
        assert a.probes
        assert sorted(a.asked) == prompts(3)

    run(work())


def test_after_a_false_alarm_the_wait_doubles_up_to_the_time_of_a_request() -> None:
    async def work() -> None:
        a = FakeTeacher(latency_s=1.3, tells_metrics=False)
        async with serving(a), teaching(a.url, stall_s=0.1, timeout_s=5) as teacher:
            assert await teacher.ask("prompt 0") == "prompt 0!"
        # after 0.1 s, 0.2 more, 0.4 more; each time a little later
        assert a.probes == 3

    run(work())


def test_a_hung_server_without_metrics_is_found_by_the_time_of_its_requests() -> None:
    async def work() -> None:
        a, b = FakeTeacher(hung=True, tells_metrics=False), FakeTeacher()
        config = {"concurrency": 4, "stall_s": 0.1, "timeout_s": 0.8}
        async with serving(a, b), teaching(a.url, b.url, **config) as teacher:
            assert await teacher.ask_all(prompts(8)) == answers(8)
            await teacher.heard("no token within 0.3 s")
        assert len(a.asked) <= 4

    run(work())


def test_after_three_failures_a_replica_is_left_alone_until_a_probe_succeeds() -> None:
    async def work() -> None:
        a, b = FakeTeacher(status=500, health=500), FakeTeacher()
        async with serving(a, b), teaching(a.url, b.url, concurrency=4) as teacher:
            assert await teacher.ask_all(prompts(20)) == answers(20)
            failed = len(a.asked)
            assert 3 <= failed < 8, "four are sent at once, before the third has failed"
            assert await teacher.ask_all(prompts(20)) == answers(20)
            assert len(a.asked) == failed
            a.status = 200
            await asyncio.sleep(0.3)
            assert len(a.asked) == failed, "health is still bad"
            a.health = 200
            await teacher.heard("answers again")
            await teacher.ask_all(prompts(20))
            assert len(a.asked) > failed

    run(work())


def test_failures_with_answers_between_them_open_no_breaker() -> None:
    async def work() -> None:
        a = FakeTeacher()
        async with serving(a), teaching(a.url) as teacher:
            for n in range(5):
                a.status = 500
                asking = asyncio.create_task(teacher.ask(f"prompt {n}"))
                while len(a.asked) == 2 * n:
                    await asyncio.sleep(0.001)
                a.status = 200
                assert await asking == f"prompt {n}!"
            assert (a.probes, teacher.said) == (0, [])

    run(work())


def test_a_replica_that_returns_as_another_model_stays_out() -> None:
    async def work() -> None:
        a, b = FakeTeacher(root="Qwen/Qwen3-8B"), FakeTeacher(root="Qwen/Qwen3-8B")
        async with serving(a, b), teaching(a.url, b.url, concurrency=4) as teacher:
            await a.die()
            await teacher.ask_all(prompts(20))
            await teacher.heard("is down")
            a.root, asked = "Qwen/Qwen3-14B", len(a.asked)
            await a.start()
            await asyncio.sleep(0.3)
            await teacher.ask_all(prompts(20))
            assert len(a.asked) == asked
            await b.die()
            asking = asyncio.create_task(teacher.ask("last"))
            await teacher.heard("it was the last replica")
            a.root = "Qwen/Qwen3-8B"
            assert await asking == "last!"

    run(work())


def test_with_every_replica_down_requests_wait_and_the_user_is_told() -> None:
    async def work() -> None:
        a, b = FakeTeacher(latency_s=0.05), FakeTeacher(latency_s=0.05)
        async with serving(a, b), teaching(a.url, b.url, concurrency=4) as teacher:
            asking = asyncio.create_task(teacher.ask_all(prompts(40)))
            await asyncio.sleep(0.08)
            await asyncio.gather(a.die(), b.die())
            await teacher.heard("waiting for it for at most 600 s")
            await b.start()
            assert await asking == answers(40)
            assert any(f"{b.url} answers again" in line for line in teacher.said)

    run(work())


def test_with_every_replica_down_for_too_long_the_run_stops_and_can_go_on() -> None:
    async def work() -> None:
        a, b = FakeTeacher(), FakeTeacher()
        async with serving(a, b), teaching(a.url, b.url, patience_s=0.5) as teacher:
            await asyncio.gather(a.die(), b.die())
            with pytest.raises(TeacherFault, match="run the same command") as fault:
                await teacher.ask_all(prompts(200))
            assert a.url in str(fault.value)
            with pytest.raises(TeacherFault):  # at once: nobody waits twice for the same silence
                await asyncio.wait_for(teacher.ask("one more"), 0.1)
            await a.start()
            await teacher.heard("answers again")
            assert await teacher.ask("later") == "later!"

    run(work())


def test_who_can_restart_a_replica_is_asked_to_and_the_run_goes_on() -> None:
    async def work() -> None:
        a = FakeTeacher(latency_s=0.05)
        calls: list[tuple[str, str]] = []

        async def restart(url: str, why: str, *, blameless: bool) -> None:
            calls.append((url, why))
            await asyncio.sleep(0.3)  # longer than the patience
            await a.start()

        async with serving(a), connected([a.url], patience_s=0.1, restart=restart) as client:
            asking = asyncio.create_task(PoolTeacher(client, []).ask_all(prompts(20)))
            await asyncio.sleep(0.02)
            await a.die()
            assert await asking == answers(20)
            assert [url for url, _ in calls] == [a.url]

    run(work())


def test_a_replica_that_cannot_be_restarted_ends_the_run_with_that_reason() -> None:
    async def work() -> None:
        a = FakeTeacher()

        async def restart(_url: str, _why: str, *, blameless: bool) -> None:
            raise TeacherFault("it was started three times in vain")

        async with serving(a), connected([a.url], restart=restart) as client:
            await a.die()
            with pytest.raises(TeacherFault, match="three times in vain"):
                await PoolTeacher(client, []).ask_all(prompts(20))

    run(work())


def test_a_cancelled_request_frees_its_slot_and_stays_cancelled() -> None:
    async def work() -> None:
        a = FakeTeacher(hung=True)
        async with serving(a), teaching(a.url, concurrency=2) as teacher:
            tasks = [asyncio.create_task(teacher.ask(f"lost {n}")) for n in range(6)]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
            await a.unhang()
            assert await teacher.ask_all(prompts(6)) == answers(6)

    run(work())


def test_a_request_taken_back_can_still_be_cancelled_by_its_owner() -> None:
    async def work() -> None:
        a = FakeTeacher(hung=True)
        async with serving(a), teaching(a.url) as teacher:
            task = asyncio.create_task(teacher.ask("lost"))
            await asyncio.sleep(0.05)
            teacher.client.pool.replicas[0].cut_off()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(work())


def test_a_bug_in_the_guard_is_no_silent_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object, **_options: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(replica.Replica, "look", broken)

    async def work() -> None:
        a = FakeTeacher(hung=True)
        async with serving(a), teaching(a.url, concurrency=1) as teacher:
            with pytest.raises(KeyError, match="bug"):
                await asyncio.wait_for(teacher.ask_all(prompts(2)), 2)

    run(work())


def test_a_replica_killed_for_real_loses_nothing() -> None:
    async def work() -> None:
        with process(50) as (dying, a), process(50) as (_, b):
            async with teaching(a, b, concurrency=16) as teacher:
                asking = asyncio.create_task(teacher.ask_all(prompts(300)))
                await asyncio.sleep(0.15)
                dying.kill()
                replies = await asking
                await teacher.heard(f"{a} is down")
        assert len(replies) == 300
        assert set(replies) == {replies[0]}
        assert replies[0].startswith("A reply of some length")

    run(work())


def test_a_replica_stopped_for_real_is_found_and_used_again_when_it_goes_on() -> None:
    async def work() -> None:
        with process(20) as (stopping, a), process(20) as (_, b):
            async with teaching(a, b, concurrency=16, stall_s=0.4) as teacher:
                stopping.send_signal(signal.SIGSTOP)
                replies = await teacher.ask_all(prompts(200))
                assert len(replies) == 200
                assert f"{a} is down" in teacher.said[0]
                assert "no answer from /health within 0.3 s" in teacher.said[0]
                stopping.send_signal(signal.SIGCONT)
                await teacher.heard(f"{a} answers again")

    run(work())


def test_a_bug_where_an_answer_is_read_is_raised_where_it_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_self: object, _outcome: object, _request_id: str) -> None:
        raise OverflowError("a year that no calendar has")

    async def work() -> None:
        a = FakeTeacher()
        async with serving(a), teaching(a.url, concurrency=1) as teacher:
            with monkeypatch.context() as patched:
                patched.setattr(replica.Replica, "result_of", broken)
                for _ in range(2):  # its slot is free again
                    with pytest.raises(OverflowError, match="no calendar"):
                        await asyncio.wait_for(teacher.ask("prompt"), 2)
            assert await teacher.ask("prompt") == "prompt!"

    run(work())


def test_a_bug_where_a_request_is_sent_is_raised_where_it_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_self: object, _body: bytes) -> bytes:
        raise KeyError("bug")

    async def work() -> None:
        a = FakeTeacher(latency_s=0.1)
        async with serving(a), teaching(a.url, concurrency=1) as teacher:
            first = asyncio.create_task(teacher.ask("first"))
            await asyncio.sleep(0.05)
            monkeypatch.setattr(wire.Wire, "prepared", broken)
            with pytest.raises(KeyError, match="bug"):  # sent from where the first one is read
                await asyncio.wait_for(teacher.ask("second"), 2)
            assert await first == "first!"

    run(work())


def test_a_bug_below_a_request_is_raised_where_it_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_args: object, **_options: object) -> None:
        raise KeyError("bug")

    async def work() -> None:
        a = FakeTeacher()
        async with serving(a), teaching(a.url, concurrency=1) as teacher:
            monkeypatch.setattr(wire.Wire, "post", broken)
            for _ in range(2):  # its slot is free again
                with pytest.raises(KeyError, match="bug"):
                    await asyncio.wait_for(teacher.ask("prompt"), 2)

    run(work())
