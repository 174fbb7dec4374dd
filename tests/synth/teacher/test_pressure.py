"""A replica holds as many requests as it can use: fewer while they queue there, more when not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from synth.teacher import guard
from synth.teacher.client import connected
from synth.teacher.pressure import InFlightLimit, PrefixUse, Pressure, read_pressure
from tests.fake_teacher import FakeTeacher, serving

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
vllm:prefix_cache_queries_total{engine="0",model_name="Qwen/Qwen3-8B"} 300.0
vllm:prefix_cache_queries_total{engine="1",model_name="Qwen/Qwen3-8B"} 100.0
vllm:prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen3-8B"} 240.0
vllm:external_prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen3-8B"} 7.0
"""


def looked(limit: InFlightLimit, times: int, **seen: Any) -> int:
    """The limit after so many looks at the same."""
    usual = {"in_flight": 0, "answered": 100, "refused": 0, "pressure": None, "moves": True}
    seen = usual | seen
    for _ in range(times):
        limit.look(**seen)
    return limit.now


def test_the_load_is_read_from_vllms_metrics_all_engines_together() -> None:
    assert read_pressure(EXPOSITION) == Pressure(64, 128, 0.75, 1_200_500, PrefixUse(400, 240))


LLAMA = """\
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 38
llamacpp:prompt_tokens_cached_total 74
llamacpp:prompt_seconds_total 4.28671
llamacpp:tokens_predicted_total 800
llamacpp:n_decode_total 1012
llamacpp:requests_processing 1
llamacpp:requests_deferred 15
"""


def test_the_load_is_read_from_llamacpps_metrics_whose_steps_are_a_sign_of_life() -> None:
    told = read_pressure(LLAMA)
    assert told == Pressure(1, 15, tokens=1850, prefixes=PrefixUse(112, 74), engine_apart=False)
    assert looked(InFlightLimit(256), 100, pressure=told) == 1


@pytest.mark.parametrize("text", ["", "<html>404</html>", "process_cpu_seconds_total 3.0\n"])
def test_metrics_of_other_servers_tell_nothing(text: str) -> None:
    assert read_pressure(text) is None


def test_the_prefix_cache_is_counted_over_all_replicas_and_their_restarts() -> None:
    async def work() -> None:
        a, b = FakeTeacher(prefix_queries=1000, prefix_hits=1000), FakeTeacher()
        async with serving(a, b), connected([a.url, b.url]) as client:
            assert await client.prefix_use() == PrefixUse(0, 0), "what was before is not ours"
            a.prefix_queries, a.prefix_hits, b.prefix_queries = 1100, 1050, 100
            assert await client.prefix_use() == PrefixUse(200, 50)
            a.prefix_queries, a.prefix_hits = 30, 20  # it was started again
            use = await client.prefix_use()
            assert (use, use.share) == (PrefixUse(30, 20), 2 / 3)
            assert (await client.prefix_use()).share is None

    asyncio.run(work())


def test_requests_that_wait_lower_the_limit_by_a_quarter_at_the_second_look() -> None:
    limit = InFlightLimit(256)
    assert looked(limit, 1, pressure=Pressure(64, 192)) == 256
    assert looked(limit, 1, pressure=Pressure(64, 192)) == 192


def test_a_cut_is_awaited_before_the_next_one() -> None:
    limit = InFlightLimit(256)
    looked(limit, 2, pressure=Pressure(64, 192), in_flight=256)
    assert looked(limit, 50, pressure=Pressure(64, 192), in_flight=256) == 192


def test_the_limit_never_falls_below_what_runs_there_or_a_sixteenth() -> None:
    assert looked(InFlightLimit(256), 100, pressure=Pressure(64, 192)) == 64
    assert looked(InFlightLimit(256), 100, pressure=Pressure(2, 192)) == 16
    assert looked(InFlightLimit(64), 100, pressure=Pressure(100, 192)) == 64
    assert looked(InFlightLimit(1), 100, pressure=Pressure(0, 192)) == 1


@pytest.mark.parametrize(("waiting", "moves"), [(0, "up"), (1, "stays"), (6, "stays"), (7, "down")])
def test_a_short_queue_is_left_as_it_is(waiting: int, moves: str) -> None:
    limit = InFlightLimit(256)
    before = looked(limit, 4, pressure=Pressure(64, 192))
    after = looked(limit, 2, pressure=Pressure(64, waiting))
    assert {"up": after > before, "stays": after == before, "down": after < before}[moves]


def test_the_limit_is_back_at_the_top_after_a_minute_without_a_queue() -> None:
    limit = InFlightLimit(256)
    looked(limit, 100, pressure=Pressure(0, 192))
    assert looked(limit, 60, pressure=Pressure(64, 0)) == 256
    assert looked(limit, 60, pressure=Pressure(64, 0)) == 256


def test_a_full_cache_lets_no_more_in() -> None:
    limit = InFlightLimit(256)
    looked(limit, 100, pressure=Pressure(64, 192))
    assert looked(limit, 10, pressure=Pressure(64, 0, cache=0.97)) == 64


def test_a_server_that_stands_still_is_given_no_more() -> None:
    limit = InFlightLimit(256)
    looked(limit, 100, pressure=Pressure(64, 192))
    assert looked(limit, 10, pressure=Pressure(64, 0), answered=0, moves=False) == 64


@pytest.mark.parametrize(("refused", "falls"), [(11, False), (12, True)])
def test_refusals_lower_the_limit_where_no_metrics_are_told(refused: int, falls: bool) -> None:
    assert (looked(InFlightLimit(64), 2, answered=100, refused=refused) < 64) == falls


def test_a_limit_of_one_stays_one() -> None:
    limit = InFlightLimit(1)
    looked(limit, 10, answered=0, refused=1)
    assert looked(limit, 10) == 1


def busy(server: FakeTeacher, until: Callable[[int], bool], **config: Any) -> None:
    """Keeps a replica busy until something holds of its limit, for twenty seconds at most."""

    async def work() -> None:
        async with serving(server), connected([server.url], **config) as client:

            async def lane() -> None:
                while True:
                    await client.ask(b'{"messages": [{"content": "Why?"}]}')

            lanes = [asyncio.create_task(lane()) for _ in range(128)]
            try:
                async with asyncio.timeout(20):
                    while not until(client.pool.replicas[0].limit.now):
                        await asyncio.sleep(0.01)
            finally:
                for task in lanes:
                    task.cancel()
                await asyncio.gather(*lanes, return_exceptions=True)

    asyncio.run(work())


def test_a_replica_with_few_seats_gets_few_requests_and_more_when_it_has_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.02)
    server = FakeTeacher(latency_s=0.1, seats=8)

    def falls_then_recovers(limit: int) -> bool:
        if limit <= 10:
            server.seats = 128
        return server.seats == 128 and limit == 64

    busy(server, falls_then_recovers, concurrency=64)


@pytest.mark.parametrize("status", [429, 503])
def test_a_replica_that_refuses_gets_fewer_requests(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.02)
    server = FakeTeacher(latency_s=0.03, tells_metrics=False, room=12, refusal=status)
    seen: list[tuple[int, int]] = []

    def few_are_refused(_limit: int) -> bool:
        """Of the last 200 or so; untamed, three of four would be."""
        seen.append((len(server.asked), server.refused))
        before = next((old for old in reversed(seen) if seen[-1][0] - old[0] > 200), seen[-1])
        asked, refused = (new - old for new, old in zip(seen[-1], before, strict=True))
        return asked > 200 and refused < 0.2 * asked

    busy(server, few_are_refused, concurrency=64)
