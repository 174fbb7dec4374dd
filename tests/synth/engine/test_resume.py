"""A run on a folder with work says what is done, what is not, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seeds.read import Read
from synth.engine.plan import Plan
from synth.engine.receipts import Receipts
from synth.engine.restart import clear, paid_replies, redo_from
from synth.engine.resume import resume_table
from synth.errors import InputError
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.operations import Operation
from synth.generate.template import Template
from synth.release.write import Write
from synth.store.manifest import load_manifest
from synth.teacher.protocol import Identity, Sampling
from tests.lines import Given, plan, shard_bytes
from tests.synth.engine.whole_runs import LINE, PROMPTS, go

TEACHER = Identity("scripted", "1")


def by_stage(lines: list[str]) -> dict[str, str]:
    """The rows of a table, by stage."""
    start = next(n for n, line in enumerate(lines) if line.startswith("found in")) + 1
    rows = (line.strip().split("  ", 1) for line in lines[start:] if line.startswith("  0"))
    return {label: state.strip() for label, state in rows}


def states(made: Plan, run: Path, teacher: Identity | None = None) -> dict[str, str]:
    """The state of each stage, by default for the teacher that answered the run so far."""
    if teacher is None:
        asking = load_manifest(next(run.glob("01-*/manifest.json")))
        assert asking is not None
        assert asking.teacher is not None
        teacher = Identity(asking.teacher.model, asking.teacher.revision)
    return by_stage(resume_table(Receipts(made, run, {"": teacher})))


def test_a_fresh_folder_and_a_finished_run_have_no_table(tmp_path: Path) -> None:
    assert resume_table(Receipts(plan(*LINE), tmp_path / "run", {"": TEACHER})) == []
    said, _ = go(tmp_path)
    assert not any("found in" in line for line in said)
    assert not any("found in" in line for line in go(tmp_path)[0])


@pytest.mark.parametrize(
    ("changed", "stage", "reason"),
    [
        (
            plan(LINE[0], Distill(samples=2, sampling=Sampling(temperature=0.9)), *LINE[2:]),
            "01-distill",
            "stale: sampling.temperature 0.7 → 0.9; 10 replies in its journals",
        ),
        (
            plan(*LINE[:3], Write(shard_rows=8)),
            "03-write",
            "stale: shard_rows 9 → 8",
        ),
        (replace(plan(*LINE), seed=8), "00-read", "stale: seed 7 → 8"),
        (replace(plan(*LINE), shard_rows=5), "00-read", "stale: shard_rows 4 → 5"),
        (
            replace(plan(*LINE), recipe={"description": "In other words."}),
            "03-write",
            "stale: what the card shows of the recipe and the stages before changed",
        ),
        (
            plan(Given(prompts=PROMPTS, answer="1"), *LINE[1:]),
            "00-read",
            'stale: answer "" → 1',
        ),
    ],
)
def test_a_stale_stage_names_what_changed(
    run: Path, changed: Plan, stage: str, reason: str
) -> None:
    found = states(changed, run)
    assert found[stage].startswith(reason)
    labels = list(found)
    for label in labels[: labels.index(stage)]:
        assert found[label].startswith("done: ")
    for label in labels[labels.index(stage) + 1 :]:
        assert f"waits for {stage}" in found[label] or found[label].startswith("stale: ")


def test_another_revision_and_a_raised_version_are_named(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = states(plan(*LINE), run, Identity("scripted", "v2"))
    assert "revision of the teacher " in found["01-distill"]
    assert found["01-distill"].split(";")[0].endswith("→ v2")
    monkeypatch.setattr(Distill, "version", 2)
    assert states(plan(*LINE), run)["01-distill"].startswith("stale: version 1 → 2")


def test_an_edited_prompt_file_and_an_edited_input_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"prompt": "Why is the sky blue?"}\n')
    line = (Read(prompts=(path,)), Evolve(operations=(Operation.REASON,)))
    go(tmp_path / "run", *line)
    whole = Template("", "", "edited")
    with monkeypatch.context() as patched:
        patched.setattr("synth.generate.evolve.shipped", lambda _name: whole)
        found = states(plan(*line), tmp_path / "run")
    assert found["01-evolve"].startswith("stale: prompt file evolve/reason changed")
    path.write_text('{"prompt": "Why is the sea blue?"}\n')
    found = states(plan(*line), tmp_path / "run")
    assert found["00-read"] == "stale: file q.jsonl changed"
    assert found["01-evolve"].startswith("waits for 00-read")


def test_a_killed_run_counts_what_is_done(run: Path) -> None:
    (run / "01-distill/manifest.json").unlink()
    (run / "01-distill/receipts/00001.json").unlink()
    said, teacher = go(run)
    assert not teacher.asked
    found = by_stage(said)
    assert found["01-distill"].startswith("partly: 6 of 10 rows done, ")
    assert "tokens saved" in found["01-distill"]
    assert found["02-dedup"] == "waits for 01-distill"


def test_a_change_after_a_killed_change_is_compared_with_the_last_one(run: Path) -> None:
    warm = Distill(samples=2, sampling=Sampling(temperature=0.9))

    hot = Distill(samples=2, sampling=Sampling(temperature=1.1))
    receipts = Receipts(plan(LINE[0], warm, *LINE[2:]), run, {"": TEACHER})
    before = receipts.finished(0, None)
    receipts.basis(1, before).save(receipts.folder(1).path)  # it starts …
    receipts.reopen(1)  # … and is killed at once
    found = states(plan(LINE[0], hot, *LINE[2:]), run, TEACHER)
    assert "sampling.temperature 0.9 → 1.1" in found["01-distill"]


def test_from_a_stage_on_all_is_done_again_from_the_journal(run: Path) -> None:
    before = shard_bytes(run)
    made = {path: path.stat().st_ino for path in run.rglob("*.parquet")}
    redo_from(plan(*LINE), run, "distill")
    said, teacher = go(run)
    assert not teacher.asked
    assert any("00-read" in line and "done: 10 rows" in line for line in said)
    assert shard_bytes(run) == before
    again = {path for path, inode in made.items() if path.stat().st_ino != inode}
    assert {path.relative_to(run).parts[0] for path in again} == {
        "01-distill",
        "02-dedup",
        "03-write",
        "release",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("distil", "no stage of the recipe is called 'distil'.*did you mean 'distill'"),
        (
            "quality",
            "no stage of the recipe is called 'quality'; choose one of 00-read, 01-distill",
        ),
    ],
)
def test_an_unknown_stage_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        redo_from(plan(*LINE), tmp_path, name)


def test_a_stage_that_is_there_twice_is_named_by_its_number(tmp_path: Path) -> None:
    twice = plan(LINE[0], LINE[2], LINE[1], LINE[2])
    with pytest.raises(InputError, match="2 stages are called 'dedup'; choose one of 00-read, "):
        redo_from(twice, tmp_path, "dedup")
    redo_from(twice, tmp_path, "03-dedup")


def test_a_cleared_run_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    go(tmp_path)
    assert paid_replies(tmp_path) == 10
    (tmp_path / "notes.txt").write_text("mine")
    clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "notes.txt"}
    assert len(go(tmp_path)[1].asked) == 10
