"""`fuzzy`: short texts that differ by a few characters, where n-grams of five words are too coarse.

Every pair would be too many (20,000 prompts are 200 million pairs), so only texts are compared that
share a bucket of MinHash over their characters.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from synth.engine.stage import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from filters.dedup.corpus import Corpus
    from filters.dedup.order import Findings
    from synth.batch import Batch

# On 4,852 prompts with typos and swapped words, against all pairs: of those with ratio >= 90 these
# buckets hold 99.9 % (word pairs: 90 %), of ratio >= 80 99.5 %, and 0.7 % of all pairs to compare.
GRAM_CHARS, BANDS, ROWS = 5, 32, 2
CACHED_TEXTS = 100_000  # of at most 60 words: some 40 MB
FLOOR = 20.0  # so far below the ratio similarities are still told, further below they are 0


class Fuzzy(Model):
    """Finds texts of a normalised Indel similarity of `ratio` and more (rapidfuzz's `fuzz.ratio`).

    Both texts have at most `max_words` words and are compared as `exact` normalises them.
    """

    name: ClassVar[str] = "fuzzy"
    reason: ClassVar[str] = "fuzzy_duplicate"
    ratio: float = Field(90.0, ge=80, le=100, description="similarity of a duplicate, 0 to 100")
    max_words: int = Field(60, ge=1, le=1_000, description="longer texts are not compared")

    def sign(self, batch: Batch, folder: Path) -> None:
        """Each text that is short enough, and its bands; nothing of a longer one."""
        import numpy as np

        from filters.dedup.corpus import store
        from filters.dedup.exact import normal
        from filters.dedup.shingles import band_hashes, hashed_characters, offsets_of, sets, windows

        texts = [
            normal(text) if 0 < len(words) <= self.max_words else ""
            for text, words in zip(batch.texts, batch.words, strict=True)
        ]
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        store(folder, "fuzzy-flat", np.frombuffer(b"".join(encoded), np.uint8))
        store(folder, "fuzzy-offsets", offsets_of(np.array([len(t) for t in encoded], np.int64)))
        grams = sets(windows(hashed_characters(texts), GRAM_CHARS))
        store(folder, "fuzzy-bands", band_hashes(grams, BANDS, ROWS))

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """Similarity is the ratio, in [0, 100]."""
        from functools import lru_cache

        from rapidfuzz.fuzz import ratio

        from filters.dedup.order import decide_in_order

        rows = corpus.ragged("fuzzy")
        cutoff = self.ratio - FLOOR

        @lru_cache(CACHED_TEXTS)
        def text(row: int) -> str:
            return rows.row(row).tobytes().decode("utf-8", "surrogatepass")

        def similarities(row: int, candidates: list[int]) -> list[float]:
            one = text(row)
            return [ratio(one, text(other), score_cutoff=cutoff) for other in candidates]

        compared = alive & (rows.lengths() > 0)
        return decide_in_order(corpus.bands("fuzzy-bands"), compared, similarities, self.ratio)
