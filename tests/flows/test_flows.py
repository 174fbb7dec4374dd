"""The flows on a real Prefect server: names, tags, artifacts and schedules."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from flows.cli import main
from flows.pipeline import distill, evolve, rewrite
from flows.prefect_client import client_of
from flows.prefect_server import await_answer, started, template
from flows.temporary_server import prefect_api
from synth.engine.lock import locked
from synth.errors import ExitCode
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.store.manifest import load_manifest
from tests.fake_teacher import FakeTeacher, served
from tests.flows.server import PREFECT, PUSHED, ROOT, SYNTH, Api
from tests.hub_stand_in import hub_stand_in


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with started(template(print), schedules=True) as server:
        await_answer(server)
        yield Api(server.url, tmp_path_factory.mktemp("prefect"))
        with client_of(server.url):
            pass  # at its end, Prefect sends the log lines that it still holds


@pytest.fixture
def here(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder of commands that run in this process, with that server configured."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() | api.env.keys():
        monkeypatch.setenv(name, api.env[name]) if name in api.env else monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def test_a_run_is_named_and_tagged_with_a_task_per_shard_and_artifacts(
    api: Api, here: Path, teacher_url: str
) -> None:
    address = f"{teacher_url}?key={KEY}"
    settings = ["--limit=20", "--set=shard_rows=10", "--set=name=seen", f"--teacher={address}"]
    assert main(["run", "distill-answers", *settings]) == ExitCode.OK
    [run] = api.filter("flow_runs", flow_runs={"tags": {"all_": ["seen"]}})
    assert run["name"] == "seen"
    assert set(run["tags"]) == {"synth", "seen"}
    assert run["state"]["type"] == "COMPLETED"
    assert run["parameters"]["overrides"] == {"shard_rows": 10, "name": "seen"}
    assert run["parameters"]["teacher"] == f"{teacher_url}?***"
    assert KEY not in json.dumps(run)
    tasks = api.wait_for(
        lambda: (
            len(found := api.filter("task_runs", flow_runs={"id": {"any_": [run["id"]]}})) >= 17
            and found
        ),
        20,
    )
    names = {task["name"] for task in tasks}
    assert {"00-read read", "02-distill/00000", "02-distill/00001", "01-dedup decide"} <= names
    artifacts = {a["key"]: a for a in api.filter("artifacts")}
    funnel = json.loads(artifacts["seen-funnel"]["data"])
    assert funnel[0] == {
        "stage": "00-read",
        "in": 20,
        "made": 0,
        "kept": 20,
        "rejected": 0,
        "reasons": "",
    }
    assert all(row["in"] + row["made"] == row["kept"] + row["rejected"] for row in funnel)
    checks = {
        (row.pop("rows"), row.pop("check")): row
        for row in json.loads(artifacts["seen-checks"]["data"])
    }
    verified = {row["stage"]: row["in"] for row in funnel}["06-verify"]
    assert sum(checks["06-verify", "maths"].values()) == verified
    assert sum(checks["release", "maths"].values()) == funnel[-1]["kept"]
    description = artifacts["seen-checks"]["description"]
    assert f" of {funnel[-1]['kept']} rows passed their checks" in description
    assert json.loads(artifacts["seen-samples"]["data"])[0]["seed"]
    assert float(artifacts["seen-progress"]["data"]) == 100
    told = run["state"]["message"]
    assert told.startswith(f"{funnel[-1]['kept']} rows released of 20 read. ")
    assert f" of {funnel[-1]['kept']} rows passed their checks" in told
    assert "reply tokens" in told
    assert told in artifacts["seen-report"]["data"]
    assert str(here / "outputs/seen/report.html") in artifacts["seen-report"]["data"]


def test_an_increment_is_a_flow_run_and_nothing_new_is_none(
    api: Api, here: Path, teacher_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "in.jsonl").write_text('{"prompt": "Why is the sky blue?"}')
    (here / "grows.yaml").write_text(
        f"name: grows\nincremental: true\nteacher: {{url: {teacher_url}}}\n"
        "stages: [read: {prompts: in.jsonl}, distill: {}, write: {}]\n"
    )
    for _ in range(2):
        assert main(["run", "grows.yaml"]) == ExitCode.OK
    assert "the input has no new rows for outputs/grows; nothing to do" in capsys.readouterr().err
    [run] = api.filter("flow_runs", flow_runs={"tags": {"all_": ["grows"]}})
    assert run["state"]["type"] == "COMPLETED"
    artifacts = {a["key"]: a for a in api.filter("artifacts")}
    assert json.loads(artifacts["grows-funnel"]["data"])[-1]["kept"] == 1


KEY = "sk-of-the-address"


def test_each_job_is_a_flow_of_its_own(api: Api, here: Path, teacher_url: str) -> None:
    async def jobs() -> None:
        more: dict[str, Any] = {"limit": 6, "teacher": teacher_url}
        await evolve(settings=Evolve(rounds=2), out="evolved", **more)
        await rewrite(out="rewritten", **more)
        await distill(settings=Distill(samples=2), out="answered", **more)

    def script() -> None:
        with client_of(api.url):
            asyncio.run(jobs())

    Context().run(script)  # in this one, the commands of other tests left their progress
    for job, out, kind in (
        ("evolve", "evolved", "prompts"),
        ("rewrite", "rewritten", "documents"),
        ("distill", "answered", "answers"),
    ):
        manifest = load_manifest(here / out / "release/manifest.json")
        assert manifest is not None
        assert manifest.kind == kind
        assert manifest.rows_kept > 0
        [run] = api.filter("flow_runs", flows={"name": {"any_": [job]}})
        assert run["state"]["type"] == "COMPLETED"


def test_a_failed_run_reports_its_error_once_and_is_failed_on_the_server(
    api: Api, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine.yaml").write_text(
        "name: dead\nteacher: http://127.0.0.1:9/v1\nstages:\n"
        "  - read: {prompts: seeds/starter/prompts.jsonl}\n  - distill\n  - write\n"
    )
    assert main(["run", "mine.yaml"]) == ExitCode.INFRASTRUCTURE
    first, error = capsys.readouterr().err.splitlines()
    assert first.startswith("dead: read → distill → write, teacher http://127.0.0.1:9/v1; ")
    assert error.startswith("synth: no teacher answers at http://127.0.0.1:9/v1")
    assert not (here / "outputs").exists()
    [run] = api.filter("flow_runs", flow_runs={"name": {"any_": ["dead"]}})
    assert run["state"]["type"] == "FAILED"
    assert "start one there with `vllm serve MODEL`" in run["state"]["message"]


FLOW = """\
import asyncio, contextlib
from flows.pipeline import pipeline
from synth.errors import SynthError
with contextlib.suppress(SynthError):
    asyncio.run(pipeline("mine.yaml"))
"""


def test_the_log_of_a_scheduled_run_has_its_error_without_a_traceback(
    api: Api, tmp_path: Path
) -> None:
    (tmp_path / "none.txt").write_text("Why?\n")
    (tmp_path / "mine.yaml").write_text(
        "name: unreached\nteacher: http://127.0.0.1:9/v1\nstages:\n"
        "  - read: {prompts: none.txt}\n  - distill\n  - write\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", FLOW], env=api.env, cwd=tmp_path, capture_output=True, text=True
    )
    log = done.stdout + done.stderr
    assert "no teacher answers at http://127.0.0.1:9/v1" in log
    assert "To go on, run it again" in log
    assert "Traceback" not in log


def test_a_mistake_in_a_scheduled_run_fails_it_at_once(api: Api, tmp_path: Path) -> None:
    name = f"wrong-{tmp_path.name}"
    (tmp_path / "mine.yaml").write_text(f"name: {name}\nstages:\n  - raed: {{}}\n  - write\n")
    code = FLOW.replace("pipeline(", "pipeline.with_options(name='wrong', retries=2)(")
    env = {**api.env, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=True)
    [run] = api.filter("flow_runs", flows={"name": {"any_": ["wrong"]}})
    assert run["state"]["type"] == "FAILED"
    assert "mine.yaml, line 3: unknown stage 'raed'" in run["state"]["message"]
    assert run["run_count"] == 1


def test_a_scheduled_run_whose_folder_is_in_use_is_tried_again(api: Api, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("Why?\n")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nstages:\n  - read: {prompts: prompts.txt}\n  - write\n"
    )
    code = FLOW.replace("pipeline(", "pipeline.with_options(name='locked', retries=1)(")
    with locked(tmp_path / "outputs/mine"):
        subprocess.run([sys.executable, "-c", code], env=api.env, cwd=tmp_path, check=True)
    [run] = api.filter("flow_runs", flows={"name": {"any_": ["locked"]}})
    assert run["state"]["type"] == "FAILED"
    assert "is in use by process" in run["state"]["message"]
    assert run["run_count"] == 2


def test_a_run_that_keeps_no_rows_still_stores_its_funnel(api: Api, here: Path) -> None:
    (here / "prompts.jsonl").write_text('{"prompt": "Why?"}\n')
    (here / "mine.yaml").write_text(
        "name: strict\nstages:\n  - read: {prompts: prompts.jsonl}\n"
        "  - quality: [{length: {min_words: 9}}]\n  - write\n"
    )
    assert main(["run", "mine.yaml"]) == ExitCode.EMPTY
    artifacts = {a["key"]: a for a in api.filter("artifacts")}
    assert json.loads(artifacts["strict-funnel"]["data"])[-1]["reasons"] == "too_few_words 1"


ONE_AFTER_THE_OTHER = """
import sys
from flows.cli import main

for recipe in sys.argv[1:]:
    print(recipe, "ended with", main(["run", recipe]), file=sys.stderr, flush=True)
"""


def test_a_run_stopped_by_its_budget_or_a_guard_is_not_retried(api: Api, tmp_path: Path) -> None:
    prompts = (json.dumps({"prompt": f"Is {n} odd?"}) + "\n" for n in range(100))
    (tmp_path / "prompts.jsonl").write_text("".join(prompts))
    stages = "stages:\n  - read: {prompts: prompts.jsonl}\n  - distill\n  - write\n"
    retries = {"PREFECT_TASKS_DEFAULT_RETRIES": "3", "PREFECT_FLOWS_DEFAULT_RETRIES": "3"}
    with served(FakeTeacher("fake", script=lambda _body, _before: " ")) as teacher:
        for name, limit in (
            ("capped", "budget: {tokens: 5}"),
            ("guarded", "guards: {rejected: stop}"),
        ):
            recipe = f"name: {name}\nteacher: {teacher.url}\n{limit}\n{stages}"
            (tmp_path / f"{name}.yaml").write_text(recipe)
        done = subprocess.run(  # Prefect reads the number of retries when the flows are imported
            [sys.executable, "-c", ONE_AFTER_THE_OTHER, "capped.yaml", "guarded.yaml"],
            env=api.env | retries,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "Traceback" not in done.stderr
    capped, guarded = done.stderr.split(f"capped.yaml ended with {ExitCode.BUDGET}\n")
    why, left, how = capped.splitlines()[-3:]
    assert why.startswith("synth: the token budget is used up: 0 of 5 are used, and the next ")
    assert left == (
        "done: 00-read 100 rows; left: 01-distill (0 of 100 rows, 0 replies journaled), 02-write"
    )
    assert how.startswith("to go on: raise `budget.tokens`, then run the same command again")
    assert guarded.endswith(f"guarded.yaml ended with {ExitCode.GUARD}\n")
    assert guarded.count("attempts were rejected") == 1
    assert "synth: 01-distill: 50 of the last 50 attempts were rejected" in guarded
    for name, state, part in (
        ("capped", "CANCELLED", "\n".join([why.removeprefix("synth: "), left, how])),
        ("guarded", "CANCELLED", "attempts were rejected"),
    ):
        [run] = api.filter("flow_runs", flow_runs={"tags": {"all_": [name]}})
        assert (run["state"]["type"], run["state"]["name"]) == (state, "Stopped")
        assert part in run["state"]["message"]
        assert run["run_count"] == 1
        tasks = api.filter("task_runs", flow_runs={"id": {"any_": [run["id"]]}})
        assert {task["run_count"] for task in tasks} <= {0, 1}


@pytest.mark.faults  # takes 90 s: it waits for the full minutes of the clock
def test_schedules_fire_served_and_deployed(api: Api, tmp_path: Path, teacher_url: str) -> None:
    """Both wait for the same full minute."""
    served, deployed = tmp_path / "served", tmp_path / "deployed"
    served.mkdir()
    deployed.mkdir()
    project = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    [nightly] = [one for one in project["deployments"] if one["name"] == "distill-answers"]
    nightly["parameters"] |= {"limit": 4, "teacher": teacher_url}
    nightly["schedules"][0]["cron"] = "* * * * *"
    (deployed / "prefect.yaml").write_text(yaml.safe_dump(project))
    (deployed / "flows").symlink_to(ROOT / "flows")
    env = {**api.env, "PWD": str(deployed)}
    teacher = f"--teacher={teacher_url}"

    def prefect(*arguments: str) -> None:
        subprocess.run(
            [*PREFECT, "--no-prompt", *arguments],
            env=env,
            cwd=deployed,
            check=True,
            capture_output=True,
        )

    command = [*SYNTH, "serve", "distill-answers", "--cron=* * * * *", "--limit=4", teacher]
    log = tmp_path / "log"
    with log.open("wb") as told:
        children = [
            subprocess.Popen(
                [*command, "--set=name=served"],
                env=api.env,
                cwd=served,
                stdout=subprocess.DEVNULL,
                stderr=told,
            )
        ]
    try:
        prefect("work-pool", "create", "synth", "--type", "process")
        prefect("deploy", "--name", "distill-answers")
        children.append(
            subprocess.Popen(
                [*PREFECT, "worker", "start", "--pool", "synth", "--name", "one"],
                env=env,
                cwd=deployed,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        for out in (served / "outputs/served", deployed / "outputs/distill-answers"):
            release = out / "release/manifest.json"
            manifest = api.wait_for(lambda at=release: load_manifest(at), 150)
            assert manifest.rows_kept > 0
        fired = api.filter("flow_runs", flow_runs={"tags": {"all_": ["auto-scheduled"]}})
        done = [run for run in fired if run["state"]["type"] in ("RUNNING", "COMPLETED")]
        assert len({run["deployment_id"] for run in done}) == 2
        assert all(run["created_by"]["type"] == "SCHEDULE" for run in done)
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
        codes = [child.wait(30) for child in children]
    assert codes[0] in (0, 130)
    said = log.read_text()
    assert "serving served (* * * * *, UTC) with the Prefect server at " in said
    assert re.search(r"(?m)^next run: \w{3} \d{4}-\d\d-\d\d \d\d:\d\d UTC$", said)
    assert " UTC: the run starts" in said
    left = api.filter("flow_runs", deployments={"name": {"any_": ["served"]}})
    due = [run["state"] for run in left if run["state"]["type"] == "SCHEDULED"]
    assert not due, said
    [one] = api.filter("deployments", deployments={"name": {"any_": ["served"]}})
    assert one["paused"]


def test_a_deployment_checks_the_overrides_of_a_run(api: Api, here: Path) -> None:
    subprocess.run(
        [*PREFECT, "--no-prompt", "work-pool", "create", "checking", "--type", "process"],
        env=api.env, check=True, capture_output=True,
    )  # fmt: skip
    settings = ["--set=name=checked", "--set=stages.distill.samples=8", "--set=budget.until=06:00"]
    command = ["serve", "quickstart", "--cron=0 3 * * *", "--work-pool=checking", *settings]
    for _ in ("created", "updated"):
        assert main(command) == ExitCode.OK
    [one] = api.filter("deployments", deployments={"name": {"any_": ["checked"]}})
    assert one["parameters"]["overrides"] == {
        "name": "checked", "stages.distill.samples": 8, "budget.until": "06:00",
    }  # fmt: skip
    assert one["job_variables"] == {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}}
    properties = one["parameter_openapi_schema"]["properties"]["overrides"]["properties"]
    assert properties["stages.distill.samples"]["maximum"] == 64

    def run(**overrides: Any) -> dict[str, Any]:
        made: dict[str, Any] = api.post(
            f"deployments/{one['id']}/create_flow_run", parameters={"overrides": overrides}
        )
        return made

    with pytest.raises(urllib.error.HTTPError) as refused:
        run(**{"stages.distill.samples": "many"})
    assert refused.value.code == 409
    said = json.load(refused.value)["detail"]
    assert "overrides['stages.distill.samples']" in said.replace('"', "'")
    assert "'many' is not valid under any of the given schemas" in said
    for accepted in (
        {"stages.distill.samples": 4, "stages.quality.length.min_words": 2, "seed": 3},
        {"budget.tokens": 1000, "stages.verify.instructions.read_prompt": False},
        {"stages.quality": ["length"], "guards.rejected": "stop"},  # paths that it does not list
    ):
        assert run(**accepted)["parameters"]["overrides"] == accepted


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--cron=every day", "--cron 'every day' is not a valid schedule"),
        ("--timezone=Mars", "'Mars'"),
    ],
)
def test_a_wrong_schedule_is_reported(
    here: Path, option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "distill-answers", "--cron=0 3 * * *", option]) == ExitCode.INVALID
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_push_waits_on_the_prefect_page_until_it_is_approved(api: Api, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"prompt": "2 + 2?", "response": "It is 4."}\n')
    for name in ("no", "yes"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}{PUSHED}")
    with hub_stand_in() as hub:
        hub.token = "hf_planted0secret0token"
        run = subprocess.Popen(
            [sys.executable, "-c", ONE_AFTER_THE_OTHER, "no.yaml", "yes.yaml"],
            env=api.env | hub.env(tmp_path / "hub"),
            cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for name in ("no", "yes"):
            wanted = {"state": {"type": {"any_": ["PAUSED"]}}, "tags": {"all_": [name]}}
            [paused] = api.wait_for(partial(api.filter, "flow_runs", flow_runs=wanted), 120)
            assert not hub.repos
            api.answer(paused["id"], publish=name == "yes")
        _, told = run.communicate(timeout=120)
    assert list(hub.repos) == ["org/maths"]
    refused, pushed = told.split(f"no.yaml ended with {ExitCode.INVALID}\n")
    assert "nobody approved the push to org/maths" in refused
    assert "nobody approved" not in pushed
    assert pushed.endswith(f"yes.yaml ended with {ExitCode.OK}\n")


@pytest.mark.parametrize(("given", "used"), [(None, 30), ("60", 60)])
def test_runs_on_a_server_of_the_users_send_heartbeats_often(
    api: Api, monkeypatch: pytest.MonkeyPatch, given: str | None, used: int
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", api.url)
    monkeypatch.delenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", raising=False)
    if given:
        monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", given)
    with prefect_api():
        assert os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(used)  # for its children
        refresh_global_settings_context()
        assert get_current_settings().flows.heartbeat_frequency == used
