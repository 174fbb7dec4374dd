"""A key is sent, and stands nowhere else: not in what a run writes, says, logs or fails with."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.errors import TeacherFault
from synth.generate.distill import Distill
from synth.release.write import Write
from tests.fake_teacher import FakeTeacher, serving
from tests.lines import Given, plan

KEY = "sk-xyzzy/47+11"
TEXT = {"type": "string"}
PROMPTS = tuple(f"Why {n}?" for n in range(6))


class Speaking(Progress):
    def say(self, message: str) -> None:
        print(message)


async def go(folder: Path, server: FakeTeacher, *, refused: int = 0) -> None:
    """A whole run: every answer echoes the headers; so do a refusal, an outage, and a 401."""
    line = Given(prompts=PROMPTS), Distill(samples=2, logprobs=True, json_schema=TEXT), Write()
    async with serving(server):
        made = plan(*line, url=server.url, api_key_env="MY_KEY", patience_s=0.3)
        async with open_runner(made, folder, Speaking()) as runner:
            server.status = refused or 200
            await run_stages(runner)


def content_of(path: Path) -> bytes:
    """What stands in a file; a shard's pages are compressed."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist()).encode()
    try:
        return path.read_bytes()
    except FileNotFoundError:  # SQLite's log, which its thread removes when a journal is closed
        assert path.name.endswith(("-wal", "-shm"))
        return b""


@pytest.mark.parametrize("status", [0, 401, 500])
def test_a_planted_key_is_in_nothing_that_a_run_leaves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    server = FakeTeacher(echoes=True, refuses_prompts=frozenset({"Why 3?"}))
    told = ""
    try:
        asyncio.run(go(tmp_path, server, refused=status))
    except TeacherFault as fault:
        told = "".join(traceback.format_exception(fault))
    assert bool(told) == bool(status)
    assert server.echoed > 1, "the key came, and was sent back"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= ({".sqlite"} if status else {".parquet", ".md"})
    found = [told.encode(), caplog.text.encode(), "".join(capfd.readouterr()).encode()]
    for content in [*found, *map(content_of, files)]:
        for trace in (b"xyzzy", b"Bearer sk", b"47%2B11"):
            assert trace not in content
