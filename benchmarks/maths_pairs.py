"""Verdicts of `maths` and of bare math-verify on labelled answers to maths problems.

The labels are `pass`, `fail`, `open` (nobody could decide) and `fail-or-open`. A wrong pass is the
worst error, because it teaches a mistake. math-verify is called as in its README, with its timeout
of 5 s. It has no "undecided", so an answer that it cannot read is a fail. `--errors` prints each
error of `maths`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

from math_verify import parse, verify

from benchmarks.labelled import FOLDER, labelled
from benchmarks.report import options, result, table
from filters.verify.maths.verifier import check_text

GOALS = {"wrong pass": 0.0, "wrong fail": 0.02, "unreadable": 0.10}


def kind(verdict: str, right: str) -> str:
    """How the verdict compares with the label: right, or the name of the error."""
    if verdict == "pass" and right != "pass":
        return "wrong pass"
    if verdict == "fail" and right in ("pass", "open"):
        return "wrong fail"
    if verdict == "unverified" and right in ("pass", "fail"):
        return "unreadable"
    return "right"


def math_verify(row: dict[str, Any]) -> str:
    """The verdict of math-verify."""
    return "pass" if verify(parse(f"${row['answer']}$"), parse(row["response"])) else "fail"


def ours(row: dict[str, Any]) -> str:
    """The verdict of `maths`."""
    return check_text(row["response"], row["answer"], row["prompt"]).verdict.value


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, data=FOLDER, errors=False)
    logging.disable(logging.WARNING)  # math-verify logs each text that it cannot read
    rows = labelled(given.data / "cases" / "maths_pairs.jsonl", "this project's labels")
    decidable = sum(row["right"] in ("pass", "fail") for row in rows)
    counts = {}
    for name, judge in (("maths", ours), ("math-verify", math_verify)):
        kinds = [kind(judge(row), row["right"]) for row in rows]
        counts[name] = Counter(kinds)
        for row, one in zip(rows, kinds, strict=True):
            if given.errors and name == "maths" and one != "right":
                print(one, json.dumps(row, ensure_ascii=False))
    names = ["right", "wrong pass", "wrong fail", "unreadable"]
    table(
        ["", *names],
        [[name, *(str(found[one]) for one in names)] for name, found in counts.items()],
    )
    print(f"\n{len(rows)} answers, {decidable} of them labelled pass or fail")
    found = counts["maths"]
    for name, goal in GOALS.items():
        whole = decidable if name == "unreadable" else len(rows)
        peer = ("math-verify", counts["math-verify"][name] / whole)
        result("maths_pairs", found[name] / whole, f"share of answers: {name}", peer, goal, "lower")


if __name__ == "__main__":
    main()
