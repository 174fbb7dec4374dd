"""What the client costs per record: the whole distill stage beside a bare aiohttp loop.

Against a fake teacher in a process of its own: CPU seconds per 1,000 records at 256 in flight (at
50 ms), slots kept full under log-normal latencies (mean 2 s, sigma 0.6, 64 slots), growth of memory
per record, and seconds from the start of the process to the first request. Ours includes rendering,
journal, retries, lineage, and the Parquet shards; the bare loop only posts and parses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from benchmarks.report import result, table

GOAL = 0.20
PROMPT = (
    "Explain to a new colleague, in about a hundred words, what case number {n} of the handbook "
    "asks of a team that ships software every week, and give one example from practice."
)


class Measured(NamedTuple):
    """One loop over the server."""

    cpu_s: float
    asking_s: float
    """From the first request to the last answer."""
    first_s: float
    peak_mb: float
    busy_s: float
    server_cpu_s: float


def bare(url: str, records: int, concurrency: int) -> float:
    """The least one can do with aiohttp: post, read, parse."""
    import aiohttp
    import orjson
    import uvloop

    async def loop() -> None:
        slots = asyncio.Semaphore(concurrency)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(n: int) -> str:
                body = {
                    "model": "fake",
                    "messages": [{"role": "user", "content": PROMPT.format(n=n)}],
                    "max_tokens": 2048,
                    "seed": n,
                }
                async with (
                    slots,
                    session.post(
                        f"{url}/chat/completions",
                        data=orjson.dumps(body),
                        headers={"Content-Type": "application/json"},
                    ) as response,
                ):
                    payload = orjson.loads(await response.read())
                return str(payload["choices"][0]["message"]["content"])

            for start in range(0, records, 1000):  # as many tasks at once as ours has
                await asyncio.gather(*(one(n) for n in range(start, min(start + 1000, records))))

    uvloop.run(loop())
    return 0.0


def empty(url: str, records: int, concurrency: int) -> float:
    """No client at all: the same bytes again and again over open sockets, the answers not parsed.

    What it leaves of the slots is the machine's and the server's, not a client's.
    """
    import uvloop
    from yarl import URL

    server = URL(url)
    body = json.dumps({"messages": [{"role": "user", "content": PROMPT.format(n=records)}]})
    head = f"POST {server.path}/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    request = (head + body).encode()

    async def loop() -> None:
        left = iter(range(records))
        running = asyncio.get_running_loop()
        ended: list[asyncio.Future[None]] = []

        class Slot(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.Transport", transport)
                self.ended = running.create_future()
                ended.append(self.ended)
                self.ask()

            def ask(self) -> None:
                if next(left, None) is None:
                    self.ended.set_result(None)
                else:
                    self.transport.write(request)

            def data_received(self, data: bytes) -> None:
                if data.endswith(b"}}"):
                    self.ask()

        for _ in range(concurrency):
            await running.create_connection(Slot, server.host, server.port)
        await asyncio.gather(*ended)

    uvloop.run(loop())
    return 0.0


def ours(url: str, records: int, concurrency: int) -> float:
    """The distill stage as `synth run` runs it, without Prefect. Returns the CPU of reading."""
    import uvloop

    from synth.engine.plan import Plan
    from synth.engine.run import open_runner, run_stages
    from synth.engine.stage import Outcome, Source
    from synth.generate.distill import Distill
    from synth.kind import Kind
    from synth.record import REJECT, new_record, records_table
    from synth.teacher.config import TeacherConfig

    class Numbered(Source):
        """Prompts by number."""

        name = "read"

        def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  prompts, whatever came
            return Kind.PROMPTS

        def shards(self, rows: int) -> Iterator[Outcome]:
            made = (new_record(prompt=PROMPT.format(n=n), source=str(n)) for n in range(records))
            while part := list(islice(made, rows)):
                yield Outcome(records_table(part), REJECT.empty_table())

    async def loop() -> float:
        teacher = TeacherConfig(url=url, concurrency=concurrency)
        whole = Plan("loop", 7, 1000, teacher, (Numbered(), Distill()))
        with tempfile.TemporaryDirectory() as folder:
            before = _cpu_s()
            async with open_runner(replace(whole, stages=whole.stages[:1]), Path(folder)) as runner:
                await run_stages(runner)
            reading = _cpu_s() - before
            async with open_runner(whole, Path(folder)) as runner:
                manifests = await run_stages(runner)
        assert manifests[-1].rows_kept == records
        return reading

    return uvloop.run(loop())


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def fake_server(mean_ms: float, sigma: float = 0.0) -> Iterator[tuple[str, dict[str, float]]]:
    """A server of its own: its address, and a tally that is filled when the block ends."""
    from tests.fake_teacher import process  # not in the loops, whose start and memory are measured

    tally: dict[str, float] = {}
    with process(mean_ms, sigma) as (server, url):
        yield url, tally
        told, _ = server.communicate("")
        tally.update(json.loads(told.splitlines()[-1]))


def measure(
    kind: str, records: int, concurrency: int, mean_ms: float, sigma: float = 0.0
) -> Measured:
    """One loop in a process of its own, against a server of its own."""
    with fake_server(mean_ms, sigma) as (url, tally):
        started = time.time()
        options = [f"--loop={kind}", f"--url={url}", f"--records={records}"]
        options.append(f"--concurrency={concurrency}")
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.generation_loop", *options],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    cost: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    assert tally["requests"] == records, f"{kind} sent {tally['requests']} for {records} records"
    return Measured(
        cost["cpu_s"],
        tally["last"] - tally["first"],
        tally["first"] - started,
        cost["peak_mb"],
        tally["busy"],
        tally["cpu_s"],
    )


def first_with_prefect() -> float:
    """Seconds from `synth run` to its first request, a temporary Prefect server included."""
    with fake_server(50) as (url, tally), tempfile.TemporaryDirectory() as folder:
        prompts = "".join(json.dumps({"prompt": PROMPT.format(n=n)}) + "\n" for n in range(50))
        Path(folder, "prompts.jsonl").write_text(prompts, encoding="utf-8")
        Path(folder, "loop.yaml").write_text(
            f"name: loop\nteacher: {url}\nstages:\n  - read: {{prompts: prompts.jsonl}}\n"
            "  - distill\n  - write\n",
            encoding="utf-8",
        )
        started = time.time()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "flows.cli",
                "run",
                f"{folder}/loop.yaml",
                f"--out={folder}/run",
            ],
            check=True,
            capture_output=True,
        )
    return tally["first"] - started


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=15_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loop", choices=["bare", "empty", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        reading = {"bare": bare, "empty": empty, "ours": ours}[arguments.loop](
            arguments.url, arguments.records, arguments.concurrency
        )
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cost = {"cpu_s": _cpu_s() - reading, "peak_mb": peak_kb / 1024}
        print(json.dumps(cost))
        return

    small, large = arguments.records, arguments.records * 4
    per_1000: dict[str, list[float]] = {"ours": [], "bare": []}
    growth: dict[str, list[float]] = {"ours": [], "bare": []}
    first: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(arguments.runs):
        for kind in ("ours", "bare"):  # in turn: the machine's speed drifts
            little = measure(kind, small, arguments.concurrency, 50)
            much = measure(kind, large, arguments.concurrency, 50)
            per_1000[kind].append((much.cpu_s - little.cpu_s) / (large - small) * 1000)
            growth[kind].append((much.peak_mb - little.peak_mb) * 1024 / (large - small))
            first[kind].append(little.first_s)
    full: dict[str, float] = {}
    for kind in ("ours", "bare"):
        slow = measure(kind, 1_000, 64, 2_000, 0.6)
        full[kind] = slow.busy_s / (64 * slow.asking_s)

    prefect_s = statistics.median(first_with_prefect() for _ in range(arguments.runs))

    def middle(values: dict[str, list[float]], kind: str) -> float:
        return statistics.median(values[kind])

    table(
        ["loop", "CPU s / 1,000 records", "first request s", "growth kB / record", "slots full"],
        [
            [
                name,
                f"{middle(per_1000, kind):.3f}",
                f"{middle(first, kind):.2f}",
                f"{middle(growth, kind):.2f}",
                f"{full[kind]:.3f}",
            ]
            for name, kind in (("distill stage", "ours"), ("bare aiohttp", "bare"))
        ],
    )
    print(f"\nmarginal cost between {small:,} and {large:,} records, {arguments.runs} runs each,")
    print(f"ratio of CPU {middle(per_1000, 'ours') / middle(per_1000, 'bare'):.2f}, ratio of slots")
    print(
        f"{full['ours'] / full['bare']:.3f}; first request of `synth run`, which starts a Prefect"
    )
    print(f"server of its own: {prefect_s:.2f} s")
    result(
        "generation_loop",
        middle(per_1000, "ours"),
        "client CPU s per 1,000 records",
        "lower",
        GOAL,
        {"bare aiohttp": middle(per_1000, "bare")},
        slots_ratio=full["ours"] / full["bare"],
        growth_kb_per_record=middle(growth, "ours"),
        first_request_s=middle(first, "ours"),
        first_request_with_prefect_s=prefect_s,
    )


if __name__ == "__main__":
    main()
