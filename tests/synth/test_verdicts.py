"""Verdicts are one per row, and "could not check" is a verdict of its own."""

from __future__ import annotations

import pytest

from synth.verdicts import Check, Verdict, Verdicts


def test_as_many_scores_as_reasons() -> None:
    with pytest.raises(ValueError, match="2 reasons, 1 scores, 0 notes"):
        Verdicts([None, "too_long"], [0.5])


def test_notes_are_for_all_rows_or_for_none() -> None:
    assert Verdicts([None], [0.5]).notes == ()
    assert Verdicts([None], [0.5], ["near"]).notes == ["near"]
    with pytest.raises(ValueError, match="2 reasons, 2 scores, 1 notes"):
        Verdicts([None, None], [0.5, 0.5], ["near"])


def test_no_rows_need_no_verdicts() -> None:
    assert Verdicts([], []).reasons == []


def test_a_verifier_has_five_answers() -> None:
    assert {str(verdict): verdict.label for verdict in Verdict} == {
        "pass": "pass",
        "fail": "fail",
        "error": "error",
        "unverified": "unreadable",
        "not_applicable": "not applicable",
    }
    assert Check(Verdict.UNVERIFIED).note == ""
