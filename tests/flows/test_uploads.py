"""What a run on object storage uploads: all that another machine needs, and no more."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.recipe_file import load_recipe
from flows.uploads import Uploaded
from synth.engine.run import open_runner, run_stages
from synth.engine.runner import Job, Runner
from synth.store.working_copy import WorkingCopy
from tests.memory_bucket import MemoryBucket

RECIPE = """\
name: mine
shard_rows: 2
runner: {runner}
stages:
  - read: {{prompts: prompts.jsonl}}
  - dedup: {{exact: {{}}, index: {index}}}
  - write
"""


@dataclass(frozen=True, slots=True)
class _Plainly:
    """Does jobs without Prefect."""

    runner: Runner

    async def __call__(self, job: Job) -> int:
        return await self.runner.perform(job)


@pytest.mark.parametrize("workers", [None, "{dask: tcp://10.0.0.1:8786}"])
def test_temporary_files_are_uploaded_only_if_workers_fetch_them(
    tmp_path: Path, workers: str | None
) -> None:
    (tmp_path / "mine.yaml").write_text(
        RECIPE.format(runner=workers or "null", index=tmp_path / "seen")
    )
    lines = (json.dumps({"prompt": f"What is {n} + {n}?"}) for n in (1, 2, 3, 2, 4))
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    bucket = MemoryBucket(f"memory://{tmp_path.name}/run")
    copy = WorkingCopy(bucket, tmp_path / "run")

    async def run() -> None:
        async with open_runner(load_recipe(str(tmp_path / "mine.yaml")), copy.folder) as runner:
            await run_stages(runner, Uploaded(_Plainly(runner), copy))  # type: ignore[arg-type]  as Tasks

    asyncio.run(run())
    copy.push()
    fetched = {name for name in bucket.ever if "/work/0" in name}
    assert ("01-dedup/work/00002/exact.npy" in fetched) == bool(fetched) == bool(workers)
    assert {"01-dedup/work/seen.json", "01-dedup/kept/00002.parquet"} <= bucket.files().keys()
    assert not fetched & bucket.files().keys()
