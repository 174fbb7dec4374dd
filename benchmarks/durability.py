"""What durability costs: the journal's CPU, a resume with nothing to do, many shards, memory.

Four figures, each with its goal: CPU of the distill stage with its journal, over the CPU without;
seconds until a finished run knows that there is nothing to do, beyond the imports; CPU per shard
with many shards, over CPU per shard with 100; and peak memory with many journaled replies, in one
journal or in a thousand. The goals are meant for `--records 4000 --rows 100000 --shards 10000
--replies 1000000`, which takes eight minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks import pipeline
from benchmarks.asking import ask, fake_server
from benchmarks.processes import elsewhere
from benchmarks.report import options, peak_mb, result, table
from filters.quality.stage import Quality
from flows import api, loop
from flows.recipe_file import load_recipe
from seeds.read import Read
from synth.engine.run import finished_run
from synth.teacher import journal
from synth.teacher.others import StageJournals

JOURNAL_GOAL, FINISHED_GOAL_S, SHARDS_GOAL, MEMORY_GOAL_MB = 1.25, 2.0, 1.15, 500.0
FEW_SHARDS = 100
SHARD_ROWS = 2
REPLY = b'{"choices": [{"message": {"content": "%s"}}]}' % (b"x" * 200)
ANSWERED = """\
name: done
teacher: {{url: {url}, concurrency: 512}}
stages:
  - read: {{prompts: prompts.jsonl}}
  - quality: [length]
  - distill
  - write
"""


def without_journal(**task: Any) -> dict[str, float]:
    """Runs the distill stage with a journal that keeps nothing."""

    async def put(*_: object) -> None:
        return None

    journal.Journal.put = put  # type: ignore[method-assign]  # the arm without a journal
    return pipeline.distill(**task)


def make_finished(url: str, folder: str, rows: int) -> dict[str, float]:
    """Makes a finished run of this many rows in the folder."""
    os.chdir(folder)
    pipeline.write_prompts(Path("prompts.jsonl"), rows)
    Path("done.yaml").write_text(ANSWERED.format(url=url), encoding="utf-8")
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        api.run("done.yaml", out="run")
    return {}


def nothing_to_do(folder: str) -> dict[str, float]:
    """Seconds until `synth run` knows that the run is finished, once it has its imports."""
    os.chdir(folder)
    started = time.monotonic()
    done = loop.run(finished_run(load_recipe("done.yaml"), Path("run")))
    seconds = time.monotonic() - started
    assert done is not None, "the run is not finished"
    return {"seconds": seconds}


def cpu_per_shard(shards: int) -> dict[str, float]:
    """CPU seconds per shard of a cheap stage, with many shards and with `FEW_SHARDS`."""

    def cost(count: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            prompts = pipeline.write_prompts(Path(folder, "p.jsonl"), count * SHARD_ROWS)
            stages = (Read(prompts=(prompts,)), Quality.model_validate(["length"]))
            ran = pipeline.run(stages, Path(folder, "run"), SHARD_ROWS)
        assert len(ran.manifests[-1].shards) == count
        return ran.cpu_s / count

    cost(FEW_SHARDS)  # loads and compiles what the stage needs
    before = [cost(FEW_SHARDS) for _ in range(3)]
    many = cost(shards)
    few = statistics.median([*before, *(cost(FEW_SHARDS) for _ in range(3))])  # the speed drifts
    return {"few": few, "many": many}


def make_journals(folder: str, replies: int, journals: int) -> dict[str, float]:
    """Writes so many replies into so many journals."""
    each = replies // journals
    for number in range(journals):
        database = journal._connect(Path(folder, f"{number:05d}.sqlite"))
        database.execute("PRAGMA synchronous = OFF")
        for start in range(0, each, 1000):
            keys = (
                sha256(b"%d %d" % (number, n)).digest()
                for n in range(start, min(start + 1000, each))
            )
            journal._insert(database, [(key, 200, 512, REPLY) for key in keys])
        database.close()
    return {}


def memory(folder: str, replies: int) -> dict[str, float]:
    """The peak memory of a process that has opened one journal, or looks in all of many."""
    paths = sorted(Path(folder).glob("*.sqlite"))
    key = sha256(b"0 0").digest()  # the first reply, whatever their number

    async def work() -> int:
        if len(paths) > 1:
            return len(await StageJournals(lambda: paths, lambda _: 0, print).get(key))
        opened = await journal.Journal.open(paths[0])
        assert len(opened._known) == replies
        found = len(await opened.get(key))
        await opened.close()
        return found

    imports_mb = peak_mb()
    assert asyncio.run(work()) == 1
    return {"imports_mb": imports_mb}


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, records=1_000, runs=3, rows=20_000, shards=1_000, replies=200_000)

    cpu = {}
    for client in ("ours", "unjournaled"):
        costs = []
        for _ in range(given.runs):
            little, much = (ask(client, n * given.records, 256, 50).cpu_s for n in (1, 4))
            costs.append((much - little) / (3 * given.records / 1000))
        cpu[client] = statistics.median(costs)

    with fake_server(1) as (url, _), tempfile.TemporaryDirectory() as folder:
        elsewhere("benchmarks.durability:make_finished", url=url, folder=folder, rows=given.rows)
        again = [elsewhere("benchmarks.durability:nothing_to_do", folder=folder) for _ in range(3)]
    seconds = statistics.median(one["seconds"] for one in again)

    shards = elsewhere("benchmarks.durability:cpu_per_shard", shards=given.shards)

    peaks = {}
    for journals in (1, 1000):
        with tempfile.TemporaryDirectory() as folder:
            sizes = {"folder": folder, "replies": given.replies}
            elsewhere("benchmarks.durability:make_journals", **sizes, journals=journals)
            peaks[journals] = elsewhere("benchmarks.durability:memory", **sizes)

    ratios = {"journal": cpu["ours"] / cpu["unjournaled"], "shards": shards["many"] / shards["few"]}
    most = max(peaks.values(), key=lambda one: one["peak_mb"])
    table(
        ["what", "figure", "compared with", "goal"],
        [
            [
                "CPU s per 1,000 records",
                f"{cpu['ours']:.3f}",
                f"{cpu['unjournaled']:.3f} without a journal: ratio {ratios['journal']:.2f}",
                f"≤ {JOURNAL_GOAL}",
            ],
            [
                f"nothing to do in {given.rows:,} rows",
                f"{seconds:.2f} s",
                f"{statistics.median(one['cpu_s'] for one in again):.2f} CPU s",
                f"≤ {FINISHED_GOAL_S:g} s",
            ],
            [
                f"CPU ms per shard, {given.shards:,} shards",
                f"{shards['many'] * 1000:.1f}",
                f"{shards['few'] * 1000:.1f} with {FEW_SHARDS}: ratio {ratios['shards']:.2f}",
                f"≤ {SHARDS_GOAL}",
            ],
            *(
                [
                    f"peak MB, {given.replies:,} replies in {journals:,} journals",
                    f"{peak['peak_mb']:.0f}",
                    f"{peak['imports_mb']:.0f} before",
                    f"≤ {MEMORY_GOAL_MB:.0f}",
                ]
                for journals, peak in peaks.items()
            ),
        ],
    )
    result(
        "durability",
        ratios["journal"],
        "CPU with a journal, over without",
        ("the same stage without a journal", 1.0),
        JOURNAL_GOAL,
        "lower",
    )
    result(
        "durability",
        seconds,
        f"s until a finished run of {given.rows:,} rows has nothing to do",
        ("limit", FINISHED_GOAL_S),
        FINISHED_GOAL_S,
        "lower",
    )
    result(
        "durability",
        shards["many"] * 1000,
        f"CPU ms per shard, {given.shards:,} shards",
        (f"{FEW_SHARDS} shards", shards["few"] * 1000),
        SHARDS_GOAL * shards["few"] * 1000,
        "lower",
    )
    result(
        "durability",
        most["peak_mb"],
        f"MB at the peak, {given.replies:,} journaled replies",
        ("limit", MEMORY_GOAL_MB),
        MEMORY_GOAL_MB,
        "lower",
    )


if __name__ == "__main__":
    main()
