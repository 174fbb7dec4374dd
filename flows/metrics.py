"""Metrics of a running run: as Prometheus text at an address, and by OpenTelemetry.

`--metrics 127.0.0.1:9400` or $SYNTH_METRICS serves them at http://127.0.0.1:9400/metrics.
$OTEL_EXPORTER_OTLP_ENDPOINT sends them by OTLP, with `pip install -e .[otel]`.

    synth_rows_total{stage="04-quality",outcome="rejected"} 12.0
    synth_tokens_total{stage="03-distill",kind="reply"} 81204.0
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from flows.counted import CountedProgress
from synth import __version__
from synth.errors import InputError

ADDRESS = "SYNTH_METRICS"
"""The environment variable with the address to serve metrics at."""
OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
LOOPBACK = "127.0.0.1"

Values = Iterable[tuple[tuple[str, ...], float]]
"""Label values, and the number for them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric: its name without `synth_` and `_total`, and where its values come from."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Callable[[CountedProgress], Values]
    counter: bool = False


FIGURES = (
    Figure(
        "replies",
        "Replies, from the teacher or from the journal.",
        ("stage", "source"),
        lambda run: _copy(run.replies),
        counter=True,
    ),
    Figure(
        "tokens",
        "Tokens of prompts and replies that the teacher used.",
        ("stage", "kind"),
        lambda run: _copy(run.tokens),
        counter=True,
    ),
    Figure(
        "unusable_replies",
        "Replies without usable text, by fault.",
        ("stage", "fault"),
        lambda run: _copy(run.faults),
        counter=True,
    ),
    Figure(
        "rows",
        "Rows of finished shards that the stage kept or rejected.",
        ("stage", "outcome"),
        lambda run: _copy(run.rows),
        counter=True,
    ),
    Figure(
        "rejected_rows",
        "Rejected rows of finished shards, by reason.",
        ("stage", "reason"),
        lambda run: _copy(run.reasons),
        counter=True,
    ),
    Figure(
        "stage_rows",
        "Input rows of the running stage: all of them, and those that are finished.",
        ("stage", "state"),
        lambda run: _stage_rows(run),
    ),
    Figure(
        "run_done_ratio",
        "Share of the run's stages that is finished, 0 to 1.",
        (),
        lambda run: [((), run.share_done)],
    ),
    Figure(
        "replica_up",
        "1 for a replica of the teacher that gets requests, else 0.",
        ("replica",),
        lambda run: [((one.url,), float(one.up)) for one in run.load.replicas],
    ),
    Figure(
        "requests_in_flight",
        "Requests that the replica is working on.",
        ("replica",),
        lambda run: [((one.url,), one.in_flight) for one in run.load.replicas],
    ),
    Figure(
        "replica_slots",
        "The most requests in flight that the replica gets now.",
        ("replica",),
        lambda run: [((one.url,), one.slots) for one in run.load.replicas],
    ),
    Figure(
        "requests_queued",
        "Requests that wait for a free slot, or for the budget.",
        (),
        lambda run: [((), run.load.queued)],
    ),
)


def _copy(counts: dict[tuple[str, str], int]) -> Values:
    return list(counts.copy().items())  # the run goes on counting in another thread


def _stage_rows(run: CountedProgress) -> Values:
    stage = run.running
    if stage is None:
        return []
    done = [((stage.name, "done"), float(stage.done))]
    return done if stage.rows is None else [((stage.name, "all"), float(stage.rows)), *done]


@contextmanager
def exporting(run: CountedProgress, recipe: str, folder: str) -> Iterator[None]:
    """Exports the run's metrics for the length of the block, if the environment asks for it.

    Warns if they cannot be served, such as at a port in use: no run is lost for its metrics. Raises
    `InputError` if the address is malformed, or if the `otel` extra is missing.
    """
    with ExitStack() as stack:
        if given := os.environ.get(ADDRESS):
            host, port = address(given)
            registry = CollectorRegistry()
            registry.register(_Families(run, recipe, folder))
            try:
                stack.enter_context(_served(host, port, registry))
            except OSError as error:
                run.say(f"WARNING: this run has no metrics: {_problem(host, port, error)}")
        if any(os.environ.get(name) for name in OTLP):
            stack.callback(_push(run, recipe, folder))
        yield


def address(given: str) -> tuple[str, int]:
    """Parses `127.0.0.1:9400`, `[::1]:9400` or `9400`, which is a port on loopback."""
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})", given)
    if found is None or not 0 < int(found[2]) < 65536:
        raise InputError(
            f"--metrics {given!r} is not an address; expected HOST:PORT, such as 127.0.0.1:9400"
        )
    host = (found[1] or LOOPBACK).strip("[]")
    return host, int(found[2])


def check_address(given: str) -> None:
    """Raises `InputError` if metrics cannot be served at this address now."""
    host, port = address(given)
    try:
        with _served(host, port, CollectorRegistry()):
            pass
    except OSError as error:
        raise InputError(_problem(host, port, error)) from error


@contextmanager
def _served(host: str, port: int, registry: CollectorRegistry) -> Iterator[None]:
    server, thread = start_http_server(port, host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _problem(host: str, port: int, error: OSError) -> str:
    return (
        f"metrics cannot be served at {host}:{port} ({error.strerror or error}); choose another "
        "address with --metrics or $SYNTH_METRICS"
    )


class _Families(Collector):
    """The figures as Prometheus knows them."""

    def __init__(self, run: CountedProgress, recipe: str, folder: str) -> None:
        self._run = run
        self._info = (recipe, folder, __version__)

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "synth_run_info", "The run; always 1.", labels=("recipe", "folder", "version")
        )
        info.add_metric(self._info, 1)
        yield info
        for figure in FIGURES:
            family: CounterMetricFamily | GaugeMetricFamily
            kind = CounterMetricFamily if figure.counter else GaugeMetricFamily
            family = kind(f"synth_{figure.name}", figure.help, labels=figure.labels)
            for labels, value in figure.values(self._run):
                family.add_metric(labels, value)
            yield family


def _push(run: CountedProgress, recipe: str, folder: str) -> Callable[[], object]:
    """Starts to send the figures by OTLP. Returns the function that sends the last ones and ends.

    The SDK reads the addresses, headers, certificates and interval from its own variables.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415  extra
            OTLPMetricExporter,
        )
        from opentelemetry.metrics import Observation  # noqa: PLC0415  extra
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415  extra
        from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415  extra
            PeriodicExportingMetricReader,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  extra
    except ImportError as error:
        raise InputError(
            f"${OTLP[0]} is set, but OpenTelemetry is not installed: "
            "`pip install -e .[otel]`, or unset the variable"
        ) from error
    about = {"service.name": "synth", "service.version": __version__}
    provider = MeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter())],
        Resource.create({**about, "synth.recipe": recipe, "synth.folder": folder}),
    )
    meter = provider.get_meter("synth", __version__)

    def observe(figure: Figure) -> Callable[[Any], Sequence[Any]]:
        return lambda _options: [
            Observation(value, dict(zip(figure.labels, labels, strict=True)))
            for labels, value in figure.values(run)
        ]

    for figure in FIGURES:
        make = meter.create_observable_counter if figure.counter else meter.create_observable_gauge
        make(f"synth.{figure.name}", [observe(figure)], description=figure.help)
    return provider.shutdown
