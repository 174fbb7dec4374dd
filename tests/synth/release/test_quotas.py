"""Quotas: the group of a row, by a column, a score, or what a stage did."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from synth.errors import InputError
from synth.record import EMPTY_STEP, new_record, records_table
from synth.release.quotas import Quotas
from synth.release.write import Write


def row(
    meta: Any = None, scores: Any = (), steps: tuple[tuple[str, str], ...] = ()
) -> dict[str, Any]:
    made = [{**EMPTY_STEP, "stage": stage, "operation": operation} for stage, operation in steps]
    record = new_record(text="A text.", meta=meta)
    judged = [{"name": name, "verdict": verdict, "value": value} for name, verdict, value in scores]
    return {**record, "trail": record["trail"] + made, "scores": judged}


def groups(quotas: dict[str, Any], *given: dict[str, Any]) -> list[str | None]:
    made = Quotas.model_validate(quotas)
    return [made.group(value) for value in made.values(records_table(given))]


def test_a_column_of_the_input_divides_rows() -> None:
    given = [row({"kind": kind}) for kind in ("sum", "word", "other")]
    by = {"by": "meta.kind", "rows": {"sum": 1, "word": 1}}
    assert groups(by, *given, row({"other": "sum"})) == ["sum", "word", None, None]
    numbers = [row({"level": level}) for level in (1, 2.5, True, "1", None)]
    by = {"by": "meta.level", "rows": {1: 1, 2.5: 1}}
    assert groups(by, *numbers) == ["1", "2.5", None, "1", None]


def test_a_style_has_all_rows_of_its_audiences_and_the_last_step_counts() -> None:
    by = {"by": "rewrite", "rows": {"faq": 1, "table/experts": 1}}
    given = [
        row(steps=(("rewrite", "faq/college"), ("trim", "trim"))),
        row(steps=(("rewrite", "table/experts"),)),
        row(steps=(("rewrite", "table/college"),)),
        row(steps=(("rewrite", "table/college"), ("rewrite", "faq"))),
        row(),
    ]
    assert groups(by, *given) == ["faq", "table/experts", None, "faq", None]


def test_a_score_divides_rows_by_its_value_or_its_verdict() -> None:
    given = [
        row(scores=[("pass_rate", "keep", 1 / 3)]),
        row(scores=[("pass_rate", "keep", 1.0), ("maths", "fail", None)]),
        row(scores=[("pass_rate", "keep", 0.0), ("pass_rate", "keep", 0.5)]),
        row(),
    ]
    by = {"by": "scores.pass_rate", "rows": {0.333: 1, 1: 1, 0.5: 1}}
    assert groups(by, *given) == ["0.333", "1", "0.5", None]
    assert groups({"by": "scores.maths", "rows": {"fail": 1}}, *given) == [None, "fail", None, None]


def test_a_name_that_no_row_has_is_an_error_and_a_value_is_not() -> None:
    table = records_table([row({"kind": "sum"})])
    Quotas(by="meta.kind", rows={"rare": 1}).check([table])
    with pytest.raises(InputError, match=r"no row has `meta\.knid`"):
        Quotas(by="meta.knid", rows={"sum": 1}).check([table])


@pytest.mark.parametrize(
    "settings",
    [
        {"target_rows": 0},
        {"target_rows": 5, "quotas": {"by": "meta.kind", "rows": {"sum": 5}}},
        {"quotas": {"by": "meta.kind", "rows": {}}},
        {"quotas": {"by": "meta.kind", "rows": {"sum": 0}}},
        {"quotas": {"by": "meta.", "rows": {"sum": 1}}},
    ],
)
def test_a_target_that_says_nothing_or_two_things_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Write.model_validate(settings)
