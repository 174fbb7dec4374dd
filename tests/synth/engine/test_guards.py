"""Guards: each acts from 50 attempts on, at its share, and a run that it stops can be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synth.engine.guards import AFTER_ERRORS, WINDOW, Guards, Limit, StageWatch, Window, opening
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import ShardStage
from synth.errors import ExitCode, GuardError
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.follow_up import FollowUp
from synth.generate.invent import Invent
from synth.generate.judge import Judge
from synth.generate.reverse import Reverse
from synth.generate.revise import Revise
from synth.generate.rewrite import Rewrite
from synth.generate.round_trip import RoundTrip
from synth.release.write import Write
from synth.store.manifest import Manifest
from synth.teacher.protocol import Reply
from tests.fake_teacher import FakeTeacher, asked_prompt, rule, scripted, serving
from tests.lines import Given, plan, shard_bytes

PROMPTS = tuple(f"What is {n} plus {n}, and why?" for n in range(100))


def watching(**guards: Any) -> tuple[StageWatch, list[str]]:
    """A watch with only these guards, and the lines that it says."""
    said: list[str] = []
    off = dict.fromkeys(Guards.model_fields)
    return StageWatch(Guards.model_validate({**off, **guards}), "01-evolve", said.append), said


def text(n: int) -> str:
    """A text unlike the others from its first word on."""
    return f"Number{n} starts here and goes on for a while, number {n}."


# --- each guard: fires, does not fire, at both edges


@pytest.mark.parametrize(
    ("rejected", "kept", "warns"), [(49, 0, 0), (50, 0, 1), (40, 10, 1), (39, 11, 0)]
)
def test_rejects_are_judged_from_50_attempts_on_and_at_their_share(
    rejected: int, kept: int, warns: int
) -> None:
    watch, said = watching(rejected={"share": 0.8})
    for n in range(kept):
        watch.judged(text(n), None)
    for n in range(rejected):
        watch.judged(text(-n), "refused" if n % 4 else "unchanged")
    assert len(said) == warns


def test_a_warning_has_the_counts_by_reason_and_an_example_and_comes_once() -> None:
    watch, said = watching(rejected="warn")
    for n in range(300):
        watch.judged(f"Sorry, {n}.", "unchanged" if n < 10 else "refused")
    [line] = said
    assert line == (
        "WARNING: 01-evolve: 50 of the last 50 attempts were rejected: refused 40, unchanged 10"
        ' (guard `rejected`: 100%, limit 90%), for example refused: "Sorry, 49."'
    )


@pytest.mark.parametrize(("repeats", "warns"), [(14, 0), (15, 1)])
def test_equal_texts_are_counted(repeats: int, warns: int) -> None:
    watch, said = watching(duplicates="warn")
    for n in range(50):
        watch.judged(text(0 if n <= repeats else n), None)
    assert len(said) == warns
    if said:
        assert "15 of the last 50 new texts repeat another one, one of them 16 times" in said[0]
        assert text(0) in said[0]


def test_short_answers_may_be_equal() -> None:
    watch, said = watching(duplicates="warn")
    for _ in range(100):
        watch.judged("The answer is 42.", None)
    assert said == []


@pytest.mark.parametrize(("alike", "warns"), [(14, 0), (15, 1)])
def test_shared_openings_are_counted(alike: int, warns: int) -> None:
    watch, said = watching(openings="warn")
    for n in range(50):
        watch.judged(f"As a Language model I see {n}." if n < alike else text(n), None)
    assert len(said) == warns
    if said:
        assert '15 of the last 50 new texts begin with "as a language model i"' in said[0]
        assert '"As a Language model I see 14."' in said[0]


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("Write a python function to {n}, fast.", "Write a Python function to {n}."),  # as asked
        ('{{"answer": "It is", "number": 1, "more": {n}}}', ""),  # keys of a schema
        ("Yes, it is {n}.", ""),  # too short
    ],
)
def test_openings_may_be_alike_for_a_reason(said: str, given: str) -> None:
    watch, lines = watching(openings="warn")
    for n in range(60):
        watch.judged(said.format(n=n), None, given.format(n=n))
    assert lines == []


@pytest.mark.parametrize(("faulty", "late", "warns"), [(25, 0, 1), (12, 13, 1), (12, 12, 0)])
def test_unusable_replies_and_errors_of_the_teacher_are_counted(
    faulty: int, late: int, warns: int
) -> None:
    watch, said = watching(faults="warn")
    cut = Reply("", "It goes on", fault="reasoning_unfinished")
    for n in range(50):
        reply = cut if n >= 50 - faulty else Reply(text(n), text(n))
        watch.replied(reply, after_errors=n < late)
    assert len(said) == warns
    if late and warns:
        assert f"{AFTER_ERRORS} 13, reasoning_unfinished 12" in said[0]


def test_a_window_forgets_what_is_long_ago() -> None:
    watch, said = watching(rejected="warn")
    for n in range(WINDOW * 3):
        watch.judged(text(n), None)
    for n in range(WINDOW * 9 // 10):
        assert said == []
        watch.judged(text(n), "refused")
    assert len(said) == 1
    assert f"180 of the last {WINDOW} attempts" in said[0]


def test_memory_is_bounded() -> None:
    window = Window()
    for n in range(WINDOW * 5):
        window.add(n, "long " * 1000)
    assert len(window.seen) == len(window.counts) == window.marked == WINDOW
    assert sum(len(one) for _, one in window.seen) < 100_000


def test_a_stop_has_three_examples_each_on_a_line_and_says_how_to_go_on() -> None:
    watch, said = watching(rejected="stop")
    for n in range(49):
        watch.judged(f"{n}:\n{'no ' * 99}", "refused")
    with pytest.raises(GuardError) as stopped:
        watch.judged(f"49:\n{'no ' * 99}", "refused")
    head, *examples, advice = str(stopped.value).split("\n")
    assert head.startswith("01-evolve: 50 of the last 50 attempts were rejected: refused 50 ")
    assert [line[:18] for line in examples] == [f'  refused: "{n}: no' for n in (49, 48, 47)]
    assert all(len(line) < 120 for line in examples)
    assert "--set guards.rejected=warn" in advice
    assert stopped.value.exit_code == ExitCode.GUARD == 7
    assert said == []


def test_empty_texts_make_no_example() -> None:
    watch, said = watching(faults="warn")
    for _ in range(50):
        watch.replied(Reply("", " ", fault="reply_empty"), after_errors=False)
    assert said[0].endswith("reply_empty 50 (guard `faults`: 100%, limit 50%)")


# --- the settings


def test_a_guard_is_an_action_settings_or_off() -> None:
    given = {"rejected": "stop", "duplicates": None, "faults": {"share": 0.2}}
    guards = Guards.model_validate({**given, "openings": {"action": "stop"}})
    assert guards.rejected == Limit(share=0.9, action="stop")
    assert guards.openings == Limit(share=0.3, action="stop")
    assert guards.faults == Limit(share=0.2, action="warn")
    assert guards.duplicates is None
    assert all(limit.action == "warn" for _, limit in Guards())
    for wrong in ("pause", {"share": 0}, {"share": 1.1}, True):
        with pytest.raises(ValidationError):
            Guards.model_validate({"rejected": wrong})


def test_an_opening_is_five_words() -> None:
    assert opening("One two\nthree  Four five six") == "one two three four five"
    assert opening("One two three four") is None
    assert opening("") is None


# --- whole runs


class Lines(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        if message.startswith("WARNING"):
            self.said.append(message)


def go(
    folder: Path,
    script: Any,
    stages: Sequence[Any],
    guards: dict[str, Any],
    concurrency: int = 1,
    shard_rows: int = 100,
) -> tuple[list[Manifest], list[str], list[Any]]:
    """The manifests of a run (none if it was stopped), its warnings, and what was asked."""

    async def work() -> tuple[list[Manifest], list[str], list[Any]]:
        async with scripted(script) as teacher:
            made = plan(*stages, url=teacher.url, shard_rows=shard_rows, concurrency=concurrency)
            made = replace(made, guards=Guards.model_validate(guards))
            lines = Lines()
            async with open_runner(made, folder, lines) as runner:
                try:
                    return await run_stages(runner), lines.said, teacher.asked
                except GuardError as stop:
                    return [], [str(stop)], teacher.asked

    return asyncio.run(work())


async def slowly(body: dict[str, Any]) -> str:
    await asyncio.sleep(0.01)  # longer than the journal takes
    return f"Sorry, I cannot say {asked_prompt(body)}"


def refuses(body: dict[str, Any], _before: int) -> Any:
    """Refuses each prompt in other words, but begins in the same way."""
    return slowly(body)


def test_a_stop_comes_within_the_shard_and_the_same_command_stops_again_without_paying(
    tmp_path: Path,
) -> None:
    line = (Given(prompts=PROMPTS), Distill(), Write())
    _, [first], asked = go(tmp_path, refuses, line, {"openings": "stop"})
    assert '50 of the last 50 new texts begin with "sorry, i cannot say what"' in first
    assert 50 <= len(asked) < 90  # of 100 rows in the shard
    assert not (tmp_path / "01-distill/manifest.json").exists()

    async def late(body: dict[str, Any], _before: int) -> str:
        await asyncio.sleep(5)  # far longer than reading the journal takes
        return f"Sorry, I cannot say {asked_prompt(body)}"

    _, [again], more = go(tmp_path, late, line, {"openings": "stop"})
    assert "50 of the last 50" in again
    assert len(more) <= 1  # it was in flight while the journal was read


def test_a_stopped_run_goes_on_with_a_warning_and_asks_nothing_twice(tmp_path: Path) -> None:
    line = (Given(prompts=PROMPTS), Distill(), Write())
    _, _, asked = go(tmp_path / "run", refuses, line, {"openings": "stop"})
    manifests, said, more = go(tmp_path / "run", refuses, line, {"openings": "warn"})
    assert len(said) == 1
    replies = [body["messages"][-1]["content"] for body in [*asked, *more]]
    # the request in flight at the stop, and the next one if it was answered just then
    assert len(replies) - len(set(replies)) <= 2
    assert set(replies) == set(PROMPTS)
    assert manifests[1].shards[0].reused >= 50
    go(tmp_path / "whole", refuses, line, {"openings": None})
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")
    [card, whole] = (tmp_path / name / "release/README.md" for name in ("run", "whole"))
    assert card.read_bytes() == whole.read_bytes()


def test_the_window_spans_shards(tmp_path: Path) -> None:
    line = (Given(prompts=PROMPTS), Distill(), Write())
    _, said, asked = go(tmp_path, refuses, line, {"openings": "stop"}, shard_rows=10)
    assert "50 of the last 50" in said[0]
    assert len(asked) < 90  # of 100 in all


def test_few_survivors_of_evolve_are_told_while_it_runs(tmp_path: Path) -> None:
    def mostly_refused(body: dict[str, Any], before: int) -> str:
        return rule(body, before) if " 7 plus" in asked_prompt(body) else "Sorry, I cannot."

    line = (Given(prompts=PROMPTS[:60]), Evolve(), Write())
    _, said, _ = go(tmp_path, mostly_refused, line, {"duplicates": None, "openings": None}, 16)
    assert len(said) == 1
    assert "01-evolve: 4" in said[0] or "01-evolve: 50" in said[0]
    assert "rejected: refused 4" in said[0] or "rejected: refused 50" in said[0]
    assert 'for example refused: "Sorry, I cannot."' in said[0]


def test_errors_of_the_server_count_as_faults(tmp_path: Path) -> None:
    async def work() -> list[str]:
        teacher = FakeTeacher("one", script=rule, faults={"down": 1.0})  # the first try of each
        async with serving(teacher):
            made = plan(Given(prompts=PROMPTS), Distill(), Write(), url=teacher.url)
            lines = Lines()
            async with open_runner(made, tmp_path, lines) as runner:
                await run_stages(runner)
            return lines.said

    [said] = asyncio.run(work())
    assert f"01-distill: 50 of the last 50 replies had a fault: {AFTER_ERRORS} 50" in said


def test_a_healthy_run_says_nothing(tmp_path: Path) -> None:
    line = (Given(prompts=PROMPTS[:25]), Evolve(rounds=2), Distill(samples=2), Judge(), Write())
    _, said, _ = go(tmp_path, rule, line, {}, 32)
    assert said == []


TEXTS = tuple(f"Page {n}: {'A sentence about rivers and hills. ' * 12}" for n in range(60))


@pytest.mark.parametrize(
    ("given", "stage"),
    [
        (Given(prompts=PROMPTS[:60]), Evolve()),
        (Given(prompts=PROMPTS[:60]), Invent()),
        (Given(texts=TEXTS), Reverse()),
        (Given(texts=TEXTS), Rewrite()),
    ],
    ids=lambda one: one.name,
)
def test_every_stage_that_writes_texts_tells_the_guards(
    given: Given, stage: ShardStage, tmp_path: Path
) -> None:
    def silent(_body: dict[str, Any], _before: int) -> str:
        return " "

    guards = {"faults": None, "rejected": "stop"}
    _, [said], _ = go(tmp_path, silent, (given, stage, Write()), guards, 8, 30)
    assert f"01-{stage.name}: 50 of the last 50 attempts were rejected: reply_empty 50" in said


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        (FollowUp(), "reply_empty"),
        (Revise(), "reply_empty"),
        (Judge(unjudged="reject"), "not_judged"),
        (RoundTrip(min_likeness=1.0), "prompt_not_recovered"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_every_stage_behind_answers_tells_the_guards(
    stage: ShardStage, reason: str, tmp_path: Path
) -> None:
    def script(body: dict[str, Any], before: int) -> str:
        answering = asked_prompt(body) in PROMPTS
        return rule(body, before) if answering else "x" * isinstance(stage, RoundTrip)

    guards = {**dict.fromkeys(Guards.model_fields), "rejected": "stop"}
    line = (Given(prompts=PROMPTS[:60]), Distill(), stage, Write())
    _, [said], _ = go(tmp_path, script, line, guards, 8, 30)
    assert f"02-{stage.name}: 50 of the last 50 attempts were rejected: {reason} 50" in said
