"""The files for operators: what they name exists, and the tools that read them accept them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.settings.models.flows import FlowsSettings

from flows.metrics import FIGURES
from flows.pipeline import pipeline
from flows.recipe_file import SHIPPED, as_settings, load_recipe

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/operations"
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
METRICS = {f"synth_{one.name}{'_total' if one.counter else ''}": one for one in FIGURES}
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_a_deployment_runs_its_recipe_one_at_a_time(deployment: dict[str, Any]) -> None:
    given = pipeline.validate_parameters(deployment["parameters"])
    assert given["recipe"] == deployment["name"]
    plan = load_recipe(given["recipe"], overrides=as_settings(given["overrides"]))
    assert plan.budget is not None
    assert plan.budget.until == "06:00"
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    for schedule in deployment["schedules"]:
        assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])


def test_every_shipped_recipe_has_a_deployment() -> None:
    names = sorted(deployment["name"] for deployment in DEPLOYMENTS)
    assert names == sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def test_the_page_lists_every_metric_with_its_labels() -> None:
    rows = re.findall(r"(?m)^\| `(synth_\w+)` \| ([^|]*) \|", PAGE)
    listed = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert listed.pop("synth_run_info") == ("recipe", "folder", "version")
    assert listed == {name: one.labels for name, one in METRICS.items()}


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yaml"])
def test_only_metrics_and_labels_that_exist_are_queried(file: str) -> None:
    text = (FOLDER / file).read_text(encoding="utf-8")
    assert json.loads(text) if file.endswith(".json") else yaml.safe_load(text)
    named = set(re.findall(r"\bsynth_\w+", text))
    assert len(named) >= 4
    assert named <= {*METRICS, "synth_run_info"}
    grouped = {
        label.strip() for by in re.findall(r"by \(([^)]+)\)", text) for label in by.split(",")
    }
    assert grouped <= {"instance", *(label for one in FIGURES for label in one.labels)}


def test_prefect_accepts_the_automations() -> None:
    given = yaml.safe_load((FOLDER / "automations.yaml").read_text())["automations"]
    found = [AutomationCore.model_validate(one) for one in given]
    assert all(one.enabled for one in found)
    silent = next(
        one.trigger for one in found if isinstance(one.trigger, EventTrigger) and one.trigger.after
    )
    # else a living run that sends Prefect's default of heartbeats, or that waits for its retry,
    # would be marked as crashed
    every_s = FlowsSettings.model_fields["heartbeat_frequency"].default
    assert silent.within.total_seconds() > every_s + 60
    assert "prefect.flow-run.AwaitingRetry" in silent.expect
    assert all(f"`docs/operations/{name}`" in PAGE for name in ("automations.yaml", "alerts.yaml"))


def test_the_image_copies_what_exists_and_runs_without_root() -> None:
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if re.match(r"COPY (?!--from)", line)]
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    assert "USER 1000" in lines
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
    assert packages <= {path for paths in copied for path in paths}


def test_the_services_are_built_from_that_image_and_publish_on_loopback_only() -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    assert set(services) == {"postgres", "server", "worker", "vllm"}
    for name in ("server", "worker"):
        build = services[name]["build"]
        assert (FOLDER / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]).is_file()
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
