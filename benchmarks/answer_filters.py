"""Precision and recall of the filters of `distill-answers` on real answers, after `trim`.

Answers of 31 models to AlpacaEval were labelled blind. Figures are weighted to all answers, with
intervals from resampled prompts. Trained filters are cross-validated over prompts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks.labelled import FOLDER, labelled
from benchmarks.report import options, result, table, timed
from benchmarks.train_refusal import figures, out_of_fold, rows_of
from filters.quality.stage import Quality
from filters.trim import Trim
from synth.batch import Batch
from synth.record import new_record, records_table
from synth.text.refusal import THRESHOLD

RECIPE = Path(__file__).parents[1] / "flows" / "recipes" / "distill-answers.yaml"
SOURCE = "AlpacaEval, github.com/tatsu-lab/alpaca_eval"
GOOD_MODELS = ("gpt-3.5-turbo-0613", "Mistral-7B-Instruct-v0.2")
CASES = ("answers_realistic", "answers_reported")
RESAMPLES = 1_000
Row = Mapping[str, Any]


class Totals(NamedTuple):
    """Precision, recall, and the share of good answers lost, all weighted."""

    precision: float
    recall: float
    good_lost: float


def filters() -> Quality:
    """The filters of the recipe."""
    stages = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["stages"]
    return Quality.model_validate(next(one["quality"] for one in stages if "quality" in one))


def trimmed(rows: Sequence[Row]) -> Batch:
    """The rows after `trim`, as the recipe's filters get them."""
    records = [
        new_record(prompt=row["prompt"], text=row["response"], source=str(place))
        for place, row in enumerate(rows)
    ]
    return Batch(Trim().trim(records_table(records)).kept)


def reasons(batch: Batch, refusals: Sequence[float] | None = None) -> list[str | None]:
    """The reason for each row, None if kept; `refusals` replace the shipped model's scores."""
    first: list[str | None] = [None] * len(batch)
    for entry in filters().filters:
        found = entry.part.judge(batch).reasons
        if entry.part.name == "refusal" and refusals is not None:
            found = ["refusal" if score >= THRESHOLD else None for score in refusals]
        first = [before or now for before, now in zip(first, found, strict=True)]
    return first


def totals(weights: np.ndarray, bad: np.ndarray, left: np.ndarray) -> Totals:
    """The totals; `bad` rows should be rejected, `left` rows were."""
    right = weights[bad & left].sum()
    lost = weights[~bad & left].sum()
    return Totals(
        right / max(right + lost, 1e-9), right / weights[bad].sum(), lost / weights[~bad].sum()
    )


def intervals(rows: Sequence[Row], bad: np.ndarray, left: np.ndarray) -> list[tuple[float, float]]:
    """The 2.5th and 97.5th percentiles of each total, over resampled prompts."""
    weights = np.array([row["weight"] for row in rows])
    by_prompt = defaultdict(list)
    for place, row in enumerate(rows):
        by_prompt[row["prompt"]].append(place)
    groups = [np.array(places) for places in by_prompt.values()]
    chance = np.random.default_rng(7)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = chance.integers(0, len(groups), len(groups))
        places = np.concatenate([groups[one] for one in chosen])
        drawn.append(totals(weights[places], bad[places], left[places]))
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def kind(row: Row, reason: str | None) -> str:
    """A name for the error of this row."""
    if reason:
        return f"good, but {reason}"
    named = [
        f"{name} {row[name]}"
        for name in ("degenerate", "refusal")
        if row[name] not in ("no", "none")
    ]
    named += ["cut"] * (row["truncated"] == "yes")
    named += [name for name in ("echo", "empty_or_useless", "wrong_language") if row[name]]
    return f"missed: {', '.join(named) or 'other'}"


def main() -> None:
    """Measures and reports."""
    folder = options(__doc__, data=FOLDER).data
    rows = labelled(folder / "answers_labelled.jsonl", SOURCE)
    batch, trained = trimmed(rows), rows_of(folder)
    texts = np.array(trained.texts, object)
    texts[trained.of("alpacaeval")] = batch.texts
    scores = out_of_fold(trained, texts.tolist())
    why = reasons(batch, scores[trained.of("alpacaeval")].tolist())
    bad = np.array([row["keep"] == "drop" for row in rows])
    left = np.array([reason is not None for reason in why])
    total = totals(np.array([row["weight"] for row in rows]), bad, left)
    between = intervals(rows, bad, left)
    counts = (
        f"{(bad & left).sum()} of {left.sum()}",
        f"{(bad & left).sum()} of {bad.sum()}",
        f"{(~bad & left).sum()} of {(~bad).sum()}",
    )
    names = ("precision of the rejections", "recall of bad answers", "good answers lost")
    table(
        ["weighted share", "", "95 % interval", "rows"],
        [
            [name, f"{share:.3f}", f"{low:.3f} to {high:.3f}", count]
            for name, share, (low, high), count in zip(names, total, between, counts, strict=True)
        ],
    )
    stuck = np.array([row["degenerate"] != "no" for row in rows])
    print(f"\n{(stuck & left).sum()} of {stuck.sum()} loops and garbage answers rejected")
    by_reason = Counter(
        (reason, row["keep"] == "drop") for row, reason in zip(rows, why, strict=True)
    )
    of_reasons = sorted({reason for reason in why if reason})
    table(
        ["reason", "bad answers", "good answers"],
        [[one, str(by_reason[one, True]), str(by_reason[one, False])] for one in of_reasons],
    )
    errors: dict[str, float] = defaultdict(float)
    many: Counter[str] = Counter()
    for row, reason, wrong in zip(rows, why, bad != left, strict=True):
        if wrong:
            errors[kind(row, reason)] += row["weight"]
            many[kind(row, reason)] += 1
    print("\nthe most frequent remaining errors:")
    ranked = sorted(errors, key=lambda one: -errors[one])[:10]
    table(
        ["error", "weight", "rows"], [[one, f"{errors[one]:.0f}", str(many[one])] for one in ranked]
    )
    leaving = {}
    for model in GOOD_MODELS:
        answers = labelled(folder / f"answers_{model}.jsonl", SOURCE)
        why, seconds = timed(lambda answers=answers: reasons(trimmed(answers)))
        dropped, speed = sum(reason is not None for reason in why), len(answers) / seconds
        leaving[model] = dropped / len(answers)
        share = f"{dropped} of {len(answers)} rejected ({leaving[model]:.1%})"
        print(f"{model}: {share}, {speed:.0f} rows per CPU second")
    for name in CASES:
        cases = labelled(folder / "cases" / f"{name}.jsonl", "this project")
        wrong = [
            (row, reason)
            for row, reason in zip(cases, reasons(trimmed(cases)), strict=True)
            if (row["right"] == "drop") != (reason is not None)
        ]
        print(f"{name}: {len(cases) - len(wrong)} of {len(cases)} right")
        for row, reason in wrong:
            print(f"  expected {row['right']}, got {reason or 'keep'}: {row['response'][:70]!r}")
    xstest = figures(trained, scores, "xstest", THRESHOLD)
    print(f"XSTest by cross-validation over prompts: F1 {xstest.f1:.3f} {xstest}")
    result(
        "answer_filters",
        total.precision,
        "share of rejected answers that are bad",
        ("the filters of 0.1.0", 0.19),
        0.9,
        recall=total.recall,
        xstest_f1=xstest.f1,
        **leaving,
    )
    unit, peer = "share of good answers lost", ("the filters of 0.1.0", 0.2)
    result("answer_filters", total.good_lost, unit, peer, better="lower")


if __name__ == "__main__":
    main()
