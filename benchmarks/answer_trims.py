"""Precision and recall of `trim` on the openers and sign-offs that readers labelled in answers.

A cut matches if it ends within 3 characters of the label. Any other cut counts as wrong, and also
as a miss if there is a label. Lead-ins, well-wishes and hints at changes are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.labelled import FOLDER, Figures, labelled
from benchmarks.report import options, result, table, timed
from filters.trim import Trim
from synth.record import new_record, records_table

TOLERANCE = 3  # characters
WEAK = ("well-wish only", "customise hint")
GOAL = 0.9
SETS = ("gpt-3.5-turbo-0613", "Mistral-7B-Instruct-v0.2", "vicuna-7b")


class TrimFigures(NamedTuple):
    """The figures for one end of the answers; each error is a pair of labelled and cut text."""

    end: str
    figures: Figures
    errors: list[tuple[str, str]]
    left_out: int


def report(rows: Sequence[dict[str, Any]]) -> tuple[TrimFigures, TrimFigures]:
    """Compares cut openers and sign-offs with the labels."""
    cuts = [Trim().trimmed(row["response"], row["prompt"]) for row in rows]
    return (
        _compare("opener", rows, [cut.opener for cut in cuts]),
        _compare("sign_off", rows, [cut.sign_off for cut in cuts]),
    )


def _compare(end: str, rows: Sequence[dict[str, Any]], cuts: Sequence[str]) -> TrimFigures:
    hits = wrong = missed = left_out = 0
    errors = []
    for row, cut in zip(rows, cuts, strict=True):
        label = row[end].strip()
        weak = any(note in row["note"] for note in WEAK) if end == "sign_off" else row["lead_in"]
        if label and weak:
            left_out += 1
        elif label and cut and abs(len(label) - len(cut)) <= TOLERANCE:
            hits += 1
        elif label or cut:
            wrong += bool(cut)
            missed += bool(label)
            errors.append((label, cut))
    return TrimFigures(end, Figures(hits, wrong, missed), errors, left_out)


def main() -> None:
    """Measures and reports."""
    folder = options(__doc__, data=FOLDER).data
    source = "AlpacaEval, github.com/tatsu-lab/alpaca_eval"
    rows = labelled(folder / "answers_labelled.jsonl", source)
    found = report(rows)
    lines = []
    for end, figures, errors, left_out in found:
        counts = (figures.hits, figures.wrong, figures.missed, left_out)
        shares = (figures.precision, figures.recall, figures.f1)
        lines.append([end, *map(str, counts), *(f"{share:.3f}" for share in shares)])
        for label, cut in errors:
            print(f"{end}\n  labelled {label[-150:]!r}\n  cut      {cut[-150:]!r}")
    print()
    table(["end", "right", "wrong", "missed", "left out", "precision", "recall", "F1"], lines)
    print()
    more = []
    for name in SETS:
        rows = labelled(folder / f"answers_{name}.jsonl", source)
        records = records_table(
            [new_record(prompt=row["prompt"], text=row["response"], source=name) for row in rows]
        )
        outcome, seconds = timed(lambda records=records: Trim().trim(records))
        notes = [row[-1]["note"] for row in outcome.kept["scores"].to_pylist()]
        counts = [str(sum(end in note for note in notes)) for end in ("opener", "sign_off")]
        more.append([name, str(len(rows)), *counts, f"{len(rows) / seconds:,.0f}"])
    table(["answers", "rows", "openers cut", "sign-offs cut", "rows per CPU s"], more)
    for one in found:
        peer = ("the readers' labels", 1.0)
        goal = GOAL if one.end == "opener" else None
        result("answer_trims", one.figures.f1, f"F1 of {one.end.replace('_', '-')}s", peer, goal)


if __name__ == "__main__":
    main()
