"""The `dedup` stage keeps the first of similar rows, in corpus order.

dedup: {exact: {}, minhash: {threshold: 0.8}, fuzzy: {ratio: 90, max_words: 60}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_serializer, model_validator

from filters.dedup.best import PRIORITY, best_first, by_score, in_corpus_order, reordered
from filters.dedup.corpus import Corpus, Findings, store, stored
from filters.dedup.decision import Method, load_decision, save_decisions
from filters.dedup.earlier import earlier_segments
from filters.dedup.exact import Exact
from filters.dedup.fuzzy import Fuzzy
from filters.dedup.index import ReleaseIndex, shards_of
from filters.dedup.minhash import MinHash
from filters.dedup.novelty import measure
from filters.dedup.rouge import Rouge
from filters.dedup.semantic import Semantic
from synth.batch import Batch
from synth.engine.stage import CorpusStage, Outcome, Place, Release, Spread
from synth.errors import StoreFault
from synth.kind import Kind
from synth.model import Model
from synth.store.durable import write_bytes
from synth.store.increments import earlier_runs
from synth.store.manifest import Novelty
from synth.store.shards import read_shard

SEEN = "seen.json"
"""The file in the stage's work folder that lists the index segments it was compared with."""
NOVELTY = "novelty.json"
"""The file in the first shard's work folder that holds the diversity of all rows."""
METHODS = ("exact", "minhash", "fuzzy", "rouge", "semantic")


class Highest(Model):
    """The name of the score that decides which of several duplicates stays."""

    highest: str = Field(min_length=1, description="a filter, verifier or judge before this stage")


class Dedup(CorpusStage):
    """Rejects rows that are similar to an earlier row that stays. `keep` chooses which of several
    duplicates stays.

    Methods run in the order exact, minhash, fuzzy, rouge, semantic, each on the rows that the
    previous one kept. The result depends on the order of the rows and not on the shards.
    """

    name: ClassVar[str] = "dedup"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    exact: Exact | None = Field(
        None, description="texts that are equal except for case, white space and Unicode forms"
    )
    minhash: MinHash | None = Field(None, description="texts that share most of their word 5-grams")
    fuzzy: Fuzzy | None = Field(None, description="short texts that differ by a few characters")
    rouge: Rouge | None = Field(None, description="short texts with nearly the same words in order")
    semantic: Semantic | None = Field(None, description="texts that say the same in other words")
    on: Literal["prompt", "text"] | None = Field(
        None,
        description="the part to compare; default: the text, or the prompt if there is no text "
        "yet. `prompt` after `distill` keeps one of several samples of a prompt",
    )

    keep: Literal["first", "longest"] | Highest = Field(
        "first",
        description="which duplicate stays: the first, the longest, or the one with the highest "
        "score of an earlier filter or judge, such as `keep: {highest: judge}`",
    )
    index: Path | None = Field(
        None,
        description="a folder for the signatures of released rows, created at the first release; "
        "rejects rows similar to a row that another run released",
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_defaults(cls, value: object) -> object:
        if isinstance(value, Mapping):  # `exact:` without a value is null in YAML
            return {k: {} if k in METHODS and v is None else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _has_a_method(self) -> Self:
        if not self.methods:
            raise ValueError(f"dedup needs at least one method: {', '.join(METHODS)}")
        return self

    @model_serializer(mode="plain")
    def _dump_what_is_set(self) -> dict[str, Any]:
        given: dict[str, Any] = {method.name: method.model_dump() for method in self.methods}
        if self.on is not None:
            given["on"] = self.on
        if self.keep != "first":
            given["keep"] = self.keep if self.keep == "longest" else self.keep.model_dump()
        if self.index is not None:
            given["index"] = str(self.index)
        return given

    @property
    def methods(self) -> list[Method]:
        """The methods that the recipe names, in the order they run."""
        given = (self.exact, self.minhash, self.fuzzy, self.rouge, self.semantic)
        return [method for method in given if method is not None]

    def makes(self, kind: Kind) -> Kind:
        """The same kind. Raises `ValueError` if these records do not have the part `on` names."""
        if (kind, self.on) in ((Kind.DOCUMENTS, "prompt"), (Kind.PROMPTS, "text")):
            raise ValueError(f"dedup on {self.on}: {kind} have no {self.on}; leave `on` out")
        return kind

    @property
    def cpu_bound(self) -> bool:
        """False for `semantic`: it asks a server, or loads a model that uses all cores."""
        return self.semantic is None

    def sign(self, table: pa.Table, place: Place, folder: Path) -> None:
        """Stores the shard's ids and each method's signatures."""

        batch = Batch(table, self.on or place.subject)
        store(folder, "ids", np.array(table["id"].to_pylist(), dtype=np.bytes_))
        if self.keep == "longest":
            store(folder, PRIORITY, np.array([len(text) for text in batch.texts], np.float64))
        elif self.keep != "first":
            store(folder, PRIORITY, by_score(table, self.keep.highest))
        for method in self.methods:
            method.sign(batch, folder)

    def outside(self, run: Path) -> object:
        """The index segments of earlier runs, and the earlier increments, as part of the stage's
        inputs."""
        return [path.name for path in (*self._released(run), *earlier_runs(run))]

    def decide(self, folders: list[Path], run: Path | None = None, spread: Spread = map) -> None:
        """Decides which rows leave, over all shards, and saves each shard's part in its folder."""

        segments = self._released(run) if run is not None else []
        if run is not None and folders:
            released = shards_of([*segments, *self._earlier(run, folders[0].parents[1])])
        else:
            released = shards_of(segments)
        corpus = Corpus([*released, *folders], spread)
        earlier = int(corpus.starts[len(released)])
        if self.keep == "first" or not folders:
            findings = self._decide(corpus, earlier)
        else:
            order = best_first(corpus, len(released))
            with reordered(corpus, order, folders[0].parent / "ordered") as best:
                found = self._decide(best, earlier)
            findings = [in_corpus_order(one, order) for one in found]
        save_decisions(corpus, findings, len(released))
        if folders:
            (folders[0] / NOVELTY).unlink(missing_ok=True)
            left = np.logical_or.reduce([found.dropped for found in findings])
            if self.semantic and (novelty := measure(corpus, ~left, earlier)):
                write_bytes(folders[0] / NOVELTY, novelty.model_dump_json().encode())
        if folders and self.index is not None:
            seen = json.dumps([segment.name for segment in segments])
            (folders[0].parent / SEEN).write_text(seen, encoding="utf-8")

    def _decide(self, corpus: Corpus, earlier: int) -> list[Findings]:
        """Each method's findings on the rows left by the one before; the first `earlier` stay."""

        alive = np.ones(len(corpus), bool)
        findings = []
        for method in self.methods:
            found = decide_beside(method, corpus, alive, earlier)
            findings.append(found)
            alive &= ~found.dropped
        return findings

    def _released(self, run: Path) -> list[Path]:
        """The index segments of other runs."""

        if self.index is None:
            return []
        index = ReleaseIndex(self.index)
        index.check(self._signatures())
        return index.others(run)

    def _earlier(self, run: Path, folder: Path) -> list[Path]:
        """The signatures of earlier increments."""
        signing = self.model_copy(update={"keep": "first"})  # released rows stay, whatever `keep`

        def sign(table: pa.Table, kind: Kind, target: Path) -> None:
            signing.sign(table, Place(0, kind), target)

        return earlier_segments(run, folder, self._signatures(), sign)

    def _signatures(self) -> object:
        """The settings that must be equal for two runs' signatures to be comparable."""
        methods = {
            method.name: method.model_dump(exclude=set(method.decides_by))
            for method in self.methods
        }
        return {**methods, "on": self.on}

    @contextmanager
    def releasing(self, release: Release) -> Iterator[None]:
        """Adds the released rows, or the rows they came from, to the index if there is one."""

        if self.index is None:
            yield
            return

        try:
            seen: list[str] = json.loads((release.work / SEEN).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StoreFault(
                f"{release.work / SEEN} is missing, so it is unknown which rows of {self.index} "
                f"were compared: remove {release.work.parent} and run the same command again"
            ) from error

        def build(folder: Path, own: list[Path]) -> None:
            add_released(self, release, folder, own)

        index = ReleaseIndex(self.index)
        with index.adding(release.run, release.fingerprint, self._signatures(), seen, build):
            yield

    def outlasts(self, file: str) -> bool:
        """The embeddings, which a server may have computed, and what an `index` needs, stay."""
        return file == SEEN or (self.semantic is not None and file.startswith(self.semantic.name))

    def split(self, table: pa.Table, place: Place, folder: Path) -> Outcome:  # noqa: ARG002  already decided
        """The shard's kept rows, and its rejected rows with the id of the similar row."""

        outcome = load_decision(folder).outcome(table, self.methods)
        path = folder / NOVELTY
        novelty = Novelty.model_validate_json(path.read_bytes()) if path.is_file() else None
        return replace(outcome, novelty=novelty)


def decide_beside(
    method: Method, corpus: Corpus, alive: NDArray[np.bool_], earlier: int
) -> Findings:
    """The method's decision, which keeps the first `earlier` rows because they are released.

    If the method would drop some of those, the other rows are also compared with the remaining
    ones. This rarely repeats, since a release holds no duplicates.
    """
    found = method.decide(corpus, alive)
    again = released_left(found, earlier)
    while len(again):
        found.dropped[again] = False
        fewer = alive & ~found.dropped
        fewer[:earlier] = False
        fewer[again] = True
        more = method.decide(corpus, fewer)
        again = released_left(more, earlier)
        nearer = fewer & ((more.similarity > found.similarity) | more.dropped)
        nearer[:earlier] = False
        found.dropped[nearer] = more.dropped[nearer]
        found.similarity[nearer] = more.similarity[nearer]
        found.nearest[nearer] = more.nearest[nearer]
    return found


def released_left(found: Findings, earlier: int) -> NDArray[np.int64]:
    """The released rows that the method would drop."""

    return np.flatnonzero(found.dropped[:earlier])


def add_released(stage: Dedup, release: Release, folder: Path, own: list[Path]) -> None:
    """Stores the signatures of released rows, shard by shard, except those added before."""

    before = [stored(path, "ids") for path in shards_of(own)]
    known = np.unique(np.concatenate([np.zeros(0, "S32"), *before]))
    lineage = release.lineage()
    for number, path in enumerate(release.kept):
        table = read_shard(path)
        ids = np.array(table["id"].to_pylist(), "S32")
        chosen = np.isin(ids, lineage) & ~np.isin(ids, known)
        if chosen.any():
            target = folder / f"{number:05d}"
            target.mkdir()
            stage.sign(table.filter(pa.array(chosen)), release.place, target)
