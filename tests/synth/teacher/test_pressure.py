"""A replica holds as many requests as it can use: fewer while they queue there, more when not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from synth.teacher import guard
from synth.teacher.client import connected
from synth.teacher.pressure import Limit, Pressure, read_pressure
from tests.stand_in_vllm import StandIn, standing

EXPOSITION = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 60.0
vllm:num_requests_running{engine="1",model_name="Qwen/Qwen3-8B"} 4.0
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 128.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="Qwen/Qwen3-8B",reason="capacity"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen3-8B"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="Qwen/Qwen3-8B"} 0.75
vllm:prompt_tokens_total{engine="0",model_name="Qwen/Qwen3-8B"} 1.2e+06
vllm:generation_tokens_total{engine="0",model_name="Qwen/Qwen3-8B"} 500.0
vllm:generation_tokens_created{engine="0",model_name="Qwen/Qwen3-8B"} 1.7e+09
"""


def looked(limit: Limit, times: int, **seen: Any) -> int:
    """The limit after so many looks at the same."""
    seen = {"in_flight": 0, "answered": 100, "refused": 0, "pressure": None} | seen
    for _ in range(times):
        limit.look(**seen)
    return limit.now


def test_the_load_is_read_from_vllms_metrics_all_engines_together() -> None:
    assert read_pressure(EXPOSITION) == Pressure(64, 128, 0.75, 1_200_500)


@pytest.mark.parametrize("text", ["", "<html>404</html>", "process_cpu_seconds_total 3.0\n"])
def test_metrics_that_are_not_vllms_tell_nothing(text: str) -> None:
    assert read_pressure(text) is None


def test_requests_that_wait_lower_the_limit_by_a_quarter_at_the_second_look() -> None:
    limit = Limit(256)
    assert looked(limit, 1, pressure=Pressure(64, 192)) == 256
    assert looked(limit, 1, pressure=Pressure(64, 192)) == 192


def test_a_cut_is_awaited_before_the_next_one() -> None:
    limit = Limit(256)
    looked(limit, 2, pressure=Pressure(64, 192), in_flight=256)
    assert looked(limit, 50, pressure=Pressure(64, 192), in_flight=256) == 192


def test_the_limit_never_falls_below_a_sixteenth() -> None:
    assert looked(Limit(256), 100, pressure=Pressure(64, 192)) == 16
    assert looked(Limit(1), 100, pressure=Pressure(64, 192)) == 1


@pytest.mark.parametrize(("waiting", "moves"), [(0, "up"), (1, "stays"), (6, "stays"), (7, "down")])
def test_a_short_queue_is_left_as_it_is(waiting: int, moves: str) -> None:
    limit = Limit(256)
    looked(limit, 4, pressure=Pressure(64, 192))
    before = limit.now
    after = looked(limit, 2, pressure=Pressure(64, waiting))
    assert {"up": after > before, "stays": after == before, "down": after < before}[moves]


def test_the_limit_is_back_at_the_top_after_a_minute_without_a_queue() -> None:
    limit = Limit(256)
    looked(limit, 100, pressure=Pressure(64, 192))
    assert looked(limit, 60, pressure=Pressure(64, 0)) == 256
    assert looked(limit, 60, pressure=Pressure(64, 0)) == 256


def test_a_full_cache_lets_no_more_in() -> None:
    limit = Limit(256)
    looked(limit, 100, pressure=Pressure(64, 192))
    assert looked(limit, 10, pressure=Pressure(64, 0, cache=0.97)) == 16


@pytest.mark.parametrize(("refused", "falls"), [(11, False), (12, True)])
def test_refusals_lower_the_limit_where_no_metrics_are_told(refused: int, falls: bool) -> None:
    assert (looked(Limit(64), 2, answered=100, refused=refused) < 64) == falls


def test_a_limit_of_one_stays_one() -> None:
    limit = Limit(1)
    looked(limit, 10, answered=0, refused=1)
    assert looked(limit, 10) == 1


def held(server: StandIn, until: Callable[[], bool], **config: Any) -> StandIn:
    """Keeps a replica busy until something holds, for five seconds at most."""

    async def work() -> None:
        async with standing(server), connected([server.url], **config) as client:

            async def lane() -> None:
                while True:
                    await client.ask(b'{"messages": [{"content": "Why?"}]}')

            lanes = [asyncio.create_task(lane()) for _ in range(128)]
            try:
                async with asyncio.timeout(5):
                    while not until():
                        await asyncio.sleep(0.01)
            finally:
                for task in lanes:
                    task.cancel()
                await asyncio.gather(*lanes, return_exceptions=True)

    asyncio.run(work())
    return server


def test_a_replica_with_few_seats_gets_few_requests_and_more_when_it_has_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.03)
    server = StandIn(latency_s=0.02, seats=8)
    fell = False

    def falls_then_recovers() -> bool:
        nonlocal fell
        at_it = server.running + server.waiting
        if not fell and server.running == 8 and at_it <= 12:
            fell = True
            server.seats = 64
        return fell and at_it >= 60

    held(server, falls_then_recovers, concurrency=64)


@pytest.mark.parametrize("status", [429, 503])
def test_a_replica_that_refuses_gets_fewer_requests(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.03)
    server = StandIn(latency_s=0.02, tells_metrics=False, room=12, refusal=status)
    seen: list[tuple[int, int]] = []

    def few_are_refused() -> bool:
        """In the last fifth of a second; untamed, three of four would be."""
        seen.append((len(server.asked), server.refused))
        asked, refused = (new - old for new, old in zip(seen[-1], seen[-20:][0], strict=True))
        return len(seen) > 20 and asked > 50 and refused < 0.2 * asked

    held(server, few_are_refused, concurrency=64)
