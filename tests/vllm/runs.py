"""How the tests run a recipe on a real model, and what they hear of the run."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import py3langid

from flows.recipe_file import load_recipe
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.errors import NoRowsError
from synth.store.manifest import Manifest
from synth.teacher.protocol import Reply
from tests.flows.test_jobs import assert_every_row_is_accounted_for

USABLE = {None, "reply_truncated"}
"""Faults that a small model's replies may have: the tests leave it little room, and it rambles."""


class Heard(Progress):
    """Keeps what a run says and what the teacher answers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.replies: dict[int, list[Reply]] = {}
        self.reused = 0
        self.ended: list[Manifest] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        self.replies.setdefault(index, []).append(reply)
        self.reused += reused

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        del skipped
        self.ended.append(manifest)

    @property
    def log(self) -> str:
        """All that was said."""
        return "\n".join(self.said)

    @property
    def every(self) -> list[Reply]:
        """The replies of all stages."""
        return [reply for replies in self.replies.values() for reply in replies]


def run(
    recipe: str | Path,
    folder: Path,
    teacher: dict[str, Any],
    *overrides: str,
    limit: int | None = None,
    heard: Heard | None = None,
) -> list[Manifest]:
    """A recipe's run with this teacher, to its end or until no row is left. Returns the manifests
    of the finished stages. Every row is accounted for."""
    plan = load_recipe(
        str(recipe), overrides=(f"teacher={json.dumps(teacher)}", *overrides), limit=limit
    )
    watch = heard or Heard()

    async def work() -> None:
        async with open_runner(plan, folder, watch) as runner:
            with contextlib.suppress(NoRowsError):  # a small model may write nothing usable
                await run_stages(runner)

    asyncio.run(work())
    assert_every_row_is_accounted_for(folder, watch.ended)
    return watch.ended


def assert_real_text(replies: Sequence[Reply]) -> None:
    """A model wrote these: usable, different, and nearly all in English."""
    assert {reply.fault for reply in replies} <= USABLE
    assert all(reply.tokens_out for reply in replies)
    languages = Counter(py3langid.classify(reply.raw)[0] for reply in replies)
    assert languages["en"] >= 0.8 * len(replies), languages
    assert len({reply.raw for reply in replies}) >= 0.8 * len(replies)
