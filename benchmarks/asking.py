"""Clients in processes of their own that ask a fake teacher in another process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks.processes import elsewhere
from tests.fake_teacher import process

CLIENTS = {
    "ours": "benchmarks.pipeline:distill",
    "bare": "benchmarks.loops:bare",
    "empty": "benchmarks.loops:empty",
}


class Measured(NamedTuple):
    """What a client cost, and how it kept the server busy."""

    cpu_s: float
    peak_mb: float
    asking_s: float
    """From the first request to the last answer."""
    first_s: float
    """From the start of the process to its first request."""
    busy_s: float
    """The sum of all latencies."""
    server_cpu_s: float


@contextmanager
def fake_server(mean_ms: float, sigma: float = 0.0) -> Iterator[tuple[str, dict[str, float]]]:
    """A server of its own: its address, and a tally that is filled when the block ends."""
    tally: dict[str, float] = {}
    with process(mean_ms, sigma) as (server, url):
        yield url, tally
        said, _ = server.communicate("")
        tally.update(json.loads(said.splitlines()[-1]))


def ask(
    client: str, records: int, concurrency: int, mean_ms: float, sigma: float = 0.0
) -> Measured:
    """One of `CLIENTS` asks for so many records."""
    with fake_server(mean_ms, sigma) as (url, tally):
        started = time.time()
        cost = elsewhere(CLIENTS[client], url=url, records=records, concurrency=concurrency)
    assert tally["requests"] == records, f"{client} sent {tally['requests']} for {records} records"
    return Measured(
        cost["cpu_s"],
        cost["peak_mb"],
        tally["last"] - tally["first"],
        tally["first"] - started,
        tally["busy"],
        tally["cpu_s"],
    )
