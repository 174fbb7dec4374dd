"""Metrics of a run: scraped while it works, and received by OTLP. Real servers on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families

from flows.cli import main
from flows.counted import CountedProgress
from flows.metrics import ADDRESS, FIGURES, OTLP, address, check_address, exporting
from flows.recipe_file import load_recipe
from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.errors import ExitCode, InputError
from synth.store.manifest import Manifest
from tests.fake_teacher import FakeTeacher, rule, served

RECIPE = """
name: counted
shard_rows: 10
teacher: {{url: {url}, concurrency: 4}}
stages:
  - read: {{prompts: prompts.jsonl}}
  - distill: {{samples: 2}}
  - quality: [{{length: {{min_words: 5}}}}]
  - write
"""
PROMPTS = 25
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def no_exporters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ADDRESS, *OTLP):
        monkeypatch.delenv(name, raising=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def scrape(port: int) -> Samples:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
        text = response.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def busy_scrape(port: int) -> Samples:
    """The first scrape that shows a queue, or the last one after 20 s."""
    end = time.monotonic() + 20
    while True:
        seen = scrape(port)
        if any(key[0] == "synth_requests_queued" and n for key, n in seen.items()):
            return seen
        if time.monotonic() > end:
            return seen
        time.sleep(0.02)


def plan_of(folder: Path, url: str) -> Plan:
    lines = (f'{{"prompt": "Why is {n} odd?"}}\n' for n in range(PROMPTS))
    (folder / "prompts.jsonl").write_text("".join(lines))
    (folder / "counted.yaml").write_text(RECIPE.format(url=url))
    return load_recipe(str(folder / "counted.yaml"))


async def work(plan: Plan, folder: Path, counted: CountedProgress) -> list[Manifest]:
    async with open_runner(plan, folder / "run", counted) as runner:
        counted.served = runner.served
        return await run_stages(runner, counted.counting(folder / "run", runner.perform))


def says(body: dict[str, Any], before: int) -> str:
    """Every prompt with an 8 gets an empty answer, one with a 7 gets a short one."""
    asked = str(body["messages"][-1]["content"])
    return " " if "8" in asked else "No." if "7" in asked else rule(body, before)


def test_a_scrape_during_the_run_shows_its_work_and_the_last_one_its_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv(ADDRESS, f"127.0.0.1:{port}")
    during: list[Samples] = []
    asked = 0

    async def looks(body: dict[str, Any], before: int) -> str:
        nonlocal asked
        asked += 1
        if asked == PROMPTS:  # half of the answers
            during.append(await asyncio.to_thread(busy_scrape, port))
        while asked > PROMPTS and not during:  # so that nothing ends before the scrape
            await asyncio.sleep(0.01)
        return says(body, before)

    with served(FakeTeacher("fake", "fake", script=looks)) as teacher:
        plan = plan_of(tmp_path, teacher.url)
        counted = CountedProgress(Progress(), len(plan.stages))
        with exporting(counted, plan.name, "run"):
            read, distill, quality, write = asyncio.run(work(plan, tmp_path, counted))
            after = scrape(port)
        url = teacher.url
    with pytest.raises(urllib.error.URLError):
        scrape(port)

    def value(of: Samples, name: str, **labels: str) -> float | None:
        return of.get((f"synth_{name}", frozenset(labels.items())))

    [now] = during
    assert value(now, "replica_up", replica=url) == 1
    assert 1 <= (value(now, "requests_in_flight", replica=url) or 0) <= 4
    assert value(now, "replica_slots", replica=url) == 4
    assert value(now, "stage_rows", stage="01-distill", state="all") == PROMPTS
    assert (value(now, "requests_queued") or 0) > 0
    assert 0.25 <= (value(now, "run_done_ratio") or 0) < 0.5

    for manifest in (read, distill, quality, write):
        stage = f"{manifest.index:02d}-{manifest.stage}"
        kept, rejected = manifest.rows_kept, manifest.rows_rejected
        assert value(after, "rows_total", stage=stage, outcome="kept") == kept
        assert value(after, "rows_total", stage=stage, outcome="rejected") == rejected
        for reason, rows in manifest.reasons.items():
            assert value(after, "rejected_rows_total", stage=stage, reason=reason) == rows
    assert set(quality.reasons) == {"too_few_words"}
    tokens = sum(shard.tokens_out for shard in distill.shards)
    assert value(after, "tokens_total", stage="01-distill", kind="reply") == tokens
    faults = {key: n for key, n in after.items() if key[0] == "synth_unusable_replies_total"}
    assert sum(faults.values()) == sum(shard.unusable for shard in distill.shards) > 0
    assert value(after, "run_done_ratio") == 1
    assert value(after, "run_info", recipe="counted", folder="run", version="0.1.0") == 1


def test_a_resumed_run_counts_only_its_own_work(tmp_path: Path) -> None:
    with served(FakeTeacher("fake", "fake", script=says)) as teacher:
        plan = plan_of(tmp_path, teacher.url)
        asyncio.run(work(plan, tmp_path, CountedProgress(Progress(), len(plan.stages))))
        again = CountedProgress(Progress(), len(plan.stages))
        asyncio.run(work(plan, tmp_path, again))
        assert not again.worked
        assert not again.rows
        assert again.share_done == 1

        (tmp_path / "run/01-distill/manifest.json").unlink()
        (tmp_path / "run/01-distill/receipts/00001.json").unlink()
        asyncio.run(work(plan, tmp_path, resumed := CountedProgress(Progress(), 4)))
    assert resumed.worked
    assert resumed.replies["01-distill", "journal"] == 20
    assert resumed.tokens_used == (0, 0)
    assert resumed.rows["01-distill", "kept"] + resumed.rows["01-distill", "rejected"] == 20


@contextmanager
def receiver() -> Iterator[tuple[str, list[ExportMetricsServiceRequest]]]:
    """An OTLP collector over HTTP; yields its address and what it receives."""
    received: list[ExportMetricsServiceRequest] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/metrics"
            received.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_a_collector_receives_the_sums_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        receiver() as (url, received),
        served(FakeTeacher("fake", "fake", script=says)) as teacher,
    ):
        monkeypatch.setenv(OTLP[0], url)
        plan = plan_of(tmp_path, teacher.url)
        counted = CountedProgress(Progress(), len(plan.stages))
        with exporting(counted, plan.name, "run"):
            manifests = asyncio.run(work(plan, tmp_path, counted))
    [last] = received[-1].resource_metrics
    about = {one.key: one.value.string_value for one in last.resource.attributes}
    assert about["service.name"] == "synth"
    assert about["synth.recipe"] == "counted"
    sums = {one.name: one.sum for one in last.scope_metrics[0].metrics if one.HasField("sum")}
    assert {f"synth.{figure.name}" for figure in FIGURES if figure.counter} == set(sums)
    assert all(one.is_monotonic for one in sums.values())
    rows: Counter[tuple[str, str]] = Counter()
    for point in sums["synth.rejected_rows"].data_points:
        labels = {one.key: one.value.string_value for one in point.attributes}
        rows[labels["stage"], labels["reason"]] += point.as_int
    assert rows == {
        (f"{one.index:02d}-{one.stage}", reason): n
        for one in manifests
        for reason, n in one.reasons.items()
    }


def test_nothing_is_exported_unless_the_environment_asks_for_it() -> None:
    before = threading.active_count()
    with exporting(CountedProgress(Progress()), "mine", "run"):
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("9400", ("127.0.0.1", 9400)),
        ("0.0.0.0:9400", ("0.0.0.0", 9400)),
        ("[::1]:9400", ("::1", 9400)),
        ("gpu-1.local:1", ("gpu-1.local", 1)),
    ],
)
def test_an_address_is_on_loopback_unless_it_says_otherwise(
    given: str, found: tuple[str, int]
) -> None:
    assert address(given) == found


@pytest.mark.parametrize("given", ["", "http://h:9400", "h:", ":9400", "h:0", "h:70000", "h"])
def test_a_wrong_address_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=r"expected HOST:PORT, such as 127\.0\.0\.1:9400"):
        address(given)


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def taken() -> Iterator[str]:
    """An address whose port is in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_run_whose_port_is_in_use_warns_and_goes_on(
    taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, taken)
    heard, went_on = Heard(), False
    with exporting(CountedProgress(heard), "mine", "run"):
        went_on = True
    assert went_on
    [line] = heard.lines
    assert line.startswith(f"WARNING: this run has no metrics: metrics cannot be served at {taken}")
    assert "in use" in line


def test_a_run_ends_at_its_start_if_the_port_of_its_option_is_in_use(
    taken: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "quickstart", "--teacher", "http://127.0.0.1:1/v1", "--metrics", taken]
    assert main(command) == ExitCode.INVALID
    assert f"synth: metrics cannot be served at {taken} (" in capsys.readouterr().err
    assert not list(here.iterdir())


def test_a_free_address_stays_free_after_its_check() -> None:
    port = free_port()
    check_address(str(port))
    check_address(str(port))
