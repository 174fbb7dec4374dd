"""A Prefect server under test: its records, and the commands that reach it."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.flow_runs import resume_flow_run

from flows.prefect_client import client_of

ROOT = Path(__file__).parents[2]
SYNTH = [sys.executable, "-m", "flows.cli"]
PREFECT = [sys.executable, "-m", "prefect"]


PUSHED = """
stages:
- read: {answers: answers.jsonl}
- write: {format: messages}
- push: {repo: org/maths, approve: true}
"""


class Api:
    """A Prefect server that runs schedules, and its records."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
            "PREFECT_API_URL": url,
            "PREFECT_HOME": str(home),
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
            "PYTHONPATH": str(ROOT),
        }

    def post(self, what: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}/{what}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        for _ in range(9):  # SQLite is locked for moments on a busy machine; Prefect retries, too
            try:
                with urllib.request.urlopen(request, timeout=20) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(1)
        raise TimeoutError(f"{what}: the server has no time for it")

    def filter(self, what: str, **body: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post(f"{what}/filter", **body)
        return found

    def wait_for(self, condition: Any, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "what the test waits for did not come about"
            time.sleep(0.5)
        return found

    def answer(self, run: str, *, publish: bool) -> None:
        """Answers the question of a paused run, as its page does."""
        with client_of(self.url):
            resume_flow_run(UUID(run), run_input={"publish": publish})
