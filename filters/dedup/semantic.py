"""`semantic`: texts that say the same in other words, by the cosine of their embeddings.

Source: SemDeDup, arXiv:2303.09540, which clusters by k-means and compares pairs within a cluster.
Ours compares a row with the rows of its three nearest clusters, so that fewer pairs are lost at the
borders. It keeps the first row instead of the one farthest from the centroid.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field, model_validator

from filters.dedup.corpus import Corpus, Findings, RaggedRows, store
from filters.dedup.embed import embed_locally, embed_served
from filters.dedup.short import settle
from synth.batch import Batch
from synth.model import Model
from synth.store.durable import write_bytes

MOST_CHARS = 8_000  # per text; embedding models read about 512 to 8,192 tokens
FLOOR = 0.1  # similarities down to this far below the threshold are still reported


class Semantic(Model):
    """Finds texts whose embeddings have a cosine of at least `threshold`.

    Set exactly one of `url` and `local`. A cosine's meaning depends on the model, so check the
    scores of a first run; kept rows have scores too.
    """

    name: ClassVar[str] = "semantic"
    compared_with: ClassVar[tuple[str | float, ...]] = ("threshold",)
    reason: ClassVar[str] = "semantic_duplicate"
    decides_by: ClassVar[tuple[str, ...]] = ("threshold", "url", "api_key_env")
    """The settings that do not affect signatures."""
    threshold: float = Field(0.92, gt=0, le=1, description="cosine of a duplicate")
    url: str | None = Field(
        None, description="address of a server with /embeddings, such as vLLM's /v1"
    )
    model: str | None = Field(None, description="its model; default: the first that it lists")
    api_key_env: str | None = Field(
        None, description="name of the environment variable that holds its API key"
    )
    local: str | None = Field(
        None, description="a model2vec model instead of a server: a folder or a name on the Hub"
    )

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.url is None) == (self.local is None):
            raise ValueError("semantic needs exactly one of `url` and `local`")
        return self

    def sign(self, batch: Batch, folder: Path) -> None:
        """Stores the texts' vectors, normalised to length 1; nothing for a text without one.

        Never embeds a text twice, since a server may return slightly different digits.
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
        """Decides by similarity, which is the cosine."""

        rows = corpus.ragged("semantic")
        compared = alive & (rows.lengths() > 0)
        return decide_by_cosine(rows, compared, self.threshold, max(self.threshold - FLOOR, 0.01))


CLUSTER_ROWS = 1_000  # on average; comparing all pairs in a cluster takes a millisecond per row
PROBES = 3
SAMPLE_ROWS = 50_000
ROUNDS = 10
CHUNK_ROWS = 4_096
MOST_PARTNERS = 64
"""Most matches per row and cluster, the earliest ones; among similar rows the first is enough."""


def decide_by_cosine(
    rows: RaggedRows, compared: NDArray[np.bool_], threshold: float, cutoff: float
) -> Findings:
    """Decides which of the `compared` rows leave: those with a cosine of at least `threshold` to an
    earlier row that stays and is in one of the nearest clusters."""
    findings = Findings.none(compared)
    where = np.flatnonzero(compared)
    if not len(where):
        return findings
    centroids = _centroids(rows, where)
    probes = np.concatenate([_nearest(_vectors(rows, part), centroids) for part in _chunks(where)])
    one, other, cosine = [], [], []
    for cluster in range(len(centroids)):
        home = where[probes[:, 0] == cluster]
        vectors = _vectors(rows, home)
        for asking in _chunks(where[(probes == cluster).any(axis=1)]):
            cosines = np.minimum(_vectors(rows, asking) @ vectors.T, 1.0)
            near = (cosines >= cutoff) & (home[None, :] < asking[:, None])
            near &= np.cumsum(near, axis=1) <= MOST_PARTNERS
            row, column = np.nonzero(near)
            one.append(asking[row])
            other.append(home[column])
            cosine.append(cosines[row, column].astype(np.float64))
    rows_, earlier, likeness = map(np.concatenate, (one, other, cosine))
    order = np.lexsort((earlier, rows_))
    settle(findings, rows_[order], earlier[order], likeness[order], threshold)
    return findings


def _centroids(rows: RaggedRows, where: NDArray[np.int64]) -> NDArray[np.float32]:
    """Spherical k-means (Lloyd) on at most `SAMPLE_ROWS` rows, spread evenly over the corpus."""
    count = max(1, len(where) // CLUSTER_ROWS)
    sample = where[np.linspace(0, len(where) - 1, min(len(where), SAMPLE_ROWS)).astype(np.int64)]
    vectors = _vectors(rows, sample)
    centroids = vectors[np.linspace(0, len(sample) - 1, count).astype(np.int64)].copy()
    for _ in range(ROUNDS if count > 1 else 0):
        home = np.concatenate(
            [_nearest(vectors[i : i + CHUNK_ROWS], centroids)[:, 0]
             for i in range(0, len(vectors), CHUNK_ROWS)]
        )  # fmt: skip
        sums = np.zeros_like(centroids)
        np.add.at(sums, home, vectors)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centroids)
    return centroids


def _nearest(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest clusters of each vector, the nearest first."""
    return np.argsort(-(vectors @ centroids.T), axis=1, kind="stable")[:, :PROBES]


def _vectors(rows: RaggedRows, which: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.array([rows.row(row) for row in which.tolist()], np.float32)


def _chunks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[first : first + CHUNK_ROWS] for first in range(0, len(rows), CHUNK_ROWS)]
