"""A Dask cluster of three hosts, with the run on S3 or on a shared disk: `make test-cluster`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from flows.prefect_server import SETTINGS, template
from synth.errors import ExitCode
from tests.cluster.hosts import Hosts, hosts, kill

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SYNTH = [sys.executable, "-m", "flows.cli"]
ROWS, SHARD_ROWS, THREADS = 60, 10, 2
RECIPE = """\
name: mine
shard_rows: {shard_rows}
teacher: {{url: {teacher}, concurrency: 2}}
stages:
  - read: {{prompts: {folder}/prompts.jsonl}}
  - dedup: {{exact: {{}}, minhash: {{}}}}
  - distill: {{samples: 1}}
  - quality: [{{length: {{min_words: 2}}}}]
  - verify: [maths, {{code: {{}}}}]
  - write: {{shard_rows: 40}}
"""


@dataclass
class Cluster:
    """The hosts with their servers: a teacher, S3, Prefect, and a Dask scheduler."""

    hosts: Hosts
    folder: Path
    env: dict[str, str]
    ports: dict[str, int]

    def url(self, server: str, scheme: str = "http") -> str:
        return f"{scheme}://{self.hosts.address('main')}:{self.ports[server]}"

    def worker(self, host: str) -> subprocess.Popen[bytes]:
        """A Dask worker on the host, with a disk of its own."""
        disk = self.folder / f"disk-of-{host}-{time.monotonic_ns()}"
        disk.mkdir()
        command = [
            *(sys.executable, "-m", "dask", "worker", self.url("scheduler", "tcp")),
            *("--host", self.hosts.address(host), "--nthreads", str(THREADS), "--nworkers", "1"),
            *("--no-dashboard", "--local-directory", str(disk)),
        ]
        return self.hosts.start(host, f"worker-{host}", command, self.env)

    def scheduler(self) -> subprocess.Popen[bytes]:
        """A Dask scheduler on the main host."""
        command = [
            *(sys.executable, "-m", "dask", "scheduler", "--no-dashboard"),
            *("--host", self.hosts.address("main"), "--port", str(self.ports["scheduler"])),
        ]
        return self.hosts.start("main", "scheduler", command, self.env)

    def synth(self, *arguments: str, **env: str) -> list[str]:
        """The command on the main host."""
        variables = [f"{name}={value}" for name, value in env.items()]
        return self.hosts.command("main", ["env", *variables, *SYNTH, *arguments])

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.synth(*arguments, **env),
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def asked(self) -> list[str]:
        """The questions that the teacher got."""
        return (self.folder / "asked.log").read_text().split()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(condition: Callable[[], Any], what: str, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about"
        time.sleep(0.2)


def answers(cluster: Cluster, url: str) -> bool:
    """Whether a server on the main host answers there."""
    code = f"import urllib.request as u; u.urlopen({url!r}, timeout=5)"
    command = cluster.hosts.command("main", [sys.executable, "-c", code])
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with hosts(folder) as made:
        if made.why:
            print(
                f"one host in place of three, because there are no network namespaces: {made.why}"
            )
        names = ("teacher", "s3", "prefect", "scheduler")
        ports = {name: free_port() for name in names}
        main = made.address("main")
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "AWS_"))},
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": f"http://{main}:{ports['prefect']}/api",
            "PREFECT_HOME": str(folder / "prefect"),
            "SYNTH_CACHE": str(folder / "cache"),
            "AWS_ENDPOINT_URL": f"http://{main}:{ports['s3']}",
            "AWS_ACCESS_KEY_ID": "me",
            "AWS_SECRET_ACCESS_KEY": "hidden",
            "AWS_DEFAULT_REGION": "us-east-1",
            "SOURCE_DATE_EPOCH": "1790000000",
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "15s",
        }
        cluster = Cluster(made, folder, env, ports)
        shutil.copyfile(template(print), _made(folder / "prefect") / "prefect.db")
        prompts = (
            {"prompt": f"What is {n} + {3 * n}? Explain it in {n + 9} words.", "answer": str(4 * n)}
            for n in range(ROWS)
        )
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
        url = f"{cluster.url('teacher')}/v1"
        (folder / "mine.yaml").write_text(
            RECIPE.format(shard_rows=SHARD_ROWS, teacher=url, folder=folder)
        )
        (folder / "asked.log").touch()
        python, port = sys.executable, {name: str(number) for name, number in ports.items()}
        log = str(folder / "asked.log")
        teacher = [python, "-m", "tests.cluster.teacher", main, port["teacher"], "0.7", log]
        made.start("main", "teacher", teacher, env)
        made.start("main", "s3", [os.environ["MOTO_SERVER"], "-H", main, "-p", port["s3"]], env)
        prefect = [python, "-m", "prefect", "server", "start", "--host", main, "--port"]
        settings = {k: v for k, v in SETTINGS.items() if "EPHEMERAL" not in k}
        made.start("main", "prefect", [*prefect, port["prefect"]], {**env, **settings})
        for server in (f"{env['PREFECT_API_URL']}/health", cluster.url("s3"), f"{url}/models"):
            until(lambda server=server: answers(cluster, server), server)
        code = "import fsspec; fsspec.filesystem('s3').mkdir('runs')"
        subprocess.run(made.command("main", [python, "-c", code]), env=env, check=True)
        yield cluster


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def scheduler(cluster: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    started = cluster.scheduler()
    yield started
    kill(started)


@pytest.fixture(scope="module")
def alone(cluster: Cluster) -> dict[str, str]:
    """The release of the same recipe, made on one machine."""
    done = cluster.run("run", "mine.yaml", "--out", "alone")
    assert done.returncode == ExitCode.OK, done.stderr
    return release(cluster.folder / "alone")


def release(run: Path) -> dict[str, str]:
    """The sha256 of each file of a run's release."""
    files = (path for path in sorted((run / "release").rglob("*")) if path.is_file())
    return {str(p.relative_to(run)): sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("place", ["s3://runs/mine", "shared"])
def test_a_worker_that_is_cut_off_and_killed_costs_at_most_its_shards(
    cluster: Cluster, scheduler: object, alone: dict[str, str], place: str
) -> None:
    before, workers = len(cluster.asked()), [cluster.worker(name) for name in ("one", "two")]
    dask = f"--set=runner.dask={cluster.url('scheduler', 'tcp')}"
    with (cluster.folder / f"run-{place[:2]}.log").open("w+") as log:
        run = subprocess.Popen(
            cluster.synth("run", "mine.yaml", "--out", place, dask),
            env=cluster.env,
            cwd=cluster.folder,
            stdout=log,
            stderr=log,
        )
        try:  # a few requests of each worker's first shards are answered
            until(lambda: len(cluster.asked()) - before >= 2 * THREADS * 2 + 2, "the first replies")
            cluster.hosts.cut_off("two", workers[1])
            time.sleep(2)  # it works on, and reaches nobody
            kill(workers[1])
            assert run.wait(600) == ExitCode.OK, Path(log.name).read_text()
        finally:
            run.kill()
            kill(workers[0])
            cluster.hosts.join("two")
    asked = cluster.asked()[before:]
    assert len(set(asked)) == ROWS
    assert len(asked) <= ROWS + THREADS * SHARD_ROWS  # the shards of the lost worker
    shown = cluster.run("show", place, "--check", SYNTH_CACHE=str(cluster.folder / "elsewhere"))
    assert shown.returncode == ExitCode.OK, shown.stderr
    copies = list((cluster.folder / "elsewhere/runs").glob("mine-*"))
    assert release(copies[0] if "://" in place else cluster.folder / place) == alone
    again = cluster.run("run", "mine.yaml", "--out", place, dask)
    assert "is already finished; nothing to do" in again.stderr
    assert len(cluster.asked()) == before + len(asked)


def test_a_run_whose_scheduler_is_killed_ends_with_an_error_and_is_resumed(
    cluster: Cluster, scheduler: subprocess.Popen[bytes], alone: dict[str, str]
) -> None:
    before, worker = len(cluster.asked()), cluster.worker("one")
    dask = f"--set=runner.dask={cluster.url('scheduler', 'tcp')}"
    command = ["run", "mine.yaml", "--out", "lost", dask]
    with (cluster.folder / "lost.log").open("w+") as log:
        run = subprocess.Popen(
            cluster.synth(*command), env=cluster.env, cwd=cluster.folder, stdout=log, stderr=log
        )
        try:  # the first shards are finished, and others are asked
            until(lambda: len(cluster.asked()) - before > THREADS * SHARD_ROWS + 2, "the replies")
            kill(scheduler)
            assert run.wait(60) == ExitCode.INFRASTRUCTURE
            worker.wait(60)  # it ends, as its scheduler does not come back
        finally:
            run.kill()
            kill(worker)
    said = (cluster.folder / "lost.log").read_text()
    assert "synth: the Dask scheduler lost 02-distill/" in said
    assert "Traceback" not in said

    again, worker = cluster.scheduler(), cluster.worker("one")
    try:
        done = cluster.run(*command)
    finally:
        kill(worker)
        kill(again)
    assert done.returncode == ExitCode.OK, done.stderr
    assert release(cluster.folder / "lost") == alone
    asked = cluster.asked()[before:]
    assert len(set(asked)) == ROWS
    assert len(asked) <= ROWS + THREADS * SHARD_ROWS  # the shards in progress
