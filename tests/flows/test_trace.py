"""`synth trace` and `synth prompts`: the requests that are shown are the ones that are sent."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest

from filters.verify.stage import Verify
from flows.cli import main
from flows.prompts import prompts
from flows.trace import Traced, trace
from flows.trace_terminal import trace_as_json
from synth.batch import Batch
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.errors import ExitCode, InputError
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.operations import Checkable, Operation
from synth.generate.resample import Resample
from synth.generate.revise import Revise
from synth.generate.rewrite import Rewrite
from synth.generate.styles import Style
from synth.model import Model
from synth.record import plain_turns
from synth.release.write import Write
from synth.store.manifest import run_manifests
from synth.verdicts import Check, Verdict
from tests.fake_teacher import MOST_OF_A_PROBE, asked_prompt, demand, scripted
from tests.lines import Given, plan, rows


class Odd(Model):
    """Passes every other row, so that the samples of a prompt disagree."""

    name: ClassVar[str] = "odd"

    def check(self, batch: Batch) -> list[Check]:
        return [Check(Verdict.PASS if n % 2 else Verdict.FAIL) for n in range(len(batch))]


PROMPTS = tuple(f"Why is number {n} odd?" for n in range(6))
TEXTS = tuple(f"Page {n}. " + "Plants need light to grow, and water. " * 12 for n in range(5))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits journal entries at once, so that the tests run fast."""
    monkeypatch.setattr("synth.teacher.journal.COMMIT_AFTER_S", 0.01)


def say(body: dict[str, Any], _before: int) -> str:
    asked = asked_prompt(body)
    if body["max_tokens"] <= MOST_OF_A_PROBE:
        return "7"  # what it must say by the schema that it is tried with
    if "response_format" in body:
        return '{"critique": "Too short.", "needs_revision": true}'
    if "<source>" in asked:
        return f"=== faq ===\nQ: Why? A: {asked[-40:]}"
    if body["seed"] % 5 == 0:
        return "Sorry, I cannot."
    prompt = asked.removeprefix("<prompt>\n").removesuffix("\n</prompt>\nNew prompt:")
    return f"{prompt} {demand(body['seed'])}"


def run(
    folder: Path, *stages: Stage, several: bool = True, **teacher_settings: Any
) -> list[dict[str, Any]]:
    """Returns the bodies sent to the teacher; `several`: whether it supports n > 1."""

    def reply(body: dict[str, Any], before: int) -> Any:
        if body.get("n", 1) > 1 and not several:
            return 400, {"error": {"message": "n must be 1"}}
        return say(body, before)

    async def work() -> list[dict[str, Any]]:
        async with (
            scripted(reply) as teacher,
            open_runner(plan(*stages, url=teacher.url, **teacher_settings), folder) as runner,
        ):
            await run_stages(runner)
        return [body for body in teacher.asked if body["max_tokens"] > 1]

    return asyncio.run(work())


def traced(folder: Path, wanted: str) -> Traced:
    return asyncio.run(trace(folder, run_manifests(folder), wanted))


ATTACHED = Evolve(
    operations=(Operation.CHECKABLE,), checkable=Checkable(by="program"), keep="latest"
)
LINES = {
    "attached": (Given(prompts=PROMPTS), ATTACHED, Distill(), Write()),
    "answers": (Given(prompts=PROMPTS), Evolve(rounds=2), Distill(samples=2), Write()),
    "documents": (Given(texts=TEXTS), Rewrite(styles=(Style.FAQ,)), Write()),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the line `answers`. Do not change it."""
    folder = tmp_path_factory.mktemp("answers")
    run(folder, *LINES["answers"])
    return folder


@pytest.mark.parametrize("line", LINES)
def test_every_step_is_shown_with_the_request_that_was_sent(tmp_path: Path, line: str) -> None:
    sent = run(tmp_path, *LINES[line])
    last = run_manifests(tmp_path)[-2]
    records = rows(tmp_path, f"{last.index:02d}-*/kept/*.parquet")
    assert records
    for record in records:
        found = traced(tmp_path, record["id"])
        assert found.found.record == record
        assert found.seed is not None
        assert found.seed["trail"] == record["trail"][:1]
        assert not found.changed
        steps = [step for step in record["trail"] if step["request"]]
        for step in steps:
            exchange = found.exchanges[step["request"]]
            assert json.loads(exchange.request.body("scripted")) in sent
        assert (
            found.exchanges[steps[-1]["request"]].reply.text == record["text"] or line != "answers"
        )


def test_a_rejected_row_is_traced_with_its_reason(answers: Path) -> None:
    rejected = rows(answers, "01-evolve/rejected/*.parquet")
    record = next(row for row in rejected if row["reason"] != "superseded")
    found = traced(answers, record["id"])
    assert found.found.record["reason"] == record["reason"]
    assert (
        found.exchanges[record["trail"][-1]["request"]].reply.text
        == record["context"][-1]["content"]
    )


def test_the_beginning_of_an_id_is_enough_where_it_is_the_only_one(answers: Path) -> None:
    ids = [row["id"] for row in rows(answers, "02-distill/kept/*.parquet")]
    assert traced(answers, ids[0][:10]).found.record["id"] == ids[0]
    with pytest.raises(InputError, match="too short"):
        traced(answers, "ab")
    with pytest.raises(InputError, match=r"no record id in .* begins with 'zzzz'"):
        traced(answers, "zzzz")


def test_a_request_that_cannot_be_rendered_is_reported_and_the_rest_is_shown(
    answers: Path, tmp_path: Path
) -> None:
    shutil.copytree(answers, tmp_path, dirs_exist_ok=True)
    answers = rows(tmp_path, "02-distill/kept/*.parquet")
    record = next(row for row in answers if row["trail"][1]["stage"] == "evolve")
    shutil.rmtree(tmp_path / "01-evolve/journal")
    found = traced(tmp_path, record["id"])
    assert "evolve: the journal" in found.changed
    assert list(found.exchanges) == [record["trail"][-1]["request"]]
    journal = sorted((tmp_path / "02-distill/journal").glob("*.sqlite"))
    for path in journal:
        path.unlink()
    assert not traced(tmp_path, record["id"]).exchanges


def test_a_trace_asks_nobody_and_changes_nothing(answers: Path) -> None:
    before = {path: path.read_bytes() for path in answers.rglob("*.parquet")}
    record = rows(answers, "02-distill/kept/*.parquet")[0]
    parsed = json.loads(trace_as_json(traced(answers, record["id"])))
    assert parsed["record"]["id"] == record["id"]
    assert parsed["steps"][-1]["exchange"]["request"]["messages"] == plain_turns(record["context"])
    assert {path: path.read_bytes() for path in answers.rglob("*.parquet")} == before


RECIPE = """\
name: mine
seed: 7
teacher: {url: "http://127.0.0.1:9/v1", model: scripted}
stages:
  - read: {prompts: prompts.txt}
  - quality: [{length: {min_words: 3}}]
  - evolve: {rounds: 2}
  - dedup: {exact: {}}
  - distill: {samples: 2, system: Be brief.}
  - write
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "prompts.txt").write_text("\n\n".join([*PROMPTS, "Why?"]))
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return str(tmp_path / "mine.yaml")


def bodies(recipe: str, capsys: pytest.CaptureFixture[str], row: int) -> list[dict[str, Any]]:
    assert main(["prompts", recipe, "--row", str(row), "--json"]) == ExitCode.OK
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_prompts_are_rendered_through_the_whole_line_without_a_teacher(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered = [body for row in range(1, 7) for body in bodies(recipe, capsys, row)]
    assert len(rendered) == 6 * (2 + 1)  # two samples are one request
    assert {body["model"] for body in rendered} == {"scripted"}
    evolved, distilled = rendered[0], rendered[2]
    assert evolved["messages"][-1]["content"] == f"<prompt>\n{PROMPTS[0]}\n</prompt>\nNew prompt:"
    assert [turn["content"] for turn in distilled["messages"]] == ["Be brief.", PROMPTS[0]]


@pytest.mark.parametrize("evolve", [(), (ATTACHED,)])
def test_a_first_request_is_the_one_that_a_run_sends(
    tmp_path: Path, evolve: tuple[Evolve, ...]
) -> None:
    line = (Given(prompts=PROMPTS), *evolve, Distill(samples=2), Write())
    sent = run(tmp_path, *line)

    async def rendered() -> list[dict[str, Any]]:
        found = []
        for row in range(1, 1 + len(PROMPTS)):
            async for _, made in prompts(plan(*line), row):
                assert not isinstance(made, str)
                found += [json.loads(exchange.request.body("scripted")) for exchange in made]
        return found

    def by_seed(some: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(some, key=lambda body: (body["seed"], str(body["messages"])))

    assert by_seed(asyncio.run(rendered())) == by_seed(sent)


def test_a_row_that_a_filter_rejects_is_reported(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", recipe, "--row", "7"]) == ExitCode.OK
    assert capsys.readouterr().out == "01-quality: the row is rejected here: too_few_words\n"


def test_a_row_beyond_the_input_is_reported(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", recipe, "--row", "8"]) == ExitCode.INVALID
    assert "--row 8: the input has only 7 readable rows" in capsys.readouterr().err


def test_control_characters_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, Given(prompts=("Why \x1b[31mred\x1b[0m?",)), Distill(), Write())
    record = rows(tmp_path, "01-distill/kept/*.parquet")[0]
    assert main(["trace", record["id"], "--run", str(tmp_path)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "Why \ufffd[31mred" in out


def test_further_samples_are_shown_with_their_own_replies(tmp_path: Path) -> None:
    verify = Verify.model_validate({"checks": [{"use": f"{__name__}:Odd"}], "reject": []})
    run(tmp_path, Given(prompts=PROMPTS), Distill(samples=2), verify, Resample(samples=3), Write())
    records = rows(tmp_path, "03-resample/kept/*.parquet")
    further = [row for row in records if row["trail"][-1]["stage"] == "resample"]
    assert further
    for record in further:
        exchange = traced(tmp_path, record["id"]).exchanges[record["trail"][-1]["request"]]
        assert exchange.reply.text == record["text"]


def test_a_revised_further_sample_is_shown_with_the_reply_that_was_revised(tmp_path: Path) -> None:
    verify = Verify.model_validate({"checks": [{"use": f"{__name__}:Odd"}], "reject": []})
    first, more = Distill(samples=2), Resample(samples=3)
    run(tmp_path, Given(prompts=PROMPTS[:2]), first, verify, more, Revise(), Write())
    texts = {row["id"]: row["text"] for row in rows(tmp_path, "03-resample/kept/*.parquet")}
    records = rows(tmp_path, "04-revise/kept/*.parquet")
    assert len(records) == len(texts) == 2 * (2 + 3)
    for record in records:
        answer, critique = record["trail"][1:3]
        exchange = traced(tmp_path, record["id"]).exchanges[answer["request"]]
        assert exchange.reply.text == texts[critique["parent"]]


def test_a_folded_system_turn_is_traced_and_shown_as_it_was_sent(tmp_path: Path) -> None:
    line = (Given(prompts=PROMPTS[:2]), Distill(system="Be brief."), Write())
    sent = run(tmp_path, *line, system="fold")
    folded = [[{"role": "user", "content": f"Be brief.\n\n{one}"}] for one in PROMPTS[:2]]
    assert sorted(body["messages"][0]["content"] for body in sent) == [
        turns[0]["content"] for turns in folded
    ]
    shown = []
    for record in rows(tmp_path, "01-distill/kept/*.parquet"):
        found = traced(tmp_path, record["id"])
        assert not found.changed
        shown.append(found.exchanges[record["trail"][-1]["request"]].request.messages)
    assert shown == folded

    async def rendered() -> list[Any]:
        made = plan(*line, url="http://127.0.0.1:9/v1", system="fold")
        return [one async for _, made in prompts(made, 1) for one in made]

    assert [exchange.request.messages for exchange in asyncio.run(rendered())] == folded[:1]


def test_rows_are_traced_beside_one_whose_answer_is_not_journaled(tmp_path: Path) -> None:
    run(tmp_path, Given(prompts=PROMPTS[:3]), Distill(), Write())
    records = rows(tmp_path, "01-distill/kept/*.parquet")
    lost, *others = [(row["id"], row["trail"][-1]["request"]) for row in records]
    [journal] = tmp_path.glob("01-distill/journal/*.sqlite")
    with sqlite3.connect(journal) as database:
        database.execute("DELETE FROM replies WHERE key = ?", [bytes.fromhex(lost[1])])
    for wanted, key in others:
        found = traced(tmp_path, wanted)
        assert key in found.exchanges
        assert not found.changed
    assert "not in the journal" in traced(tmp_path, lost[0]).changed


def test_samples_that_were_asked_for_one_by_one_are_traced(tmp_path: Path) -> None:
    asked = run(tmp_path, Given(prompts=PROMPTS[:2]), Distill(samples=2), Write(), several=False)
    assert len(asked) == 2 * 2
    for record in rows(tmp_path, "01-distill/kept/*.parquet"):
        found = traced(tmp_path, record["id"])
        assert not found.changed
        assert found.exchanges[record["trail"][-1]["request"]].reply.text == record["text"]


def test_a_row_of_a_pulled_release_shows_its_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        async with open_runner(plan(Given(prompts=PROMPTS), Write()), tmp_path / "run") as runner:
            await run_stages(runner)

    asyncio.run(work())
    shutil.copytree(tmp_path / "run/release", tmp_path / "pulled/release")
    [wanted, *_] = [row["id"] for row in rows(tmp_path / "run", "00-read/kept/*")]
    command = ["trace", wanted[:8], "--run", str(tmp_path / "pulled")]
    assert main(command) == ExitCode.OK
    shown = capsys.readouterr().out
    assert shown.startswith(f"record {wanted}: released, in {tmp_path / 'pulled/release/data'}")
    assert "\n1. read: " in shown
    assert "the prompts and replies are in the run folder that made the release" in shown
    assert main([*command, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["record"]["id"], found["steps"][0]["stage"]) == (wanted, "read")
    assert main(["trace", "0000ffff", "--run", str(tmp_path / "pulled")]) == ExitCode.INVALID
    assert "has an id that begins with '0000ffff'" in capsys.readouterr().err
