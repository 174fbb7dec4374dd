"""Near-duplicates among short prompts: CPU seconds and recall against comparing every pair.

20,000 prompts of about 30 words, of which three in ten repeat an earlier one with changes. Truth is
every pair by rapidfuzz (`fuzz.ratio` >= 85; ROUGE-L >= 0.7 as Indel over words). A true pair counts
as found if not both of its rows stay. Compiled code is warmed first; signing counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.fuzz import ratio
from rapidfuzz.process import cdist

from benchmarks.report import result, table
from benchmarks.short_prompts import short_prompts
from filters.dedup.exact import normal
from filters.dedup.stage import Dedup
from filters.text import WORD
from synth.batch import Batch
from synth.engine.stage import Place
from synth.kind import Kind

GOAL_S, GOAL_RECALL, GOAL_MANY_S = 3.0, 0.999, 30.0
METHODS: dict[str, tuple[dict[str, Any], Callable[..., float], float]] = {
    "ratio": ({"fuzzy": {"ratio": 85}}, ratio, 85.0),
    "rouge": ({"rouge": {"threshold": 0.7}}, Indel.normalized_similarity, 0.7),
}
SLAB_ROWS = 500


def decided(prompts: Sequence[str], recipe: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Which prompts leave by the recipe's `dedup`, and its CPU seconds."""
    stage, place = Dedup.model_validate(recipe), Place(0, Kind.PROMPTS)
    shard = Batch.of_prompts(prompts).table
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        stage.sign(shard, place, Path(folder))
        stage.decide([Path(folder)])
        seconds = time.process_time() - started
        return np.load(Path(folder) / "dropped.npy")[0], seconds


def every_pair(
    prompts: Sequence[str], scorer: Callable[..., float], least: float
) -> tuple[np.ndarray, float]:
    """All pairs of at least that likeness, two lines, and the CPU seconds of finding them."""
    texts = [normal(prompt) for prompt in prompts]
    if scorer is not ratio:
        known: dict[str, int] = {}
        words = [WORD.findall(text) for text in texts]
        texts = [
            "".join(chr(0x10000 + known.setdefault(w, len(known))) for w in row) for row in words
        ]
    started = time.process_time()
    found = []
    for first in range(0, len(texts), SLAB_ROWS):
        like = cdist(
            texts[first : first + SLAB_ROWS],
            texts[: first + SLAB_ROWS],
            scorer=scorer,
            score_cutoff=least,
            dtype=np.float32,
            workers=1,
        )
        one, other = np.nonzero(like >= least)
        earlier = other < one + first
        found.append(np.stack([one[earlier] + first, other[earlier]]))
    return np.concatenate(found, axis=1), time.process_time() - started


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--no-truth", action="store_true", help="time only; no recall")
    arguments = parser.parse_args()
    prompts, many = short_prompts(arguments.rows), short_prompts(arguments.many)
    recalls, seconds, brute, rows = {}, {}, {}, []
    for name, (recipe, scorer, least) in METHODS.items():
        decided(prompts[:500], recipe)
        dropped, seconds[name] = decided(prompts, recipe)
        if not arguments.no_truth:
            (one, other), brute[name] = every_pair(prompts, scorer, least)
            recalls[name] = 1 - float(np.mean(~dropped[one] & ~dropped[other]))
        _, seconds[f"{name} of many"] = decided(many, recipe)
        told = f"{recalls[name]:.5f}, {brute[name]:.1f} s" if name in recalls else "-"
        rows.append([name, f"{seconds[name]:.2f}", f"{seconds[f'{name} of many']:.1f}", told])
    head = ["method", f"CPU s, {len(prompts)}", f"CPU s, {len(many)}", "recall, every pair takes"]
    table(head, rows)
    print(f"\ngoals: {GOAL_S:.0f} s, {GOAL_MANY_S:.0f} s, {GOAL_RECALL}")
    worst = max(METHODS, key=seconds.__getitem__)
    result(
        "prompt_dedup",
        seconds[worst],
        f"CPU seconds for {len(prompts)} prompts by {worst}, the slower method",
        "lower",
        GOAL_S,
        {f"every pair by {name}": value for name, value in brute.items()},
        **{f"recall_{name}": value for name, value in recalls.items()},
        many_s=max(seconds[f"{name} of many"] for name in METHODS),
    )


if __name__ == "__main__":
    main()
