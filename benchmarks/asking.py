"""Runs clients that ask a fake teacher, each in a separate process."""

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
    "unjournaled": "benchmarks.durability:without_journal",
    "bare": "benchmarks.loops:bare",
    "empty": "benchmarks.loops:empty",
}


class Measured(NamedTuple):
    """The costs of a client, and how busy it kept the server."""

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
    """Serves a fake teacher; yields its address, and a tally that is filled when the block ends."""
    tally: dict[str, float] = {}
    with process(mean_ms, sigma) as (server, url):
        yield url, tally
        output, _ = server.communicate("")
        tally.update(json.loads(output.splitlines()[-1]))


def ask(
    client: str, records: int, concurrency: int, mean_ms: float, sigma: float = 0.0
) -> Measured:
    """Measures one of `CLIENTS` while it requests this many records."""
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
