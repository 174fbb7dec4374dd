"""The tally counts rows that passed their checks, and the verdicts of each check."""

from __future__ import annotations

import pyarrow as pa

from synth.record import RECORD
from synth.tally import Tally, tally


def column(*rows: str) -> pa.ListArray:
    """The scores of rows, each as "maths:pass repetition:keep"."""
    scores = [
        [
            dict(zip(("name", "verdict"), one.split(":"), strict=True))
            | {"value": None, "note": ""}
            for one in row.split()
        ]
        for row in rows
    ]
    return pa.array(scores, RECORD.field("scores").type)


ROWS = (
    "repetition:keep maths:pass instructions:not_applicable pass_rate:keep",
    "repetition:keep maths:unverified instructions:pass",
    "maths:not_applicable instructions:not_applicable",
    "repetition:keep",
    "",
    "maths:fail maths:pass",
)


def test_a_row_passed_where_all_that_applies_passes_and_something_does() -> None:
    found = tally([column(*ROWS)])
    assert (found.rows, found.passed) == (6, 2)
    assert found.table() == [
        {
            "check": "maths",
            "pass": 2,
            "fail": 0,
            "error": 0,
            "unreadable": 1,
            "not applicable": 1,
        },
        {
            "check": "instructions",
            "pass": 1,
            "fail": 0,
            "error": 0,
            "unreadable": 0,
            "not applicable": 2,
        },
    ]
    assert found.words() == (
        "2 of 6 rows passed their checks (33 %); maths: 2 pass, 1 unreadable, 1 not applicable; "
        "instructions: 1 pass, 2 not applicable"
    )


def test_how_the_rows_are_divided_makes_no_difference() -> None:
    whole = column(*ROWS)
    assert tally([whole[:2], whole[2:5], whole[5:]]) == tally([whole])
    assert tally([whole[1:2]]) == tally([column(ROWS[1])])


def test_rows_that_nobody_checked_are_told_as_such() -> None:
    assert tally([column("repetition:keep", "")]).words() == (
        "2 rows, none of them checked by a verifier"
    )
    assert tally([]) == Tally()


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert "(99 %)" in tally([column(*["maths:pass"] * 999, "maths:fail")]).words()
