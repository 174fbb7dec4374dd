"""What a server can do is found out with requests of a few tokens, and only what a recipe needs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.errors import NoRowsError, TeacherFault
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.gain import GainJudge
from synth.record import Turn
from synth.store.manifest import TeacherRecord, load_manifest
from synth.teacher import identify
from synth.teacher.config import TeacherConfig
from synth.teacher.identify import PROBES, find_abilities
from synth.teacher.protocol import Need, Request, Sampling
from synth.teacher.wire import Secret, Wire
from tests.fake_teacher import FakeTeacher, Script, scripted, serving
from tests.lines import Given, plan, rows, shard_bytes

ALL = frozenset(Need)
SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}}, "required": ["why"]}


def found(*replicas: FakeTeacher, needs: frozenset[Need] = ALL) -> dict[Need, str]:
    """The detail of each need, with `+` if the servers meet it."""

    async def work() -> dict[Need, str]:
        async with serving(*replicas), aiohttp.ClientSession() as session:
            wire, urls = Wire(session, Secret(None)), [replica.url for replica in replicas]
            abilities = await find_abilities(wire, urls, "stand-in", needs)
            return {need: "+-"[not one.has] + one.detail for need, one in abilities.items()}

    return asyncio.run(work())


def test_a_server_like_vllm_has_everything() -> None:
    server = FakeTeacher()
    told = found(server)
    assert list(told) == list(Need)
    unseen = {Need.SEED, Need.TEMPLATE, Need.PRIORITY, Need.SYSTEM, Need.THINKING}
    assert told == {need: "+accepted" if need in unseen else "+yes" for need in Need}
    assert len(server.bodies) == len(Need)
    assert all(body["max_tokens"] <= 64 for body in server.bodies)


def test_only_what_is_needed_is_asked() -> None:
    server = FakeTeacher()
    assert list(found(server, needs=frozenset({Need.LOGPROBS}))) == [Need.LOGPROBS]
    assert len(server.bodies) == 1
    assert not found(FakeTeacher(), needs=frozenset())


SETTING = {
    need: next(iter(one.asks))
    for need, one in PROBES.items()
    if need not in (Need.RAW, Need.SYSTEM)
} | {Need.THINKING: "thinking_token_budget"}


@pytest.mark.parametrize("need", SETTING)
def test_what_is_refused_is_not_there(need: Need) -> None:
    told = found(FakeTeacher(refuses=frozenset({SETTING[need]})), needs=frozenset({need}))[need]
    assert told.startswith("-no, it answers 400: ")
    assert f"{SETTING[need]} is not supported" in told


@pytest.mark.parametrize("need", [Need.SEVERAL, Need.SCHEMA, Need.LOGPROBS])
def test_what_is_taken_without_notice_is_not_there(need: Need) -> None:
    server = FakeTeacher(ignores=frozenset({SETTING[need]}))
    assert found(server, needs=frozenset({need})) == {need: "-no, it ignores the option"}


def test_a_model_that_thinks_first_is_given_the_benefit_of_the_doubt() -> None:
    told = found(FakeTeacher(thinks=True), needs=frozenset({Need.SCHEMA}))
    assert told == {Need.SCHEMA: "+accepted"}


@pytest.mark.parametrize(
    ("server", "detail"),
    [
        (FakeTeacher(thoughts=500), "+yes"),
        (
            FakeTeacher(thoughts=500, ignores=frozenset({"thinking_token_budget"})),
            "-no, it ignores",
        ),
        (FakeTeacher(), "+accepted"),  # a model that does not reason shows nothing
    ],
)
def test_a_thinking_budget_shows_in_a_reply_with_reasoning(
    server: FakeTeacher, detail: str
) -> None:
    assert found(server, needs=frozenset({Need.THINKING}))[Need.THINKING].startswith(detail)


def test_a_server_without_raw_completions_is_told() -> None:
    told = found(FakeTeacher(completions=False), needs=frozenset({Need.RAW}))
    assert told == {Need.RAW: "-no, there is no completions"}


def test_one_replica_that_lacks_it_decides_and_is_named() -> None:
    weak = FakeTeacher(refuses=frozenset({"logprobs"}))
    told = found(FakeTeacher(), weak, FakeTeacher(), needs=frozenset({Need.LOGPROBS}))[
        Need.LOGPROBS
    ]
    assert told.startswith("-no")
    assert told.endswith(f", at {weak.url}")


def test_a_server_that_fails_is_not_taken_for_one_that_lacks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identify, "PAUSE_S", 0)
    with pytest.raises(TeacherFault, match="could not be probed for JSON by a schema"):
        found(FakeTeacher(status=503), needs=frozenset({Need.SCHEMA}))


async def asked_of(script: Script, *needs: Need) -> tuple[dict[Need, str], int]:
    """The details of the needs, and how many requests they took."""
    asked = 0

    def counted(body: dict[str, Any], before: int) -> Any:
        nonlocal asked
        asked += 1
        return script(body, before)

    async with scripted(counted) as server, aiohttp.ClientSession() as session:
        wire = Wire(session, Secret(None))
        abilities = await find_abilities(wire, [server.url], "scripted", frozenset(needs))
        return {need: "+-"[not one.has] + one.detail for need, one in abilities.items()}, asked


def takes_no_system(status: int) -> Script:
    """A server whose chat template knows no system role."""

    def script(body: dict[str, Any], _before: int) -> Any:
        if any(turn["role"] == "system" for turn in body["messages"]):
            return status, {"error": {"message": "System role not supported"}}
        return " / ".join(f"{turn['role']}: {turn['content']}" for turn in body["messages"])

    return script


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_chat_template_without_a_system_role_is_found_out(status: int) -> None:
    told, asked = asyncio.run(asked_of(takes_no_system(status), Need.SYSTEM))
    assert told[Need.SYSTEM].startswith(f"-no, it answers {status}: ")
    assert "System role not supported" in told[Need.SYSTEM]
    assert asked == 2


def test_a_server_that_refuses_everything_is_not_said_to_refuse_system_turns() -> None:
    told, _ = asyncio.run(asked_of(lambda _b, _n: (400, {"error": "no"}), Need.SYSTEM))
    assert told == {Need.SYSTEM: "+unknown, it answers 400 without them too"}


def test_a_server_that_wants_max_completion_tokens_is_not_said_to_lack_anything() -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        if "max_tokens" in body:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead."}}
        return "7"

    told, asked = asyncio.run(asked_of(script, Need.SCHEMA))
    assert (told, asked) == ({Need.SCHEMA: "+yes"}, 2)
    too_large = "'max_tokens' or 'max_completion_tokens' is too large: 4. This model's maximum "
    said = f"{too_large}context length is 2 tokens and your request has 1 input tokens"
    told, asked = asyncio.run(asked_of(lambda _b, _n: (400, {"message": said}), Need.SEED))
    assert (told[Need.SEED][:19], asked) == ("-no, it answers 400", 1)


def test_system_turns_are_folded_where_the_recipe_says_so(tmp_path: Path) -> None:
    async def go(folder: Path, **teacher: Any) -> list[dict[str, Any]]:
        async with scripted(takes_no_system(500)) as server:
            line = plan(Given(prompts=("Why?",)), Distill(system="Be <think>ful."), url=server.url)
            config = TeacherConfig(url=server.url, **teacher)
            async with open_runner(replace(line, teacher=config), folder, progress) as runner:
                await run_stages(runner)
            return server.asked

    progress = Listening()
    with pytest.raises(TeacherFault, match=r"01-distill needs system turns.*`system: fold`"):
        asyncio.run(go(tmp_path / "kept"))
    asked = asyncio.run(go(tmp_path / "run", system="fold"))
    # as it would be sent in a system turn, where the marks of reasoning are no one's data
    folded = {"role": "user", "content": "Be <think>ful.\n\nWhy?"}
    assert [body["messages"] for body in asked] == [[folded]]
    assert progress.said[-1].endswith("put into the user turn, `system: fold`")
    [row] = rows(tmp_path / "run", "01-distill/kept/*.parquet")
    assert [turn["role"] for turn in row["context"]] == ["system", "user"]
    manifest = load_manifest(tmp_path / "run/01-distill/manifest.json")
    assert manifest is not None
    assert manifest.teacher == TeacherRecord(model="scripted", folds=True)
    assert not asyncio.run(go(tmp_path / "run", system="fold")), "the journal has the reply"


def test_folded_turns_alternate() -> None:
    turns = [("system", "S"), ("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")]
    request = Request([Turn(role=role, content=text) for role, text in turns], Sampling(), 1)
    told = [(turn["role"], turn["content"]) for turn in replace(request, fold=True).messages]
    assert told == [("user", "S\n\na\n\nb"), ("assistant", "c"), ("user", "d")]
    assert [(turn["role"], turn["content"]) for turn in request.messages] == turns


class Listening(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def run(folder: Path, server: FakeTeacher, *stages: Stage, **teacher: object) -> list[str]:
    """Runs a line against the server; what was said."""
    progress = Listening()

    async def work() -> None:
        async with serving(server):
            line = plan(Given(prompts=("Why?", "How?")), *stages, url=server.url, **teacher)
            async with open_runner(line, folder, progress) as runner:
                await run_stages(runner)

    asyncio.run(work())
    return progress.said


def test_a_run_begins_with_who_answers_and_what_it_uses_of_them(tmp_path: Path) -> None:
    server = FakeTeacher(ignores=frozenset({"n"}))
    said = run(tmp_path, server, Distill(samples=2, logprobs=True))
    assert said == [
        f"teacher: stand-in (0.12.0, context 8192) at {server.url}",
        "  several answers a request  no, it ignores the option; each answer takes its own request",
        "  log probabilities          yes",
    ]


@pytest.mark.parametrize(
    ("stage", "lacks", "told"),
    [
        (
            Distill(json_schema=SCHEMA),
            "response_format",
            "01-distill needs JSON by a schema.*leave",
        ),
        (Distill(logprobs=True), "logprobs", "01-distill needs log probabilities, which"),
        (
            Distill(sampling=Sampling(chat_template_kwargs={"enable_thinking": False})),
            "chat_template_kwargs",
            "01-distill needs chat-template options, which .* is not supported",
        ),
        (
            Evolve(judge=GainJudge(sampling=Sampling(thinking_token_budget=100))),
            "thinking_token_budget",
            "01-evolve needs thinking budget, which .*--reasoning-parser",
        ),
        (Distill(sampling=Sampling(max_tokens=9000)), "-", "replies of 9,000 tokens, .* is 8,192"),
    ],
)
def test_a_recipe_that_needs_more_stops_before_anything_is_written(
    tmp_path: Path, stage: Stage, lacks: str, told: str
) -> None:
    server = FakeTeacher(refuses=frozenset({lacks}))
    with pytest.raises(TeacherFault, match=told):
        run(tmp_path / "run", server, stage)
    assert not (tmp_path / "run").exists()
    assert not server.asked


def test_a_thinking_budget_is_sent_and_leaves_room_for_the_answer(tmp_path: Path) -> None:
    def kept(budget: int | None) -> list[dict[str, Any]]:
        sampling = Sampling(max_tokens=200, thinking_token_budget=budget)
        server = FakeTeacher(thoughts=900)
        with suppress(NoRowsError):
            run(tmp_path, server, Distill(sampling=sampling))
        assert [body.get("thinking_token_budget") for body in server.log.asked] == [budget] * 2
        return rows(tmp_path, "01-distill/kept/*.parquet")

    assert kept(None) == []
    left = rows(tmp_path, "01-distill/rejected/*.parquet")
    assert {row["reason"] for row in left} == {"reasoning_unfinished"}
    # another budget is another question: nothing of the first run is reused
    assert [len(row["reasoning"].split()) for row in kept(50)] == [50, 50]


def test_a_budget_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="it must be smaller than max_tokens, which is 200"):
        Sampling(max_tokens=200, thinking_token_budget=200)


def test_priority_goes_with_every_request_and_is_no_part_of_it(tmp_path: Path) -> None:
    server = FakeTeacher()
    run(tmp_path, server, Distill(), priority=-5)
    assert [body["priority"] for body in server.bodies if body["max_tokens"] > 1] == [-5, -5]
    server = FakeTeacher()
    run(tmp_path, server, Distill())
    assert not server.asked  # the journal has the replies
    refusing = FakeTeacher(refuses=frozenset({"priority"}))
    with pytest.raises(TeacherFault, match=r"needs priority.*--scheduling-policy priority"):
        run(tmp_path / "other", refusing, Distill(), priority=1)


def test_a_server_of_single_answers_is_asked_for_each(tmp_path: Path) -> None:
    server = FakeTeacher(ignores=frozenset({"n"}))
    run(tmp_path, server, Distill(samples=3))
    assert len(server.asked) == 6
    assert len(rows(tmp_path, "01-distill/kept/*.parquet")) == 6


def test_logprobs_and_json_reach_the_shard(tmp_path: Path) -> None:
    run(tmp_path, FakeTeacher(), Distill(samples=2, json_schema=SCHEMA, logprobs=True))
    kept = rows(tmp_path, "01-distill/kept/*.parquet")
    assert [row["logprobs"] for row in kept] == [[-0.5] * 5] * 4
    assert all(row["text"].startswith('{"why":"') for row in kept)


def test_the_share_of_prompts_that_the_cache_had_stands_in_the_manifest_and_in_no_shard(
    tmp_path: Path,
) -> None:
    for folder, hits in (("one", 12), ("two", 4)):
        server = FakeTeacher(hits_each=hits)
        run(tmp_path / folder, server, Distill())
        manifest = load_manifest(tmp_path / folder / "01-distill/manifest.json")
        assert manifest is not None
        assert manifest.prefix_hit_rate == hits / 16
    assert shard_bytes(tmp_path / "one") == shard_bytes(tmp_path / "two")
    blind = FakeTeacher(tells_metrics=False)
    run(tmp_path / "blind", blind, Distill())
    manifest = load_manifest(tmp_path / "blind/01-distill/manifest.json")
    assert manifest is not None
    assert manifest.prefix_hit_rate is None


def test_the_models_root_and_the_engines_version_are_in_each_trail_and_the_manifest(
    tmp_path: Path,
) -> None:
    # GET /v1/models and /version as vLLM 0.32 answers them: `--served-model-name qwen`
    server = FakeTeacher(model="qwen", root="Qwen/Qwen3-8B", version="0.32.0")
    run(tmp_path, server, Distill(samples=2))
    manifest = load_manifest(tmp_path / "01-distill/manifest.json")
    assert manifest is not None
    assert manifest.teacher == TeacherRecord(model="qwen", revision="Qwen/Qwen3-8B 0.32.0")
    steps = [row["trail"][-1] for row in rows(tmp_path, "01-distill/kept/*.parquet")]
    assert {(step["model"], step["revision"]) for step in steps} == {
        ("qwen", "Qwen/Qwen3-8B 0.32.0")
    }
    asked = len(server.asked)
    server.version = "0.33.0"  # may answer otherwise: nothing of the old one is passed off as its
    run(tmp_path, server, Distill(samples=2))
    assert len(server.asked) == 2 * asked
