"""Every row that came in comes out, once, or the stage is caught."""

from __future__ import annotations

import pyarrow as pa
import pytest

from synth.engine.account import RowsLostError, WrongOutcomeError, account
from synth.engine.stage import Outcome
from synth.record import EMPTY_STEP, RECORD, REJECT, derive, new_record, records_table, rejects

GIVEN = records_table([new_record(prompt=f"{n}?", source=f"f#{n}") for n in range(4)])
IDS = GIVEN["id"]
NONE, NONE_LEFT = RECORD.empty_table(), REJECT.empty_table()


def left(table: pa.Table, *reasons: str) -> pa.Table:
    return rejects(table, reason=reasons, by="x")


def children(*rows: int) -> pa.Table:
    steps = [{**EMPTY_STEP, "parent": IDS[row].as_py()} for row in rows]
    return derive(GIVEN, rows, steps, [f"child {n}" for n in range(len(rows))])


def test_kept_and_rejected_rows_together_are_all_rows() -> None:
    outcome = Outcome(GIVEN.slice(0, 2), left(GIVEN.slice(2), "refused", "copied"))
    assert account("01-x/00000", outcome, GIVEN) == {"copied": 1, "refused": 1}


def test_a_row_is_there_by_its_child() -> None:
    outcome = Outcome(children(0, 0, 1), left(children(2, 3).slice(0, 0)))
    with pytest.raises(RowsLostError, match="lost 2 of 4 input rows"):
        account("01-x/00000", outcome, GIVEN)
    failed = derive(GIVEN, [2, 3], [{**EMPTY_STEP, "parent": one} for one in ids(2, 3)], ["a", "b"])
    outcome = Outcome(children(0, 0, 1), left(failed, "refused", "refused"))
    assert account("01-x/00000", outcome, GIVEN) == {"refused": 2}


def ids(*rows: int) -> list[str]:
    return [IDS[row].as_py() for row in rows]


def test_a_lost_row_is_named_with_its_stage() -> None:
    with pytest.raises(
        RowsLostError, match=rf"^01-x/00000: lost 1 of 4 input rows; .* is {ids(3)[0]}"
    ):
        account("01-x/00000", Outcome(GIVEN.slice(0, 3), NONE_LEFT), GIVEN)
    with pytest.raises(RowsLostError, match="lost 4 of 4 input rows"):
        account("01-x/00000", Outcome(NONE, NONE_LEFT), GIVEN)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(pa.concat_tables([GIVEN, GIVEN.slice(1, 1)]), NONE_LEFT),
        Outcome(GIVEN, left(GIVEN.slice(1, 1), "refused")),
        Outcome(GIVEN.slice(0, 1), left(GIVEN.take([1, 1, 2, 3]), *"abcd")),
    ],
)
def test_a_row_that_comes_out_twice_is_named(outcome: Outcome) -> None:
    with pytest.raises(RowsLostError, match="1 ids occur twice; the first is"):
        account("01-x/00000", outcome, GIVEN)


def test_a_row_that_is_changed_under_its_id_is_named() -> None:
    changed = GIVEN.set_column(
        GIVEN.column_names.index("text"), "text", pa.array(["", "", "x", ""])
    )
    with pytest.raises(RowsLostError, match=f"of 1 rows .* is {ids(2)[0]}"):
        account("01-x/00000", Outcome(changed.cast(RECORD), NONE_LEFT), GIVEN)


def test_a_source_has_no_rows_coming_in() -> None:
    outcome = Outcome(GIVEN.slice(1), left(GIVEN.slice(0, 1), "not_json"))
    assert account("00-read", outcome, None) == {"not_json": 1}
    assert account("00-read", Outcome(NONE, NONE_LEFT), None) == {}
    with pytest.raises(RowsLostError, match="twice"):
        account("00-read", Outcome(GIVEN, left(GIVEN.slice(0, 1), "not_json")), None)


def test_reasons_are_counted_in_order_of_their_names() -> None:
    outcome = Outcome(NONE, left(GIVEN, "b", "a", "b", "c"))
    assert list(account("01-x/00000", outcome, GIVEN).items()) == [("a", 1), ("b", 2), ("c", 1)]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (GIVEN, r"^01-x/00000: returned a Table; return `Outcome\(kept, rejected\)`"),
        (Outcome(GIVEN, None), r"`rejected` is None; return a table .* `synth.record.REJECT`"),
        (Outcome(GIVEN, NONE), r"`rejected` .* columns: by, raw, reason, score;"),
        (
            Outcome(GIVEN.append_column("mine", IDS), NONE_LEFT),
            r"`kept` .* columns: mine; .* `with_meta`",
        ),
    ],
)
def test_another_outcome_is_named_with_its_stage(outcome, message) -> None:
    with pytest.raises(WrongOutcomeError, match=message):
        account("01-x/00000", outcome, GIVEN)
