"""The tally counts rows that passed their checks, and the verdicts of each check."""

from __future__ import annotations

import pyarrow as pa

from synth.record import RECORD
from synth.verdict_counts import VerdictCounts, count, tally


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
        "2 of 6 rows passed their checks (33 %). "
        "3 answers with gold: 2 pass, 1 unreadable; 1 without gold. "
        "1 answer with instructions: 1 pass; 2 without instructions."
    )


def test_how_the_rows_are_divided_makes_no_difference() -> None:
    whole = column(*ROWS)
    assert tally([whole[:2], whole[2:5], whole[5:]]) == tally([whole])
    assert tally([whole[1:2]]) == tally([column(ROWS[1])])


def test_rows_that_nobody_checked_are_told_as_such() -> None:
    assert tally([column("repetition:keep", "")]).words() == (
        "2 rows, none of them checked by a verifier."
    )
    assert tally([]) == VerdictCounts()


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert "(99 %)" in tally([column(*["maths:pass"] * 999, "maths:fail")]).words()


def maths(**counts: int) -> VerdictCounts:
    return count({"maths": verdict} for verdict, n in counts.items() for _ in range(n))


def test_each_verdict_is_told_in_words() -> None:
    assert maths(fail=6, unverified=4, not_applicable=12, **{"pass": 2}).words() == (
        "2 of 24 rows passed their checks (8 %). "
        "12 answers with gold: 2 pass, 6 wrong, 4 unreadable; 12 without gold."
    )
    assert maths(not_applicable=3).words().endswith("(0 %). 3 without gold.")
    broken = count([{"instructions": "fail"}, {"mine": "error"}, {"mine": "not_applicable"}])
    assert broken.words() == (
        "0 of 3 rows passed their checks (0 %). 1 answer with instructions: 1 broken. "
        "1 answer checked by mine: 1 error; 1 without anything for mine."
    )


def test_it_warns_of_what_is_unknown_and_where_nothing_passed_or_was_checked() -> None:
    assert maths(**{"pass": 2}, fail=1, not_applicable=1).warnings() == []
    assert maths(**{"pass": 2}, unverified=1, error=1).warnings() == [
        "1 of 4 answers with gold could not be read: whether they are right is unknown.",
        "The check broke on 1 of 4 answers with gold: whether they are right is unknown.",
    ]
    assert maths(fail=2, not_applicable=3).warnings() == ["0 of 2 answers with gold passed."]
    assert maths(not_applicable=3).warnings() == ["0 of 3 rows have anything to check."]
    assert VerdictCounts(rows=3).warnings() == []


def test_counts_add_up() -> None:
    rows = [{"maths": "pass", "code": "fail"}, {"maths": "fail"}, {"code": "pass"}]
    assert count(rows[:1]) + count(rows[1:]) == count(rows)
    assert sum([count(rows)], VerdictCounts()) == count(rows)
