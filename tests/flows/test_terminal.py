"""Output about a run: the funnel in words, samples as plain text, then the next step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.terminal import (
    MAX_CHARS,
    print_funnel,
    print_headline,
    print_samples,
    print_state,
    print_use,
    print_verdicts,
    short,
    stage_in_words,
)
from synth.engine.lock import locked
from synth.store.manifest import Manifest, ShardFile, ShardReceipt, TeacherRecord
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


def test_the_funnel_is_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    answers = stage("distill", 3, 12, 24).model_copy(
        update={"kind": "answers", "settings": {"samples": 2}}
    )
    checked = stage("quality", 4, 24, 23, too_long=1).model_copy(update={"kind": "answers"})
    print_funnel([*HISTORY[:2], stage("dedup", 2, 2_900, 12, equal=2_888), answers, checked])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "funnel",
        "00-read 1,000 rows read; 990 kept, 10 rejected: not_json 10",
        "01-evolve 990 prompts became 2,970; 2,900 kept, 70 rejected: refused 60, unchanged 10",
        "02-dedup 12 kept, 2,888 rejected: equal 2,888",
        "03-distill 12 prompts, 24 answers (2 samples each); all 24 kept",
        "04-quality 23 kept, 1 rejected: too_long 1",
    ]


def test_the_funnel_says_what_was_released(capsys: pytest.CaptureFixture[str]) -> None:
    print_funnel([stage("read", 0, 1, 1), stage("write", 1, 1, 1), stage("push", 2, 1, 1)])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        "00-read 1 prompt read",
        "01-write 1 row released",
        "02-push 1 row published",
    ]


def test_a_poor_yield_is_red_and_other_rejects_are_yellow() -> None:
    before = stage("read", 0, 10, 10)
    for name, kept, style in (
        ("quality", 5, "yellow"),
        ("quality", 4, "red"),
        ("select", 4, "yellow"),
    ):
        [(words, found)] = stage_in_words(before, stage(name, 1, 10, kept, bad=10 - kept))
        assert words == f"{kept} kept, {10 - kept} rejected: bad {10 - kept}"
        assert found == style


def test_no_word_is_broken_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reasons = {f"a_reason_that_is_long_{n}": n for n in range(1, 9)}
    print_funnel([stage("read", 0, 1_000, 900), stage("quality", 1, 900, 864, **reasons)])
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert all(
        f"{reason} " in f"{shown} ".replace(",", " ").replace("\n", " ") for reason in reasons
    )


def test_the_funnel_says_how_many_candidates_nobody_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged = stage("decontaminate", 1, 990, 990)
    [shard] = judged.shards
    left = judged.model_copy(update={"shards": [shard.model_copy(update={"unjudged": 12})]})
    print_funnel([judged])
    assert "no judge" not in capsys.readouterr().out
    print_funnel([judged, left])
    assert "decontaminate: kept 12 rows" in capsys.readouterr().out


def sample(**texts: str) -> dict[str, str]:
    return {"id": "1f3a9c02ff", "seed": "", "how": "", "checks": "", **texts}


def test_a_sample_has_two_lines_its_id_and_its_verdicts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    checks = "maths: pass"
    print_samples([sample(seed="?", prompt="Why, in\ndetail?", result="So. " * 90, checks=checks)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1f3a9c02  Why, in detail?"
    assert lines[1].startswith("          So. So.")
    assert lines[1].endswith("…  [maths: pass]")
    assert len(lines[1]) <= 60
    assert lines[2] == "to see how a row was made: synth trace 1f3a9c02"


def test_a_sample_without_a_prompt_shows_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples([sample(seed="A page.", result="Q: Why?")])
    assert capsys.readouterr().out.splitlines()[:2] == ["1f3a9c02  A page.", "          Q: Why?"]


def test_no_samples_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples([])
    assert capsys.readouterr().out == ""


def test_a_sample_is_text_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples([sample(seed="[bold]x[/bold] \x1b[31mred\x1b]0;title\x07 \x9b2J\r\nnext")])
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "next" in shown
    assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]


def test_a_long_text_is_cut_and_says_so() -> None:
    for length, shown in ((MAX_CHARS, MAX_CHARS), (MAX_CHARS + 1, MAX_CHARS - 1)):
        assert short("x" * length).count("x") == shown
        assert ("…" in short("x" * length)) is (length > MAX_CHARS)


def test_a_finished_run_shows_where_the_dataset_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_state(tmp_path, HISTORY)
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "",
        f"dataset: {tmp_path}/release",
        f'         datasets.load_dataset("{tmp_path}/release")',
        f'         pandas.read_parquet("{tmp_path}/release/data"); polars and DuckDB read it too',
        f"rejected rows: synth show {tmp_path} --rejected",
    ]


def test_a_run_without_a_row_has_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_state(tmp_path, [*HISTORY[:1], stage("quality", 1, 990, 0, too_long=990)])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "ended: no row is left after 01-quality.",
        f"rejected rows: synth show {tmp_path} --rejected",
    ]


def test_an_unfinished_run_shows_how_far_it_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("00-read", "01-evolve", "02-write"):  # the last one is of an earlier run
        (tmp_path / name / "receipts").mkdir(parents=True)
    for shard in range(3):
        (tmp_path / f"01-evolve/receipts/{shard:05d}.json").write_text("{}")
    print_state(tmp_path, HISTORY[:1])
    assert capsys.readouterr().out == (
        "\nunfinished: 01-evolve has 3 shards done.\n"
        "Run the recipe again to resume; finished shards are kept.\n"
        f"rejected rows: synth show {tmp_path} --rejected\n"
    )
    print_state(tmp_path / "nothing", [])
    assert capsys.readouterr().out.startswith("\nunfinished.\nRun the recipe again")


def test_a_live_run_is_not_called_unfinished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "01-evolve/receipts").mkdir(parents=True)
    with locked(tmp_path):
        print_state(tmp_path, HISTORY[:1])
    assert capsys.readouterr().out == (
        f"\nrunning in process {os.getpid()}: 01-evolve has 0 shards done.\n"
        f"rejected rows: synth show {tmp_path} --rejected\n"
    )
    print_state(tmp_path, HISTORY[:1])
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


@pytest.mark.parametrize(
    ("model", "named"), [("/models/Qwen3-8B", "Qwen3-8B"), ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B")]
)
def test_what_was_asked_is_in_two_lines(
    model: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    distill = stage("distill", 1, 10, 9, reply_empty=1)
    [shard] = distill.shards
    counts = {"requests": 11, "reused": 4, "retries": 2, "unusable": 1}
    used = shard.model_copy(update={**counts, "tokens_in": 1_800, "tokens_out": 900})
    asked = {"shards": [used], "teacher": TeacherRecord(model=model)}
    history = [stage("read", 0, 10, 10), distill.model_copy(update=asked), stage("write", 2, 9, 9)]
    print_use(history)
    assert capsys.readouterr().out.splitlines() == [
        f"{named}: requests 11, from the journal 4, retries 2, unusable replies 1",
        "tokens: 1,800 in, 900 out; per released row 200 in, 100 out",
    ]
    again = {"reused": 4, "moved": 3, "again": {"cut": 2, "damaged": 1}}
    moved = distill.model_copy(update={**asked, "shards": [used.model_copy(update=again)]})
    print_use([moved])
    journal = "from the journal 4, of these from other shards 3"
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"{named}: requests 11, {journal}, retries 2, unusable replies 1",
        "asked again though a reply was there: cut by `max_tokens` 2, damaged on disk 1",
    ]
    print_use(history[:1])
    assert capsys.readouterr().out == ""
