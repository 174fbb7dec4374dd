"""`synth calibrate` compares a judge with human grades and reports errors in a gold file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.calibrate import agreement, pair_agreement, read_gold, spearman, weighted_kappa
from flows.cli import main
from synth.errors import ExitCode, InputError
from synth.kind import Kind


def gold(folder: Path, *rows: Any) -> Path:
    path = folder / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


GRADES = [{"prompt": "Why?", "text": "x" * n, "score": n} for n in range(6)]
PAIRS = [
    {"prompt": "Why?", "chosen": "short", "rejected": "longer by far"},
    {"prompt": "Why?", "chosen": "longer by far", "rejected": "short"},
]


def test_full_agreement_is_one_and_the_reverse_is_minus_one(tmp_path: Path) -> None:
    found = read_gold(gold(tmp_path, *GRADES))
    same = agreement(found, found.scores)
    assert (same.spearman, same.kappa, same.mean_error, same.bias) == (pytest.approx(1), 1, 0, 0)
    assert same.length_pull is None, "where nothing differs nothing pulls"
    turned = agreement(found, [5 - score for score in found.scores])
    assert turned.spearman == pytest.approx(-1)
    assert turned.kappa == pytest.approx(-1)


def test_a_judge_that_likes_length_shows_its_pull(tmp_path: Path) -> None:
    rows = [{"text": "x" * (10 * n + 1), "score": 3} for n in range(6)]
    found = read_gold(gold(tmp_path, *rows))
    assert found.kind is Kind.DOCUMENTS
    measured = agreement(found, [0, 1, 2, 3, 4, 5])
    assert measured.length_pull == pytest.approx(1)
    assert measured.spearman is None
    assert measured.bias == pytest.approx(-0.5)


def test_rows_that_were_not_judged_count_as_such_and_not_as_wrong(tmp_path: Path) -> None:
    found = read_gold(gold(tmp_path, *GRADES))
    measured = agreement(found, [0, None, 2, None, 4, 5])
    assert (measured.rows, measured.judged, measured.mean_error) == (6, 4, 0)
    assert agreement(found, [None] * 6).mean_error is None


def test_ties_share_their_rank() -> None:
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9487, abs=1e-4)
    assert weighted_kappa([1, 1], [1, 1]) is None
    assert weighted_kappa([0, 1, 2, 3], [0, 1, 2, 2]) == pytest.approx(0.875, abs=1e-4)


def test_pairs_are_right_undecided_or_wrong(tmp_path: Path) -> None:
    found = read_gold(gold(tmp_path, *PAIRS))
    measured = pair_agreement(found, [0.5, 1.0])
    assert (measured.right, measured.undecided, measured.right_when_shorter) == (0.5, 0.5, 0.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        ([[1]], "line 1: expected an object"),
        ([{"text": "a"}], "line 1: score is None; expected a number from 0 to 5"),
        ([{"text": "a", "score": 6}], "score is 6; expected a number from 0 to 5"),
        ([{"score": 3}], "add the graded `prompt` or `text`"),
        ([{"text": 3, "score": 3}], "text is 3; expected text"),
        ([{"chosen": "a", "rejected": "b"}], "prompt is missing"),
        ([GRADES[0], PAIRS[0]], "holds both pairs and grades"),
        ([GRADES[0], {"text": "a", "score": 1}], "holds answers and documents"),
    ],
)
def test_a_wrong_gold_file_is_named_with_its_line(
    tmp_path: Path, rows: list[Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_gold(gold(tmp_path, *rows))


@pytest.mark.parametrize("rows", [GRADES, PAIRS])
def test_the_command_prints_the_figures_and_asks_nothing_twice(
    tmp_path: Path,
    rows: Any,
    teacher_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["calibrate", str(gold(tmp_path, *rows)), "--teacher", teacher_url]
    assert main(command) == ExitCode.OK
    first = capsys.readouterr().out
    assert f"rows                 {len(rows):>8}" in first
    journal = tmp_path / "outputs/calibrate-gold/journal.sqlite"
    size = journal.stat().st_size
    assert main(command) == ExitCode.OK
    assert capsys.readouterr().out == first
    assert journal.stat().st_size == size
