"""What is printed about a run: the funnel adds up, samples stay text, the next step is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.terminal import (
    MAX_CHARS,
    print_funnel,
    print_headline,
    print_samples,
    print_unfinished,
    print_verdicts,
)
from synth.engine.lock import locked
from synth.store.manifest import Manifest, ShardFile, ShardReceipt
from synth.verdict_counts import count


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")


def stage(name: str, index: int, came: int, kept: int, **reasons: int) -> Manifest:
    left = sum(reasons.values())
    file = ShardFile(path="x", rows=kept, bytes=1, sha256="")
    shard = ShardReceipt(
        shard=0,
        fingerprint="",
        rows_in=came,
        rows_made=kept + left - came,
        kept=file,
        rejected=file.model_copy(update={"rows": left}),
        reasons=reasons,
    )
    return Manifest(
        stage=name,
        index=index,
        fingerprint="",
        settings={},
        kind="release" if name in ("write", "push") else "prompts",
        code="",
        seed=7,
        shards=[shard],
    )


HISTORY = [
    stage("read", 0, 1_000, 990, not_json=10),
    stage("evolve", 1, 990, 2_900, refused=60, unchanged=10),
    stage("write", 2, 2_900, 2_900),
]


def test_each_line_of_the_funnel_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    print_funnel(HISTORY)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "funnel"
    assert lines[1].split()[:5] == ["stage", "in", "made", "kept", "rejected"]
    for line, name in zip(lines[2:], ["00-read", "01-evolve", "02-write"], strict=True):
        told, came, made, kept, left = line.replace(",", "").split()[:5]
        assert told == name
        assert int(came) + int(made) == int(kept) + int(left)
    assert lines[3].split()[1:5] == ["990", "1,980", "2,900", "70"]
    assert lines[3].strip().endswith("refused 60, unchanged 10")


def test_the_funnel_says_how_many_candidates_nobody_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged = stage("decontaminate", 1, 990, 990)
    [shard] = judged.shards
    left = judged.model_copy(update={"shards": [shard.model_copy(update={"unjudged": 12})]})
    print_funnel([judged])
    assert "no judge" not in capsys.readouterr().out
    print_funnel([judged, left])
    assert "decontaminate: 12 rows stayed" in capsys.readouterr().out


def test_samples_are_told_from_seed_to_result_without_a_broken_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    how = "evolve: checkable/keywords:forbidden_words\ndistill: answer\ninstructions: pass"
    print_samples([{"seed": "Why?", "prompt": "Why, in detail?", "result": "So.", "how": how}])
    lines = capsys.readouterr().out.split("\n")
    named = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert named == ["seed", "prompt", "result", "how"]
    told = " ".join(" ".join(lines).split())
    assert "how evolve: checkable/keywords:forbidden_words, distill: answer, instructions:" in told


def test_what_a_sample_lacks_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples([{"seed": "A page.", "result": "Q: Why?", "how": ""}])
    assert "prompt" not in capsys.readouterr().out


def test_no_samples_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples([])
    assert capsys.readouterr().out == ""


def test_a_sample_is_text_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples(
        [{"seed": "[bold]x[/bold] \x1b[31mred\x1b]0;title\x07 \x9b2J\r\nnext", "how": ""}]
    )
    told = capsys.readouterr().out
    assert "[bold]x[/bold]" in told
    assert "next" in told
    assert not [letter for letter in told if not letter.isprintable() and letter != "\n"]


def test_a_long_sample_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for length, shown in ((MAX_CHARS, MAX_CHARS), (MAX_CHARS + 1, MAX_CHARS - 1)):
        print_samples([{"seed": "x" * length, "how": ""}])
        told = capsys.readouterr().out
        assert told.count("x") == shown
        assert ("…" in told) is (length > MAX_CHARS)


def test_a_finished_run_tells_where_the_dataset_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_unfinished(tmp_path, HISTORY)
    told = capsys.readouterr().out
    assert f'dataset: {tmp_path}/release  (datasets.load_dataset("{tmp_path}/release"))' in told
    assert "unfinished" not in told


def test_an_unfinished_run_tells_how_far_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("00-read", "01-evolve", "02-write"):  # the last one is of an earlier run
        (tmp_path / name / "receipts").mkdir(parents=True)
    for shard in range(3):
        (tmp_path / f"01-evolve/receipts/{shard:05d}.json").write_text("{}")
    print_unfinished(tmp_path, HISTORY[:1])
    assert capsys.readouterr().out == (
        "\nunfinished: 01-evolve has 3 shards done.\n"
        "Run the recipe again to go on: what is done is kept.\n"
    )
    print_unfinished(tmp_path / "nothing", [])
    assert capsys.readouterr().out.startswith("\nunfinished.\nRun the recipe again")


def test_a_run_that_is_at_work_is_not_called_unfinished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "01-evolve/receipts").mkdir(parents=True)
    with locked(tmp_path):
        print_unfinished(tmp_path, HISTORY[:1])
    assert capsys.readouterr().out == (
        f"\nrunning in process {os.getpid()}: 01-evolve has 0 shards done.\n"
    )
    print_unfinished(tmp_path, HISTORY[:1])
    assert capsys.readouterr().out.startswith("\nunfinished: 01-evolve")


def test_verdicts_stand_in_a_line_per_stage_and_check_and_warnings_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_verify = count([{"maths": "pass"}, {"maths": "fail"}, {"maths": "unverified"}])
    released = count([{"maths": "unverified"}])
    print_verdicts({"05-verify": at_verify, "release": released})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["rows", "check", "pass", "fail", "error", "unreadable", "not", "applicable"]
    assert lines[2:] == [
        ["05-verify", "maths", "1", "1", "0", "1", "0"],
        ["release", "maths", "0", "0", "0", "1", "0"],
    ]
    print_headline({"05-verify": at_verify, "release": released})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "WARNING: release: 0 of 1 answer with gold passed.",
        "release: 0 of 1 rows passed their checks (0 %). 1 answer with gold: 1 unreadable.",
    ]
    print_verdicts({})
    print_headline({})
    assert capsys.readouterr().out == ""
