"""Verdicts about labelled answers to maths problems, of `maths` and of bare math-verify.

The labels say `pass`, `fail`, `open` (nobody could decide) or `fail-or-open`. A wrong pass is the
worst error: it teaches a mistake. math-verify is called as its README does, within 5 s; it knows no
"undecided", so an answer that it cannot read is a fail.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.labelled import FOLDER, labelled
from benchmarks.report import result, table
from filters.verify.maths import check_text

MOST_WRONG_FAILS, MOST_UNREADABLE = 0.02, 0.10


def kind(verdict: str, right: str) -> str:
    """What a verdict is where this one is right."""
    if verdict == "pass" and right != "pass":
        return "wrong pass"
    if verdict == "fail" and right in ("pass", "open"):
        return "wrong fail"
    if verdict == "unverified" and right in ("pass", "fail"):
        return "unreadable"
    return "right"


def math_verify(row: dict[str, Any]) -> str:
    """The verdict of math-verify."""
    from math_verify import parse, verify

    return "pass" if verify(parse(f"${row['answer']}$"), parse(row["response"])) else "fail"


def ours(row: dict[str, Any]) -> str:
    """The verdict of `maths`."""
    return check_text(row["response"], row["answer"], row["prompt"]).verdict.value


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER / "cases" / "maths_pairs.jsonl")
    parser.add_argument("--errors", action="store_true", help="print each error of `maths`")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # math-verify tells of each text that it cannot read
    rows = labelled(arguments.data, "this project's labels")
    decidable = sum(row["right"] in ("pass", "fail") for row in rows)
    counts = {}
    for name, judge in (("maths", ours), ("math-verify", math_verify)):
        kinds = [kind(judge(row), row["right"]) for row in rows]
        counts[name] = Counter(kinds)
        for row, one in zip(rows, kinds, strict=True):
            if arguments.errors and name == "maths" and one != "right":
                print(one, json.dumps(row, ensure_ascii=False))
    names = ["right", "wrong pass", "wrong fail", "unreadable"]
    table(
        ["", *names],
        [[name, *(str(found[one]) for one in names)] for name, found in counts.items()],
    )
    print(f"\n{len(rows)} answers, {decidable} of them decidable")
    found = counts["maths"]
    for name, value, goal in (
        ("wrong pass", found["wrong pass"] / len(rows), 0.0),
        ("wrong fail", found["wrong fail"] / len(rows), MOST_WRONG_FAILS),
        ("unreadable", found["unreadable"] / decidable, MOST_UNREADABLE),
    ):
        peer = {"math-verify": counts["math-verify"][name] / len(rows)}
        result(f"maths ({name})", value, "share of answers", "lower", goal, peer)


if __name__ == "__main__":
    main()
