"""Groups the rows of a shard that answer the same prompt, and combines their verdicts.

All samples of a prompt are made in one shard and stay there, so each shard can be grouped alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from synth.verdicts import Verdict

PASS_RATE = "pass_rate"  # noqa: S105  a score's name, not a password
"""Name of the score whose `value` is the share of passes among samples that pass or fail."""
WEIGHTIEST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.UNVERIFIED, Verdict.PASS)


def groups(table: pa.Table) -> list[list[int]]:
    """The row numbers of each prompt, in row order. Prompts are ordered by their first row."""
    found: dict[bytes, list[int]] = {}
    for row, context in enumerate(table["context"].to_pylist()):
        found.setdefault(orjson.dumps(context), []).append(row)
    return list(found.values())


def overall(scores: Sequence[Mapping[str, Any]]) -> Verdict:
    """The verdict on a row: `pass` if at least one check applies and all that apply pass."""
    last = {score["name"]: score["verdict"] for score in scores}  # a repeated check counts once
    return weightiest(last.values())


def weightiest(verdicts: Collection[str]) -> Verdict:
    """The verdict on a row, given the verdicts of its checks. See `overall`."""
    return next((one for one in WEIGHTIEST_FIRST if one in verdicts), Verdict.NOT_APPLICABLE)


def pass_rate(verdicts: Sequence[Verdict]) -> float | None:
    """Passes divided by passes plus fails; None if there are neither.

    Unreadable samples are ignored: they tell nothing about how hard the prompt is.
    """
    passes, fails = verdicts.count(Verdict.PASS), verdicts.count(Verdict.FAIL)
    return passes / (passes + fails) if passes + fails else None


def pass_rate_score(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The pass-rate entry for the `scores` of each sample of a prompt."""
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts]
    return {
        "name": PASS_RATE,
        "verdict": "keep",
        "value": pass_rate(verdicts),
        "note": f"of {len(verdicts)}: {', '.join(counts)}",
    }


def value_of(scores: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The value of the last score with that name; None if there is none or it has no value."""
    found = [score["value"] for score in scores if score["name"] == name]
    return found[-1] if found else None
