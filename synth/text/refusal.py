"""Estimates the probability that a text refuses its prompt.

    "How do I kill a Python process?"  "I'm sorry, but I can't help with …"   ->   0.99

A logistic regression over the text's opening (`synth.text.opening`). Refusals come at the start; a
later "I cannot" is often spoken by a character in a story. `benchmarks/train_refusal` makes the
weights, and `refusal.json` names the training data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.text.opening import features

WEIGHTS = Path(__file__).with_suffix(".npy")
PROVENANCE = Path(__file__).with_suffix(".json")
THRESHOLD = 0.4  # 0.3 % of the good answers to AlpacaEval, by weight, are above this


def refuses(text: str, prompt: str = "") -> bool:
    """Whether one text refuses its prompt."""
    return bool(refusal_scores([text], [prompt])[0] >= THRESHOLD)


def refusal_scores(texts: Sequence[str], prompts: Sequence[str]) -> NDArray[np.float64]:
    """The probability that each text refuses its prompt; 0 for an empty text."""
    weights, bias = _model()
    found = features(texts, prompts)
    sums = np.bincount(found.rows, weights[found.columns] * found.values, len(texts))
    scores: NDArray[np.float64] = np.where(sums == 0, 0.0, 1 / (1 + np.exp(-sums - bias)))
    return scores


@cache
def _model() -> tuple[NDArray[np.float32], float]:
    bias = json.loads(PROVENANCE.read_text(encoding="utf-8"))["bias"]
    return np.load(WEIGHTS).astype(np.float32), bias
