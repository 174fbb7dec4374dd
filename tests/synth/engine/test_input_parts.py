"""An input of some size is read in parts, side by side, and makes the same shards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import seeds.assemble
from seeds.read import Read
from synth.engine.reading import RunInput
from synth.engine.receipts import Receipts
from synth.engine.run import open_runner, run_stages
from synth.engine.runner import Action, Job
from synth.engine.stage import Source
from synth.errors import StoreFault
from tests.lines import plan, shard_bytes

FILES, SHARDS = 2, 4


@pytest.fixture
def source(tmp_path: Path) -> Read:
    """Files of which each has a row of the one before, and a broken line."""
    folder = tmp_path / "in"
    folder.mkdir()
    for file in range(FILES):
        rows = [json.dumps({"prompt": f"p{n}"}) for n in range(6 * file, 6 * file + 7)]
        (folder / f"{file}.jsonl").write_text("\n".join([*rows, "oops"]) + "\n")
    return Read(prompts=(folder,))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes each file a part."""
    monkeypatch.setattr(seeds.assemble, "PART_BYTES", 1)


def run(
    source: Source,
    folder: Path,
    *,
    dies: Action | None = None,
    first: Callable[[], object] = lambda: None,
) -> list[Action]:
    """The jobs of a run, which may die before its second job of this kind, or its only one.
    `first` is called before the first job."""
    done: list[Action] = []

    async def work() -> None:
        async with open_runner(plan(source, shard_rows=5), folder) as runner:

            async def each(job: Job) -> int:
                if job.action is dies and (job.action in done or dies is Action.READ):
                    raise KeyboardInterrupt
                if not done:
                    first()
                done.append(job.action)
                return await runner.perform(job)

            await run_stages(runner, each)

    asyncio.run(work())
    return done


@pytest.mark.usefixtures("small_parts")
def test_parts_make_the_shards_of_the_whole(
    tmp_path: Path, source: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = [Action.READ, *[Action.FILL] * SHARDS]
    assert run(source, tmp_path / "parts") == [Action.PARSE] * FILES + filled
    assert not (tmp_path / "parts/00-read/work").exists()
    monkeypatch.undo()
    assert run(source, tmp_path / "whole") == [Action.READ]
    shards = shard_bytes(tmp_path / "whole")
    assert shards == shard_bytes(tmp_path / "parts")
    assert len(shards) == 2 * SHARDS


@pytest.mark.usefixtures("small_parts")
def test_a_run_that_died_between_its_shards_makes_the_same_ones(
    tmp_path: Path, source: Read
) -> None:
    run(source, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "run", dies=Action.FILL)
    assert run(source, tmp_path / "run") == [Action.READ] + [Action.FILL] * SHARDS
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")


@pytest.mark.usefixtures("small_parts")
def test_a_killed_run_parses_no_part_again(tmp_path: Path, source: Read) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "run", dies=Action.READ)
    [first, *_] = sorted((tmp_path / "run/00-read/work").iterdir())
    first.unlink()
    assert run(source, tmp_path / "run") == [Action.PARSE, Action.READ] + [Action.FILL] * SHARDS


@pytest.mark.usefixtures("small_parts")
def test_a_part_of_another_input_is_not_used(tmp_path: Path, source: Read) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "run", dies=Action.READ)
    with (tmp_path / "in/0.jsonl").open("a") as file:
        file.write('{"prompt": "one more"}\n')
    done = run(source, tmp_path / "run")
    assert done == [Action.PARSE] * FILES + [Action.READ] + [Action.FILL] * SHARDS
    assert not (tmp_path / "run/00-read/work").exists()


@pytest.mark.usefixtures("small_parts")
def test_a_limit_reads_no_further_than_it_says(tmp_path: Path, source: Read) -> None:
    limited = source.model_copy(update={"limit": 3})
    assert run(limited, tmp_path / "run") == [Action.READ]
    assert len(list(limited.shards(2))) == 2


@pytest.mark.parametrize("part_bytes", [1, 1 << 20])
def test_a_file_that_changes_while_it_is_read_stops_the_run(
    tmp_path: Path, source: Read, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr(seeds.assemble, "PART_BYTES", part_bytes)
    changed = tmp_path / "in/1.jsonl"
    content = changed.read_text()
    with pytest.raises(StoreFault, match=r"in/1.jsonl has changed\. Run the same command again"):
        run(source, tmp_path / "run", first=lambda: changed.write_text('{"prompt": "other"}\n'))
    changed.write_text(content)  # what was parsed meanwhile is not used
    run(source, tmp_path / "run")
    run(source, tmp_path / "whole")
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")


def test_all_processes_read_the_same_files(tmp_path: Path, source: Read) -> None:
    of_a_plan = plan(source)
    receipts = Receipts(of_a_plan, tmp_path / "run", {})
    fingerprint = receipts.shard_fingerprint(0, 0, None)
    RunInput(of_a_plan, tmp_path / "run", receipts)
    (tmp_path / "in/00.jsonl").write_text('{"prompt": "between the others"}\n')
    with pytest.raises(StoreFault, match=r"in/00.jsonl is new"):
        RunInput(of_a_plan, tmp_path / "run", receipts)
    (tmp_path / "in/00.jsonl").unlink()
    (tmp_path / "in/1.jsonl").unlink()
    with pytest.raises(StoreFault, match=r"in/1.jsonl is gone"):
        RunInput(of_a_plan, tmp_path / "run", receipts)
    assert receipts.shard_fingerprint(0, 0, None) == fingerprint
