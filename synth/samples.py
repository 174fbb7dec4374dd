"""The samples of a prompt: which rows of a shard answer the same one, and what was found of each.

All samples of a prompt come to be in one shard and stay there, so a shard is enough to see them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from synth.verdicts import Verdict

PASS_RATE = "pass_rate"  # noqa: S105  a score's name, not a password
"""The score's name: `value` is the share of passes among the samples with a pass or a fail."""
WEIGHTIEST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.UNVERIFIED, Verdict.PASS)


def groups(table: pa.Table) -> list[list[int]]:
    """The rows of each prompt, in row order; prompts in the order of their first row."""

    found: dict[bytes, list[int]] = {}
    for row, context in enumerate(table["context"].to_pylist()):
        found.setdefault(orjson.dumps(context), []).append(row)
    return list(found.values())


def overall(scores: Sequence[Mapping[str, Any]]) -> Verdict:
    """The verdict on a row: `pass` where at least one check applies and all that apply pass."""
    last = {score["name"]: score["verdict"] for score in scores}  # a repeated check counts once
    return weightiest(last.values())


def weightiest(verdicts: Collection[str]) -> Verdict:
    """The verdict on a row by those of its checks, as `overall`."""
    return next((one for one in WEIGHTIEST_FIRST if one in verdicts), Verdict.NOT_APPLICABLE)


def pass_rate(verdicts: Sequence[Verdict]) -> float | None:
    """Passes over passes and fails; None where there are neither.

    A sample that could not be read is left out: it says as little against the prompt as for it.
    """
    passes, fails = verdicts.count(Verdict.PASS), verdicts.count(Verdict.FAIL)
    return passes / (passes + fails) if passes + fails else None


def pass_rate_score(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The entry in the scores of each sample of a prompt."""
    told = [f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts]
    return {
        "name": PASS_RATE,
        "verdict": "keep",
        "value": pass_rate(verdicts),
        "note": f"of {len(verdicts)}: {', '.join(told)}",
    }


def value_of(scores: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The last score of that name; None where there is none, or nothing was measured."""
    found = [score["value"] for score in scores if score["name"] == name]
    return found[-1] if found else None
