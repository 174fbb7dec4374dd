"""Near-duplicates among short prompts: CPU seconds and recall, compared with all pairs.

There are 20,000 prompts of about 30 words; three in ten repeat an earlier one with changes. The
true pairs are those that rapidfuzz finds among all pairs of the first `--pairs-of` prompts
(`fuzz.ratio` >= 85; ROUGE-L >= 0.7 as Indel over words). A true pair is found if at least one of
its rows is rejected. The time includes signing, but not compilation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.fuzz import ratio
from rapidfuzz.process import cdist

from benchmarks.report import options, result, table, timed
from benchmarks.short_prompts import short_prompts
from filters.dedup.exact import normal
from filters.dedup.stage import Dedup
from synth.batch import Batch
from synth.engine.stage import Place
from synth.kind import Kind
from synth.text.words import parts_of_words

GOAL = 20_000 / 3  # prompts per CPU second
METHODS: dict[str, tuple[dict[str, Any], Callable[..., float], float]] = {
    "ratio": ({"fuzzy": {"ratio": 85}}, ratio, 85.0),
    "rouge": ({"rouge": {"threshold": 0.7}}, Indel.normalized_similarity, 0.7),
}
SLAB_ROWS = 500


def decided(prompts: Sequence[str], recipe: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Which prompts the `dedup` of this recipe rejects, and its CPU seconds."""
    stage, place = Dedup.model_validate(recipe), Place(0, Kind.PROMPTS)
    shard = Batch.of_prompts(prompts).table
    with tempfile.TemporaryDirectory() as folder:
        _, signing_s = timed(lambda: stage.sign(shard, place, Path(folder)))
        _, deciding_s = timed(lambda: stage.decide([Path(folder)]))
        seconds = signing_s + deciding_s
        return np.load(Path(folder) / "dropped.npy")[0], seconds


def every_pair(
    prompts: Sequence[str], scorer: Callable[..., float], least: float
) -> tuple[np.ndarray, float]:
    """All pairs with at least this similarity, as an array of two rows, and the CPU seconds."""
    texts = [normal(prompt) for prompt in prompts]
    if scorer is not ratio:
        known: dict[str, int] = {}
        words = [parts_of_words(text) for text in texts]
        texts = [
            "".join(chr(0x10000 + known.setdefault(w, len(known))) for w in row) for row in words
        ]
    return timed(lambda: _pairs(texts, scorer, least))


def _pairs(texts: list[str], scorer: Callable[..., float], least: float) -> np.ndarray:
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
    return np.concatenate(found, axis=1)


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, rows=20_000, many=100_000, pairs_of=10_000)
    prompts, many = short_prompts(given.rows), short_prompts(given.many)
    sample = prompts[: given.pairs_of]
    rows, results = [], []
    for name, (recipe, scorer, least) in METHODS.items():
        decided(prompts[:500], recipe)  # compiles
        (one, other), pairs_s = every_pair(sample, scorer, least)
        dropped, sample_s = decided(sample, recipe)
        recall = 1 - float(np.mean(~dropped[one] & ~dropped[other]))
        seconds, many_s = decided(prompts, recipe)[1], decided(many, recipe)[1]
        measured = [f"{seconds:.2f}", f"{many_s:.1f}", f"{sample_s:.2f}", f"{pairs_s:.1f}"]
        rows.append([name, *measured, f"{recall:.5f}"])
        per_s, all_per_s = len(prompts) / seconds, len(sample) / pairs_s
        peer = (f"every pair by rapidfuzz's {name}, {len(sample):,} prompts", all_per_s)
        results.append((per_s, peer, {"recall": recall, "many_s": many_s}))
    sizes = (given.rows, given.many, given.pairs_of)
    table(["method", *(f"CPU s, {n:,}" for n in sizes), "every pair", "recall"], rows)
    for per_s, peer, more in results:
        result("prompt_dedup", per_s, f"prompts per CPU second, {given.rows:,}", peer, GOAL, **more)


if __name__ == "__main__":
    main()
