"""NovelSum follows the paper's formula, and dedup measures it where it has embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from filters.dedup.novelty import BETA, NEIGHBOURS, novelsum
from filters.dedup.semantic import Semantic
from filters.dedup.stage import Dedup
from synth.engine.stage import Place
from synth.kind import Kind
from synth.record import new_record, records_table
from synth.store.manifest import Novelty


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


RNG = np.random.default_rng(5)
SPREAD = unit(RNG.standard_normal((60, 8)))
CLOSE = unit(RNG.standard_normal((1, 8)) + 0.2 * RNG.standard_normal((60, 8)))


def by_hand(texts: np.ndarray) -> float:
    """The formula, text by text."""
    apart = 1 - texts.astype(float) @ texts.T.astype(float)
    others = [[j for j in range(len(texts)) if j != i] for i in range(len(texts))]
    density = [1 / np.mean(sorted(apart[j, others[j]])[:NEIGHBOURS]) for j in range(len(texts))]
    novelties = []
    for i, row in enumerate(others):
        ranked = sorted(row, key=lambda j: apart[i, j])
        parts = [density[j] ** BETA * apart[i, j] / rank for rank, j in enumerate(ranked, 1)]
        novelties.append(sum(parts) / sum(1 / rank for rank in range(1, len(texts))))
    return float(np.mean(novelties))


@pytest.mark.parametrize("texts", [SPREAD, CLOSE], ids=["spread", "close"])
def test_it_is_the_formula_of_the_paper(texts: np.ndarray) -> None:
    assert novelsum(texts, texts) == pytest.approx(by_hand(texts), rel=1e-4)


def test_texts_that_are_more_alike_or_repeated_score_lower() -> None:
    repeated = np.concatenate([SPREAD[:15]] * 4)
    both = np.concatenate([SPREAD, CLOSE])
    assert novelsum(CLOSE, both) < novelsum(SPREAD, both)
    assert novelsum(repeated, SPREAD) < 0.9 * novelsum(SPREAD, SPREAD)
    assert novelsum(np.concatenate([SPREAD[:1]] * 30), SPREAD) == pytest.approx(0, abs=1e-5)


def measured(folder, vectors: np.ndarray, monkeypatch, order=None, **settings) -> Novelty | None:
    """What the stage measures over documents with these vectors, in two shards."""
    meaning = {f"text {n}": vector for n, vector in enumerate(vectors)}
    names = [f"text {n}" for n in (order if order is not None else range(len(vectors)))]
    monkeypatch.setattr(Semantic, "_embed", lambda _self, t: np.array([meaning[one] for one in t]))
    table = records_table([new_record(text=name) for name in names])
    stage, place = Dedup.model_validate(settings), Place(0, Kind.DOCUMENTS)
    shards = [table.slice(0, 25), table.slice(25)]
    folders = [folder / str(n) for n in range(2)]
    for shard, work in zip(shards, folders, strict=True):
        work.mkdir(parents=True)
        stage.sign(shard, place, work)
    stage.decide(folders)
    found = [stage.split(s, place, w).novelty for s, w in zip(shards, folders, strict=True)]
    assert found[1] is None
    return found[0]


def test_dedup_measures_what_it_compared_and_what_it_kept(tmp_path, monkeypatch) -> None:
    vectors = np.concatenate([SPREAD[:30], SPREAD[:10] + 1e-3])
    settings = {"semantic": {"local": "none"}}
    found = measured(tmp_path / "a", vectors, monkeypatch, **settings)
    assert found is not None
    assert found.texts == 30
    assert found.kept > found.compared > 0
    order = RNG.permutation(40)
    again = measured(tmp_path / "b", vectors, monkeypatch, order, **settings)
    assert again is not None
    assert again.compared == pytest.approx(found.compared)


def test_nothing_is_measured_without_embeddings_or_on_few_rows(tmp_path, monkeypatch) -> None:
    assert measured(tmp_path / "a", SPREAD, monkeypatch, exact={}) is None
    few = measured(tmp_path / "b", SPREAD[:19], monkeypatch, semantic={"local": "none"})
    assert few is None
