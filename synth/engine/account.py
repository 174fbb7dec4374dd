"""Checks that no row is lost: rows in + rows made = rows kept + rows rejected.

The runner compares the rows that leave a stage with those that entered it before it writes a shard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from synth.engine.stage import Outcome
from synth.record import RECORD, REJECT, last_step


class WrongOutcomeError(AssertionError):
    """A stage returned something other than its rows. This is a bug in the stage."""


class RowsLostError(AssertionError):
    """A stage lost a row, or made two rows with the same id. This is a bug in the stage."""


def account(label: str, outcome: Outcome, given: pa.Table | None) -> Counter[str]:
    """Counts the rejected rows by reason. Raises `WrongOutcomeError` or `RowsLostError`.

    Each id of the input must be the id of an output row, or the parent in its last step. A kept row
    with the id of an input row must have its turns and its text. A source has no input: None.
    """
    _check_tables(label, outcome)
    kept_ids: list[str] = outcome.kept["id"].to_pylist()
    rejected_ids: list[str] = outcome.rejected["id"].to_pylist()
    out = {*kept_ids, *rejected_ids}
    if len(out) < len(kept_ids) + len(rejected_ids):
        twice = [key for key, n in Counter(kept_ids + rejected_ids).items() if n > 1]
        raise RowsLostError(f"{label}: {len(twice)} ids occur twice; the first is {twice[0]}")
    if given is not None:
        out.update(last_step(outcome.kept, "parent"))
        out.update(last_step(outcome.rejected, "parent"))
        lost = [key for key in given["id"].to_pylist() if key not in out]
        if lost:
            raise RowsLostError(
                f"{label}: lost {len(lost)} of {len(given)} input rows; the first is {lost[0]}. "
                "A stage must keep or reject each row"
            )
        _check_unchanged(label, outcome.kept, given)
    return Counter(sorted(outcome.rejected["reason"].to_pylist()))


def asked_in_part(ids: pa.ChunkedArray, outcome: Outcome, reused_keys: Mapping[str, bool]) -> int:
    """Counts the input rows with both reused and new replies."""
    kinds: dict[str, set[bool]] = {key: set() for key in ids.to_pylist()}
    for table in (outcome.kept, outcome.rejected):
        for own, trail in zip(table["id"].to_pylist(), table["trail"].to_pylist(), strict=True):
            keys = (step["request"] for step in trail)
            found = {reused_keys[key] for key in keys if key in reused_keys}
            for row in {own, *(step["parent"] for step in trail)}:
                if row in kinds:
                    kinds[row] |= found
    return sum(len(found) == 2 for found in kinds.values())


def _check_tables(label: str, outcome: Outcome) -> None:
    if not isinstance(outcome, Outcome):
        raise WrongOutcomeError(
            f"{label}: returned a {type(outcome).__name__}; return `Outcome(kept, rejected)`"
        )
    for name, schema in (("kept", RECORD), ("rejected", REJECT)):
        table = getattr(outcome, name)
        if not isinstance(table, pa.Table):
            raise WrongOutcomeError(
                f"{label}: `{name}` is {table!r}; return a table with the schema "
                f"`synth.record.{'RECORD' if name == 'kept' else 'REJECT'}`, which may be empty"
            )
        if odd := set(table.column_names) ^ set(schema.names):
            raise WrongOutcomeError(
                f"{label}: `{name}` has missing or foreign columns: {', '.join(sorted(odd))}; make "
                "it with `split`, `rejects` or `derive`, and add your own values to `meta` with "
                "`with_meta`"
            )


def _check_unchanged(label: str, kept: pa.Table, given: pa.Table) -> None:
    at = pc.index_in(kept["id"].combine_chunks(), given["id"].combine_chunks())
    now = kept.filter(at.is_valid()).select(["id", "context", "text"])
    before = given.select(["id", "context", "text"]).take(at.drop_null())
    if not now.equals(before):
        changed = [
            a["id"] for a, b in zip(now.to_pylist(), before.to_pylist(), strict=True) if a != b
        ]
        raise RowsLostError(
            f"{label}: changed the text or turns of {len(changed)} rows but kept their ids; the "
            f"first is {changed[0]}; make a changed row with `synth.record.derive`"
        )
