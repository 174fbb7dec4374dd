"""The `dedup` stage: of rows that say the same, the first in corpus order stays.

dedup: {exact: {}, minhash: {threshold: 0.8}, fuzzy: {ratio: 90, max_words: 60}}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_serializer, model_validator

from filters.dedup.exact import Exact
from filters.dedup.fuzzy import Fuzzy
from filters.dedup.minhash import MinHash
from filters.dedup.rouge import Rouge
from synth.engine.stage import CorpusStage, Outcome, Place
from synth.kind import Kind

if TYPE_CHECKING:
    import pyarrow as pa

Method = Exact | MinHash | Fuzzy | Rouge
METHODS = ("exact", "minhash", "fuzzy", "rouge")


class Dedup(CorpusStage):
    """Drops duplicates: a row leaves if an earlier row that stays is like it.

    Methods run in the order exact, minhash, fuzzy, rouge, each on what the one before left. The
    result depends on the order of the rows alone, not on shards or on who signed first.
    """

    name: ClassVar[str] = "dedup"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    exact: Exact | None = Field(None, description="equal but for case, white space, Unicode forms")
    minhash: MinHash | None = Field(None, description="most word 5-grams shared")
    fuzzy: Fuzzy | None = Field(None, description="short texts that differ by a few characters")
    rouge: Rouge | None = Field(None, description="short texts of nearly the same words in order")
    on: Literal["prompt", "text"] | None = Field(
        None,
        description="what is compared; left out: the prompt where there is no text yet, else the "
        "text. `prompt` behind `distill` keeps one of several samples of a prompt",
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_defaults(cls, value: object) -> object:
        if isinstance(value, Mapping):  # `exact:` with nothing behind it is null in YAML
            return {k: {} if k in METHODS and v is None else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _has_a_method(self) -> Self:
        if not self.methods:
            raise ValueError(f"dedup needs at least one method: {', '.join(METHODS)}")
        return self

    @model_serializer(mode="plain")
    def _dump_what_is_set(self) -> dict[str, Any]:
        methods = {method.name: method.model_dump() for method in self.methods}
        return methods if self.on is None else {**methods, "on": self.on}

    @property
    def methods(self) -> list[Method]:
        """Those that the recipe names, in the order they run."""
        given = (self.exact, self.minhash, self.fuzzy, self.rouge)
        return [method for method in given if method is not None]

    def makes(self, kind: Kind) -> Kind:
        """The same kind. ValueError where `on` names what these records do not have."""
        if (kind, self.on) in ((Kind.DOCUMENTS, "prompt"), (Kind.PROMPTS, "text")):
            raise ValueError(f"dedup on {self.on}: {kind} have no {self.on}; leave `on` out")
        return kind

    def sign(self, table: pa.Table, place: Place, folder: Path) -> None:
        """The ids of the shard and each method's signatures."""
        import numpy as np

        from filters.dedup.corpus import store
        from synth.batch import Batch

        batch = Batch(table, self.on or place.subject)
        store(folder, "ids", np.array(table["id"].to_pylist(), dtype=np.bytes_))
        for method in self.methods:
            method.sign(batch, folder)

    def decide(self, folders: list[Path]) -> None:
        """Which rows leave, over all shards; each shard's part goes to its folder."""
        import numpy as np

        from filters.dedup.corpus import Corpus
        from filters.dedup.decision import save_decisions

        corpus = Corpus(folders)
        alive = np.ones(len(corpus), bool)
        findings = []
        for method in self.methods:
            found = method.decide(corpus, alive)
            findings.append(found)
            alive &= ~found.dropped
        save_decisions(corpus, findings)

    def split(self, table: pa.Table, place: Place, folder: Path) -> Outcome:  # noqa: ARG002  the decision is all
        """The shard's rows that stay, and those that leave with the id of the row they are like."""
        from filters.dedup.decision import load_decision

        return load_decision(folder).outcome(table, self.methods)
