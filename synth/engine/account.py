"""No row is lost: what leaves a stage is checked against what came in, before it is written."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from synth.engine.stage import Outcome
from synth.record import last_step


class RowsLostError(AssertionError):
    """A stage dropped a row without a verdict, or made two with one id: a bug in that stage."""


def account(label: str, outcome: Outcome, ids: pa.ChunkedArray | None) -> Counter[str]:
    """The reasons of the rejected rows, counted. Raises `RowsLostError`.

    Each id that came in must come out as an id, or as the parent of the last step of a row; a
    source has no ids coming in, and passes None.
    """
    kept_ids: list[str] = outcome.kept["id"].to_pylist()
    rejected_ids: list[str] = outcome.rejected["id"].to_pylist()
    out = {*kept_ids, *rejected_ids}
    if len(out) < len(kept_ids) + len(rejected_ids):
        twice = [key for key, n in Counter(kept_ids + rejected_ids).items() if n > 1]
        raise RowsLostError(f"{label}: {len(twice)} ids occur twice, the first is {twice[0]}")
    if ids is not None:
        out.update(last_step(outcome.kept, "parent"))
        out.update(last_step(outcome.rejected, "parent"))
        lost = [key for key in ids.to_pylist() if key not in out]
        if lost:
            raise RowsLostError(
                f"{label}: {len(lost)} of {len(ids)} rows came in and did not come out, the first "
                f"is {lost[0]}; a stage must keep or reject each row"
            )
    return Counter(sorted(outcome.rejected["reason"].to_pylist()))
