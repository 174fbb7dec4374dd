"""A line of stages, run for real over a loopback teacher: nothing is lost, nothing asked twice."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from filters.dedup.stage import Dedup
from filters.pii.stage import Redact
from filters.quality.stage import Quality
from filters.trim import Trim
from seeds.read import Read
from synth.engine import run as engine
from synth.engine.account import RowsLostError
from synth.engine.plan import Plan
from synth.engine.run import finished_run, open_runner, run_stages
from synth.engine.runner import Job
from synth.engine.stage import Outcome, Place, ShardStage, Stage
from synth.errors import InputError, NoRowsError, RunLockedError, TeacherFault
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.judge import Judge
from synth.kind import Kind
from synth.record import RECORD, REJECT, new_record, records_table
from synth.release.write import Write
from synth.store.manifest import Manifest
from synth.teacher.config import TeacherConfig
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher
from synth.teacher.protocol import Sampling
from tests.fake_teacher import FakeTeacher, asked_prompt, demand, rule, scripted, serving
from tests.lines import Given, plan, rows, shard_bytes
from tests.synth.teacher.fleets import alive, in_a_hurry, launch

PROMPTS = tuple(f"What is {n} plus {n}?" for n in range(10))


async def run(made: Plan, folder: Path) -> list[Manifest]:
    async with open_runner(made, folder) as runner:
        return await run_stages(runner)


def echo(body: dict[str, Any], _before: int) -> str:
    return f"You ask: {asked_prompt(body)} (seed {body['seed']})"


def go(folder: Path, script: Any = echo, *stages: Any, **more: Any) -> tuple[list[Manifest], int]:
    """Runs a line against a scripted teacher; the manifests, and how often it was asked."""

    async def work() -> tuple[list[Manifest], int]:
        async with scripted(script) as teacher:
            line = stages or (Given(prompts=PROMPTS), Distill(samples=2), Write())
            return await run(plan(*line, url=teacher.url, **more), folder), len(teacher.asked)

    return asyncio.run(work())


def test_every_row_is_accounted_for_at_every_stage(tmp_path: Path) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        return "  " if "3 plus" in asked_prompt(body) else echo(body, 0)

    manifests, _ = go(tmp_path, script)
    for stage in manifests:
        assert stage.rows_in + stage.rows_made == stage.rows_kept + stage.rows_rejected
    assert [stage.rows_kept for stage in manifests] == [10, 18, 18]
    assert manifests[1].reasons == {"reply_empty": 2}
    [first, _] = rows(tmp_path, "01-distill/rejected/*.parquet")
    assert first["by"] == "distill"
    assert '"content": "  "' in first["raw"]


def test_a_finished_run_asks_nothing_and_touches_no_shard(tmp_path: Path) -> None:
    go(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    _, asked = go(tmp_path)
    assert asked == 0
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}


@pytest.mark.parametrize("faults", [{}, {"down": 1.0}], ids=["answered", "retried"])
def test_a_finished_shard_leaves_memory_without_the_garbage_collector(
    tmp_path: Path, faults: dict[str, float]
) -> None:
    async def work() -> None:
        async with serving(teacher := FakeTeacher("one", script=rule, faults=faults)):
            line = (Given(prompts=PROMPTS), Evolve(), Distill(samples=2), Judge(), Write())
            await run(plan(*line, url=teacher.url), tmp_path)

    def alive() -> list[object]:
        return [one for one in gc.get_objects() if isinstance(one, Journal | JournaledTeacher)]

    gc.collect()
    before = alive()  # of other tests
    gc.disable()
    try:
        asyncio.run(work())
        left = [one for one in alive() if one not in before]
    finally:
        gc.enable()
    assert not left, f"in cycles, which a run hardly ever collects: {left}"


def test_a_receipt_counts_retries_and_unusable_replies(tmp_path: Path) -> None:
    async def work() -> list[Manifest]:
        # the first try of each request fails
        teacher = FakeTeacher("one", script=echo, faults={"down": 1.0})
        async with serving(teacher):
            line = (Given(prompts=PROMPTS), Distill(samples=2), Write())
            return await run(plan(*line, url=teacher.url), tmp_path)

    manifests = asyncio.run(work())
    shards = manifests[1].shards
    assert sum(shard.requests for shard in shards) == len(PROMPTS)
    assert sum(shard.retries for shard in shards) == len(PROMPTS)
    assert not any(shard.unusable for shard in shards)


def test_a_run_is_finished_while_the_same_teacher_answers(tmp_path: Path) -> None:
    async def work() -> None:
        same, other = FakeTeacher("one"), FakeTeacher("two")
        async with serving(same, other):
            line = (Given(prompts=PROMPTS), Distill(), Write())
            assert await finished_run(plan(*line, url=same.url), tmp_path) is None
            assert not list(tmp_path.iterdir())
            manifests = await run(plan(*line, url=same.url), tmp_path)
            asked = len(same.asked)
            assert await finished_run(plan(*line, url=same.url), tmp_path) == manifests
            assert len(same.asked) == asked
            assert await finished_run(plan(*line, url=other.url), tmp_path) is None
            more = plan(*line[:2], Write(shard_rows=1), url=same.url)
            assert await finished_run(more, tmp_path) is None
            (tmp_path / "02-write/manifest.json").unlink()
            assert await finished_run(plan(*line, url=same.url), tmp_path) is None
        assert await finished_run(plan(*line, url=same.url), tmp_path) is None

    asyncio.run(work())


def test_a_lost_shard_is_made_again_from_the_journal_with_the_same_bytes(tmp_path: Path) -> None:
    go(tmp_path)
    whole = shard_bytes(tmp_path)
    (tmp_path / "01-distill/kept/00001.parquet").unlink()
    _, asked = go(tmp_path)
    assert asked == 0
    assert shard_bytes(tmp_path) == whole


def test_concurrency_and_arrival_order_do_not_change_a_byte(tmp_path: Path) -> None:
    async def late(body: dict[str, Any], _before: int) -> str:
        await asyncio.sleep(body["seed"] % 7 / 100)
        return echo(body, 0)

    go(tmp_path / "one", echo, concurrency=1)
    go(tmp_path / "many", lambda body, n: late(body, n), concurrency=64)
    assert shard_bytes(tmp_path / "one") == shard_bytes(tmp_path / "many")


def test_another_temperature_asks_anew_and_the_old_replies_stay_paid(tmp_path: Path) -> None:
    cold = (Given(prompts=PROMPTS), Distill(sampling=Sampling(temperature=0.1)), Write())
    warm = (Given(prompts=PROMPTS), Distill(sampling=Sampling(temperature=0.9)), Write())
    assert go(tmp_path, echo, *cold)[1] == 10
    assert go(tmp_path, echo, *warm)[1] == 10
    assert go(tmp_path, echo, *cold)[1] == 0


def test_the_number_of_requests_in_flight_stays_within_the_limit(tmp_path: Path) -> None:
    async def work() -> int:
        async def slow(body: dict[str, Any]) -> str:
            await asyncio.sleep(0.01)
            return echo(body, 0)

        async with scripted(lambda body, _n: slow(body)) as teacher:
            line = (Given(prompts=PROMPTS), Distill(samples=4))
            await run(plan(*line, url=teacher.url, concurrency=3), tmp_path)
            return teacher.most_at_once

    assert asyncio.run(work()) == 3


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        line = plan(Given(prompts=PROMPTS))
        async with open_runner(line, tmp_path):
            with pytest.raises(RunLockedError, match="in use by process"):
                await run(line, tmp_path)

    asyncio.run(work())


def test_a_dead_teacher_stops_the_run_before_any_file_is_written(tmp_path: Path) -> None:
    line = plan(Given(prompts=PROMPTS), Distill(), url="http://127.0.0.1:9/v1")
    with pytest.raises(TeacherFault, match=r"no teacher answers at http://127\.0\.0\.1:9/v1"):
        asyncio.run(run(line, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_name_stops_the_run_before_any_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(TeacherFault, match=r"names the model 'qwen', but .* serves scripted"):
        go(tmp_path / "run", model="qwen")
    assert not (tmp_path / "run").exists()


def test_no_row_left_is_an_error_that_says_why_and_leaves_no_release(tmp_path: Path) -> None:
    with pytest.raises(
        NoRowsError, match=r"after distill: all 20 were rejected \(reply_empty 20\)"
    ):
        go(tmp_path, lambda _body, _n: "")
    assert not (tmp_path / "release").exists()


def test_a_run_folder_of_another_version_is_refused_before_a_teacher_is_asked(
    tmp_path: Path,
) -> None:
    go(tmp_path)
    path = tmp_path / "00-read/manifest.json"
    path.write_text(path.read_text().replace('"format": 5', '"format": 2'))
    before = shard_bytes(tmp_path)
    nobody = plan(Given(prompts=PROMPTS), Distill(samples=2), Write(), url="http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match="another version of synth made"):
        asyncio.run(run(nobody, tmp_path))
    path.rename(tmp_path / "01-distill/manifest.json")  # that version was killed while reading
    with pytest.raises(InputError, match="another version of synth made"):
        asyncio.run(run(nobody, tmp_path))
    assert shard_bytes(tmp_path) == before


class Forgetful(ShardStage):
    """Loses a row."""

    name = "forgetful"
    takes = frozenset({Kind.PROMPTS})

    async def apply(self, table: Any, place: Place) -> Outcome:
        return Outcome(table.slice(1), REJECT.empty_table())


def test_a_stage_that_loses_a_row_is_caught_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RowsLostError, match="lost 1 of 4 input rows"):
        asyncio.run(run(plan(Given(prompts=PROMPTS), Forgetful()), tmp_path))
    assert not list(tmp_path.glob("01-*/kept/*"))


def test_a_shard_with_one_more_row_redoes_only_that_shard(tmp_path: Path) -> None:
    go(tmp_path, echo, Given(prompts=PROMPTS), Distill())
    untouched = (tmp_path / "01-distill/kept/00000.parquet").stat().st_mtime_ns
    _, asked = go(tmp_path, echo, Given(prompts=(*PROMPTS, "One more?")), Distill())
    assert asked == 1
    assert (tmp_path / "01-distill/kept/00000.parquet").stat().st_mtime_ns == untouched


QUESTIONS = [{"prompt": prompt, "answer": "?", "kind": "sums"} for prompt in PROMPTS]
EDITED = [{**QUESTIONS[0], "answer": "0"}, {**QUESTIONS[1], "kind": "maths"}, *QUESTIONS[2:]]


@pytest.mark.parametrize(
    ("name", "questions", "new"),
    [
        ("renamed.jsonl", QUESTIONS, 0),
        ("q.jsonl", QUESTIONS[::-1], 0),
        ("q.jsonl", EDITED, 0),
        ("q.jsonl", [{"prompt": "First?"}, *QUESTIONS], 1),
        ("q.jsonl", [*QUESTIONS[:3], *QUESTIONS], 3),
        ("q.jsonl", QUESTIONS[2:], 0),
    ],
    ids=["renamed", "reversed", "gold and metadata edited", "one before", "copies", "shorter"],
)
def test_a_changed_input_asks_for_its_new_content_alone(
    tmp_path: Path, name: str, questions: list[dict[str, str]], new: int
) -> None:
    def asked(name: str, questions: list[dict[str, str]]) -> int:
        path = tmp_path / name
        path.write_bytes(b"\n".join(map(orjson.dumps, questions)))
        return go(tmp_path / "run", echo, Read(prompts=(path,)), Distill(), shard_rows=100)[1]

    assert asked("q.jsonl", QUESTIONS) == len(QUESTIONS)
    assert asked(name, questions) == new


CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'}}
CHAT = [
    {"role": "user", "content": "What is 3 plus 4?", "name": "ann"},
    {"role": "assistant", "content": "", "reasoning_content": "Add.", "tool_calls": [CALL]},
    {"role": "tool", "content": "7", "tool_call_id": "1"},
]


class Chats(Given):
    """Reads a conversation with tool calls before each prompt."""

    def shards(self, rows: int) -> Iterator[Outcome]:
        chats = [new_record(context=CHAT, prompt=prompt) for prompt in self.prompts]
        tools = records_table([{**row, "tools": '[{"name": "add"}]'} for row in chats])
        yield Outcome(tools, REJECT.empty_table())


def test_tools_and_tool_calls_survive_every_stage(tmp_path: Path) -> None:
    line = (
        Chats(prompts=PROMPTS),
        Dedup.model_validate({"exact": {}}),
        Quality.model_validate(["refusal"]),
        Distill(samples=2),
        Trim(),
        Redact(),
        Write(),
    )
    manifests, _ = go(tmp_path, echo, *line, shard_rows=100)
    for stage in manifests[:-1]:
        [*_, shard] = rows(tmp_path, f"{stage.index:02d}-{stage.stage}/kept/*.parquet")
        assert shard["context"][:3] == CHAT
        assert shard["tools"] == '[{"name": "add"}]'
    [first, *_] = rows(tmp_path, "release/data/*.parquet")
    assert [json.loads(turn) for turn in first["messages"][:1]] == CHAT[:1]
    assert json.loads(first["tools"]) == [{"name": "add"}]


def test_a_target_that_is_not_met_yet_launches_the_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = in_a_hurry(monkeypatch)

    def launched(target: int, **changed: Any) -> int:
        teacher = TeacherConfig.model_validate(launch(mark, **changed).model_dump())
        stages = (Given(prompts=PROMPTS), Distill(), Write(target_rows=target))
        return asyncio.run(run(Plan("test", 7, 2, teacher, stages), tmp_path))[-1].rows_kept

    missing = ["/no/such/vllm", "serve"]
    assert launched(3) == 3
    assert launched(3, command=missing) == 3
    with pytest.raises(TeacherFault, match="/no/such/vllm"):
        launched(9, command=missing)
    assert launched(9) == 9
    assert not alive(mark)


def test_shards_have_the_one_schema(tmp_path: Path) -> None:
    from synth.store.shards import read_shard

    go(tmp_path)
    for stage in ("00-read", "01-distill"):
        assert read_shard(tmp_path / stage / "kept/00000.parquet").schema.equals(RECORD)
        assert read_shard(tmp_path / stage / "rejected/00000.parquet").schema.equals(REJECT)


def test_evolved_prompts_keep_their_whole_trail(tmp_path: Path) -> None:
    def harder(body: dict[str, Any], _before: int) -> str:
        prompt = (
            asked_prompt(body).removeprefix("<prompt>\n").removesuffix("\n</prompt>\nNew prompt:")
        )
        return f"{prompt} {demand(body['seed'])}"

    go(tmp_path, harder, Given(prompts=PROMPTS), Evolve(rounds=3))
    kept = rows(tmp_path, "01-evolve/kept/*.parquet")
    assert len(kept) == 40
    by_id = {row["id"]: row for row in kept}
    eldest = [row for row in kept if len(row["trail"]) == 4]
    assert len(eldest) == 10
    for row in eldest:
        assert [step["round"] for step in row["trail"]] == [0, 1, 2, 3]
        for step, ancestor in zip(row["trail"][1:], [1, 2, 3], strict=True):
            assert len(by_id[step["parent"]]["trail"]) == ancestor


def test_a_run_with_nothing_left_to_ask_launches_no_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = in_a_hurry(monkeypatch)
    line = (Given(prompts=PROMPTS), Distill(), Write())

    def launched(*stages: Stage, **changed: Any) -> list[Manifest]:
        teacher = TeacherConfig.model_validate(launch(mark, **changed).model_dump())
        return asyncio.run(run(Plan("test", 7, 4, teacher, stages), tmp_path))

    first = launched(*line)
    missing = ["/no/such/vllm", "serve"]
    assert launched(*line, command=missing) == first
    teacher = TeacherConfig.model_validate(launch(mark, command=missing).model_dump())
    same = Plan("test", 7, 4, teacher, line)
    assert asyncio.run(finished_run(same, tmp_path)) == first
    more = launched(Given(prompts=PROMPTS), Distill(), Write(shard_rows=5), command=missing)
    assert more[1] == first[1]
    other = Distill(sampling=Sampling(temperature=0.1))
    for stages, changed in (
        ((Given(prompts=PROMPTS), other, Write()), {}),
        (line, {"model": "org/other"}),
    ):
        with pytest.raises(TeacherFault, match="/no/such/vllm"):
            launched(*stages, command=missing, **changed)
    assert not alive(mark)


def test_short_shards_share_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler's own cost for each job would exceed theirs."""
    monkeypatch.setattr(engine, "JOB_S", 1e9)  # however slow this machine is
    monkeypatch.setattr("synth.engine.workers.WORTH_S", 1e9)
    made = replace(plan(Given(texts=PROMPTS * 4), Redact(), Write(), shard_rows=1), workers=2)
    jobs: list[Job] = []

    async def work() -> list[Manifest]:
        async with open_runner(made, tmp_path) as runner:
            runner.loader = "for:workers"  # they are not needed for so little

            async def each(job: Job) -> int:
                jobs.append(job)
                return await runner.perform(job)

            return await run_stages(runner, each)

    manifests = asyncio.run(work())
    redacting = [job for job in jobs if job.name == "redact"]
    shards = [shard for job in redacting for shard in (job.shard, *job.more)]
    assert sorted(shards) == list(range(40))
    assert len(redacting) < 20
    assert redacting[1].label == "01-redact/00001 and 8 more"
    assert manifests[-1].rows_kept == 40
