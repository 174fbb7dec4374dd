"""Trains the model of `synth.text.refusal` and cross-validates it over prompts.

    python -m benchmarks.train_refusal

The model is trained on these sources; only the last one is in this repository:
- XSTest (arXiv:2308.01263, github.com/paul-rottger/xstest, CC-BY-4.0): 900 replies of models with
  human labels; full and partial refusals count as refusals.
- Answers of 31 models to AlpacaEval (Apache-2.0), labelled by us. Full refusals count as refusals,
  and so do partial ones that are not worth keeping. Unlabelled answers of vicuna-7b count as other
  answers, unless a first model suspects them. The prompts of both serve as texts that do not
  refuse.
- The answers of Self-Instruct's seed tasks (Apache-2.0), written by people: no refusals.
- `refusal_rows.jsonl`: refusals and texts that resemble them, written for this model; and sentences
  combined at random from `refusal_wordings.json`, in five languages.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.labelled import FOLDER, Figures, labelled
from benchmarks.report import options
from synth.text import opening, refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
FOLDS = 10
SUSPECT = 0.4  # an unlabelled answer above this is left out
STRENGTH = 10.0  # inverse of the regularization
MADE = {"en": 600, "de": 180, "fr": 180, "es": 180, "zh": 180}  # refusals, by language
STEPS = 60
WEIGHT = {
    "xstest": 1.0,
    "alpacaeval": 3.0,
    "vicuna": 0.5,
    "written": 3.0,
    "tasks": 1.0,
    "prompts": 0.5,
    "made": 1.0,
}


class Rows(NamedTuple):
    """The training data; the label of a refusal is 1."""

    prompts: list[str]
    texts: list[str]
    labels: NDArray[np.int64]
    sources: NDArray[np.str_]

    def of(self, source: str) -> NDArray[np.bool_]:
        """Which rows come from this source."""
        return self.sources == source


def rows_of(folder: Path) -> Rows:
    """All rows: from public sources, written by us, and generated."""
    xstest = labelled(folder / "xstest_completions.jsonl", "XSTest")
    answers = labelled(folder / "answers_labelled.jsonl", "AlpacaEval")
    unlabelled = labelled(folder / "answers_vicuna-7b.jsonl", "AlpacaEval")
    written = labelled(HERE / "refusal_rows.jsonl", "this repository")
    plain = labelled(folder / "seed_tasks.jsonl", "Self-Instruct")
    asked = dict.fromkeys(row["prompt"] for row in [*xstest, *answers])
    found = [
        *((row["prompt"], row["completion"], row["label"][0] != "1", "xstest") for row in xstest),
        *((row["prompt"], row["response"], deserves(row), "alpacaeval") for row in answers),
        *((row["prompt"], row["response"], False, "vicuna") for row in unlabelled),
        *((row["prompt"], row["response"], row["refusal"], "written") for row in written),
        *((row["instruction"], row["instances"][0]["output"], False, "tasks") for row in plain),
        *(("", prompt, False, "prompts") for prompt in asked),
        *((*row, "made") for language in MADE for row in wordings(language)),
    ]
    prompts, texts, labels, sources = zip(*found, strict=True)
    return Rows(list(prompts), list(texts), np.array(labels, int), np.array(sources))


def deserves(row: dict[str, Any]) -> bool:
    """Whether a labelled answer should be rejected as a refusal."""
    partial = row["refusal"] == "partial" and row["keep"] == "drop"
    return bool(row["refusal"] == "full" or partial)


def wordings(language: str) -> list[tuple[str, str, bool]]:
    """Prompts with refusals, and with sentences about things that people cannot or will not do."""
    part = json.loads((HERE / "refusal_wordings.json").read_text(encoding="utf-8"))[language]
    blank = "" if language == "zh" else " "
    chance = random.Random(f"7 {language}")
    pick = chance.choice
    made: list[tuple[str, str, bool]] = []

    def refuses() -> str:
        if "whole" in part and chance.random() < 0.3:  # other orders of words
            return str(pick(part["whole"]))
        if chance.random() < 0.4:
            return str(pick(part["cannot"]) + blank + pick(part["able"]))
        return str(pick(part["cannot"]) + blank + pick(part["do"]) + blank + pick(part["what"]))

    for _ in range(MADE[language]):
        asked = pick(part["asked"]).format(pick(part["thing"]))
        made.append((asked, capital(pick(part["begin"]) + refuses() + pick(part["end"])), True))
        if chance.random() < 0.1:  # the prompt asks for this refusal, for example as a translation
            prompt, form = pick(part["setting"][-3:])
            made.append((prompt, form.format(capital(refuses())), False))
        else:
            prompt, form = pick(part["setting"])
            life = capital(pick(part["cannot"]) + blank + pick(part["life"]))
            made.append((prompt, form.format(life), False))
        if part["goes_on"] and chance.random() < 0.25:
            made.append((asked, pick(part["begin"][:2]) + pick(part["goes_on"]), False))
    return made


def capital(text: str) -> str:
    """The text with a capital letter at its start."""
    return text[:1].upper() + text[1:]


class Model(NamedTuple):
    """A logistic regression."""

    weights: NDArray[np.float64]
    bias: float

    def scores(self, given: opening.Features, rows: int) -> NDArray[np.float64]:
        """The probability of each row."""
        sums = np.bincount(given.rows, self.weights[given.columns] * given.values, rows)
        return 1 / (1 + np.exp(-sums - self.bias))


def fitted(rows: Rows, given: opening.Features, chosen: NDArray[np.bool_]) -> Model:
    """Trains on the chosen rows, without unlabelled answers that a first model suspects."""
    weights = np.array([WEIGHT[source] for source in rows.sources]) * chosen
    unlabelled = rows.of("vicuna")
    first = logistic(given, rows.labels, weights * ~unlabelled)
    suspect = unlabelled & (first.scores(given, len(rows.labels)) >= SUSPECT)
    return logistic(given, rows.labels, weights * ~suspect, first)


def logistic(
    given: opening.Features,
    labels: NDArray[np.int64],
    importance: NDArray[np.float64],
    start: Model | None = None,
) -> Model:
    """Fits an L2-regularized logistic regression by L-BFGS with ten pairs (Nocedal, 1980)."""
    place = importance[given.rows] > 0
    of, columns, values = (part[place] for part in given)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        sums = np.bincount(of, at[columns] * values, len(labels)) + at[-1]
        signed = np.where(labels == 1, -sums, sums)
        wrong = importance / (1 + np.exp(-signed)) * np.where(labels == 1, -1, 1)
        slope = np.bincount(columns, wrong[of] * values, len(at))
        slope[:-1] += at[:-1] / STRENGTH
        slope[-1] = wrong.sum()
        value = importance @ np.logaddexp(0, signed) + at[:-1] @ at[:-1] / (2 * STRENGTH)
        return float(value), slope

    at = np.zeros(opening.COLUMNS + 1) if start is None else np.append(start.weights, start.bias)
    value, slope = loss(at)
    pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for _ in range(STEPS):
        way, shares = slope.copy(), []
        for moved, turned in reversed(pairs):
            shares.append(moved @ way / (moved @ turned))
            way -= shares[-1] * turned
        if pairs:
            way *= pairs[-1][0] @ pairs[-1][1] / (pairs[-1][1] @ pairs[-1][1])
        for (moved, turned), share in zip(pairs, reversed(shares), strict=True):
            way += (share - turned @ way / (moved @ turned)) * moved
        length = 1.0 if pairs else 1 / np.abs(slope).sum()
        while True:
            there = at - length * way
            new_value, new_slope = loss(there)
            if new_value <= value - 1e-4 * length * (slope @ way) or length < 1e-9:
                break
            length /= 2
        pairs = [*pairs[-9:], (there - at, new_slope - slope)]
        done = value - new_value < 1e-3 * value
        at, value, slope = there, new_value, new_slope
        if done:
            break
    return Model(at[:-1], float(at[-1]))


def out_of_fold(rows: Rows, judged: Sequence[str] | None = None) -> NDArray[np.float64]:
    """The score of each row by a model that was not trained on its prompt.

    `judged` replaces the texts of the rows when they are scored, but not in training.
    """
    given = opening.features(rows.texts, rows.prompts)
    asked = opening.features(judged, rows.prompts) if judged else given
    order = {prompt: place for place, prompt in enumerate(dict.fromkeys(rows.prompts))}
    folds = np.random.default_rng(0).integers(0, FOLDS, len(order))
    fold = folds[[order[prompt] for prompt in rows.prompts]]
    scores = np.zeros(len(fold))
    for one in range(FOLDS):
        held = (fold == one) & ~rows.of("made")
        scores[held] = fitted(rows, given, ~held).scores(asked, len(fold))[held]
    return scores


def figures(rows: Rows, scores: NDArray[np.float64], source: str, threshold: float) -> Figures:
    """Hits, false alarms and misses among the rows of a source."""
    labels, found = rows.labels == 1, scores >= threshold
    of = rows.of(source)
    return Figures(
        int((labels & found & of).sum()),
        int((~labels & found & of).sum()),
        int((labels & ~found & of).sum()),
    )


def main() -> None:
    """Trains, measures, and writes the weights and their provenance."""
    rows = rows_of(options(__doc__, data=FOLDER).data)
    scores = out_of_fold(rows)
    measured = {}
    for source in ("xstest", "alpacaeval", "written"):
        for threshold in (0.3, 0.4, 0.5):
            one = figures(rows, scores, source, threshold)
            print(f"{source:>10} at {threshold}: F1 {one.f1:.3f}", *one)
        measured[source] = round(figures(rows, scores, source, refusal.THRESHOLD).f1, 3)
    given = opening.features(rows.texts, rows.prompts)
    model = fitted(rows, given, np.ones(len(rows.texts), bool))
    np.save(refusal.WEIGHTS, model.weights.astype(np.float16))
    provenance = {
        "bias": round(model.bias, 4),
        "made_by": "benchmarks/train_refusal.py",
        "sources": [
            "XSTest, arXiv:2308.01263, github.com/paul-rottger/xstest, CC-BY-4.0",
            "AlpacaEval outputs, github.com/tatsu-lab/alpaca_eval, Apache-2.0; labels ours",
            "Self-Instruct seed tasks, github.com/yizhongw/self-instruct, Apache-2.0",
            "benchmarks/refusal_rows.jsonl and refusal_wordings.json, ours",
        ],
        "rows": {source: int(rows.of(source).sum()) for source in WEIGHT},
        "f1_by_cross_validation_over_prompts": measured,
    }
    refusal.PROVENANCE.write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
