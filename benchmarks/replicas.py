"""Throughput of two replicas of unequal speed together, divided by the sum of each alone.

Two fake teachers run in separate processes, one four times as slow as the other, with log-normal
latencies (`--latency-ms` is the mean of the faster one). One client asks both without a pause.
Answers per second are counted in a window in the middle, so that neither the start nor the last
replies of the slow replica count.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import ExitStack

import orjson
import uvloop

from benchmarks.asking import fake_server
from benchmarks.loops import PROMPT
from benchmarks.report import options, result, table
from synth.teacher.client import connected

GOAL = 0.9
SIGMA = 0.6


async def per_second(urls: list[str], concurrency: int, warm_s: float, seconds: float) -> float:
    """Answers per second, with twice as many askers as slots."""
    answered = 0
    async with connected(urls, concurrency=concurrency) as client:

        async def lane(number: int) -> None:
            nonlocal answered
            body = {"messages": [{"role": "user", "content": PROMPT.format(n=number)}]}
            while True:
                await client.ask(orjson.dumps(body))
                answered += 1

        lanes = [asyncio.create_task(lane(n)) for n in range(2 * concurrency * len(urls))]
        await asyncio.sleep(warm_s)
        begin, before = time.monotonic(), answered
        await asyncio.sleep(seconds)
        rate = (answered - before) / (time.monotonic() - begin)
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
    return rate


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, concurrency=64, latency_ms=200.0, seconds=5.0, runs=3)
    concurrency, fast_ms = given.concurrency, given.latency_ms
    latencies = {"fast": fast_ms, "slow": 4 * fast_ms}
    rates: dict[str, list[float]] = {"fast": [], "slow": [], "both": []}
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(fake_server(mean_ms, SIGMA))[0]
            for name, mean_ms in latencies.items()
        }
        for _ in range(given.runs):
            for name in rates:  # in turn: the machine's speed drifts
                asked = [urls[name]] if name in urls else list(urls.values())
                work = per_second(asked, concurrency, 8 * fast_ms / 1000, given.seconds)
                rates[name].append(uvloop.run(work))

    middle = {name: statistics.median(found) for name, found in rates.items()}
    allowed = {name: concurrency / (mean_ms / 1000) for name, mean_ms in latencies.items()}
    allowed["both"] = sum(allowed.values())
    shares = [both / (fast + slow) for fast, slow, both in zip(*rates.values(), strict=True)]
    table(
        ["replicas", "answers / s", "share of what latency and slots allow"],
        [[name, f"{rate:.0f}", f"{rate / allowed[name]:.3f}"] for name, rate in middle.items()],
    )
    share = statistics.median(shares)
    print(f"\ntogether, divided by the sum of both alone: {share:.3f}; {given.runs} runs of each")
    result(
        "replicas",
        share,
        "answers per second together, divided by the sum of both alone",
        ("sum of both alone", 1.0),
        GOAL,
        together_per_s=middle["both"],
        of_what_is_allowed=middle["both"] / allowed["both"],
    )


if __name__ == "__main__":
    main()
