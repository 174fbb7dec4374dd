"""`semantic`: texts that say the same in other words, by the cosine of their embeddings.

Source: SemDeDup, arXiv:2303.09540: clusters by k-means, pairs within a cluster. Ours compares a row
with the rows of the three clusters nearest to it, not of one, so that fewer pairs are lost at the
borders, and keeps the first row instead of the one farthest from the centroid.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field, model_validator

from filters.dedup.clusters import decide_by_cosine
from filters.dedup.corpus import Corpus, store
from filters.dedup.embed import embed_locally, embed_served
from filters.dedup.findings import Findings
from synth.batch import Batch
from synth.model import Model
from synth.store.durable import write_bytes

MOST_CHARS = 8_000  # of a text; embedding models read some 512 to 8,192 tokens
FLOOR = 0.1  # so far below the threshold similarities are still told, further below they are 0


class Semantic(Model):
    """Finds texts whose embeddings have a cosine of `threshold` and more.

    Exactly one of `url` and `local` is given. What a cosine means depends on the model: look at the
    scores of a first run, which stand on the rows that stay too.
    """

    name: ClassVar[str] = "semantic"
    reason: ClassVar[str] = "semantic_duplicate"
    decides_by: ClassVar[tuple[str, ...]] = ("threshold", "url", "api_key_env")
    """The settings that signatures do not depend on."""
    threshold: float = Field(0.92, gt=0, le=1, description="cosine of a duplicate")
    url: str | None = Field(None, description="address of a server with /embeddings, as vLLM's /v1")
    model: str | None = Field(None, description="its model; left out where it has only one")
    api_key_env: str | None = Field(
        None, description="name of the environment variable that holds its API key"
    )
    local: str | None = Field(
        None, description="a model2vec model in place of a server: a folder, or a name on the Hub"
    )

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.url is None) == (self.local is None):
            raise ValueError("semantic wants exactly one of `url` and `local`")
        return self

    def sign(self, batch: Batch, folder: Path) -> None:
        """The vectors of the texts, of length 1; nothing of a text without one.

        What was embedded is not embedded again: the next time a server may answer other digits.
        """

        texts = [text[:MOST_CHARS] for text in batch.texts]
        parts = [texts, self.url, self.model, self.local]
        key, path = sha256(orjson.dumps(parts)).hexdigest().encode(), folder / "semantic.key"
        if path.is_file() and path.read_bytes() == key:
            return
        path.unlink(missing_ok=True)
        asked = [row for row, text in enumerate(texts) if text.strip()]
        vectors = self._embed([texts[row] for row in asked])
        norms = np.linalg.norm(vectors, axis=1) if vectors.size else np.zeros(len(asked))
        good = np.isfinite(norms) & (norms > 0)
        lengths = np.zeros(len(texts), np.int64)
        lengths[np.array(asked, np.int64)[good]] = vectors.shape[1] if vectors.size else 0
        unit = vectors[good] / norms[good, None] if vectors.size else vectors
        store(folder, "semantic-flat", np.ascontiguousarray(unit, np.float32).reshape(-1))
        store(folder, "semantic-offsets", np.concatenate(([0], np.cumsum(lengths))))
        write_bytes(path, key)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:

        if self.local is not None:
            return embed_locally(texts, self.local)
        assert self.url is not None
        return embed_served(texts, self.url, self.model, self.api_key_env)

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """Similarity is the cosine."""

        rows = corpus.ragged("semantic")
        compared = alive & (rows.lengths() > 0)
        return decide_by_cosine(rows, compared, self.threshold, max(self.threshold - FLOOR, 0.01))
