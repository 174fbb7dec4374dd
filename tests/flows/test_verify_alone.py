"""`synth verify`: answers of any file in, a verdict for each row out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.alone import verify_stages
from flows.cli import main
from synth.errors import ExitCode, RecipeError
from tests.lines import released

GOLD = Path(__file__).resolve().parents[3] / "shared/data/gsm8k_model_solutions.jsonl"
ANSWERS = [
    {"question": "1 + 1?", "reply": "A: 2", "gold": "2"},
    {"question": "1 + 2?", "reply": "A: 4", "gold": "3"},
    {"question": "1 + 3?", "reply": "Who knows?", "gold": "4"},
]
COLUMNS = ["--column", "response=reply", "--column", "answer=gold"]


def rows(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """The rows of all shards that match, in order."""
    paths = sorted(folder.glob(pattern))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANSWERS))
    return tmp_path


def test_wrong_answers_leave_and_every_row_has_its_verdict(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "a.jsonl", "--with", "maths", *COLUMNS, "--out", "v"]) == ExitCode.OK
    kept = released(here / "v")
    assert [row["scores"][0]["verdict"] for row in kept] == ["pass", "unverified"]
    [left] = rows(here / "v/01-verify", "rejected/*.parquet")
    assert (left["reason"], left["scores"][0]["note"]) == (
        "answer_wrong",
        "'4' against '3': another number",
    )
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["01-verify", "maths", *"11010"] for line in lines)
    assert main(["show", "v"]) == ExitCode.OK
    warning, summary, *_ = capsys.readouterr().out.splitlines()
    assert warning.startswith("WARNING: release: 1 of 2 answers with gold could not be read")
    assert summary.endswith("2 answers with gold: 1 pass, 1 unreadable.")
    assert "1 of 2 rows passed their checks (50 %)" in (here / "v/release/README.md").read_text()


@pytest.mark.parametrize(
    ("reject", "kept"), [("none", 3), ("unverified", 2), ("fail, unverified", 1)]
)
def test_which_verdicts_leave_is_for_the_user_to_say(here: Path, reject: str, kept: int) -> None:
    command = ["verify", "a.jsonl", "--with", "maths", *COLUMNS, "--reject", reject, "--out", "v"]
    assert main(command) == ExitCode.OK
    assert len(released(here / "v")) == kept


def test_verdicts_are_shown_where_no_row_is_left(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", "a.jsonl", "--with", "maths", *COLUMNS, "--limit", "1"]
    (here / "a.jsonl").write_text(json.dumps(ANSWERS[1]))
    assert main([*command, "--out", "v"]) == ExitCode.EMPTY
    printed = capsys.readouterr()
    assert "maths" in printed.out
    assert "WARNING: 01-verify: 0 of 1 answer with gold passed." in printed.err
    assert "0 of 1 rows passed their checks (0 %)" in printed.err


def test_verifiers_have_parameters_and_unknown_ones_are_reported() -> None:
    assert verify_stages(["maths: {timeout_s: 3}, consistency"], ["fail"]) == [
        {"verify": {"checks": [{"maths": {"timeout_s": 3}}, "consistency"], "reject": ["fail"]}}
    ]
    with pytest.raises(
        RecipeError, match=r"unknown verifier 'math'; known: .*; did you mean 'maths'"
    ):
        verify_stages(["math"], None)


@pytest.mark.gold
def test_real_solutions_are_judged_as_people_did(tmp_path: Path) -> None:
    if not GOLD.is_file():
        pytest.skip(f"the real input is not here: {GOLD}")
    columns = ["--column", "response=solution", "--column", "answer=ground_truth"]
    command = ["verify", str(GOLD), "--with", "maths", *columns, "--reject", "none"]
    assert main([*command, "--out", str(tmp_path / "v")]) == ExitCode.OK
    found = released(tmp_path / "v")
    assert len(found) == 1582
    for row in found:
        right = json.loads(row["meta"])["is_correct"]
        assert (row["scores"][0]["verdict"] == "pass") is right
