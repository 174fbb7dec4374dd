"""What a stage is: a pydantic model whose fields are the recipe's settings.

There are four kinds. A source makes shards. A shard stage maps one shard to one. A corpus stage
looks at all shards before it decides on any. A sink writes or publishes the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.batch import Subject
from synth.kind import Kind
from synth.model import Model
from synth.store.manifest import Manifest, ShardReceipt
from synth.teacher.protocol import Need, Teacher
from synth.verdict_counts import VerdictCounts


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made of a shard: `kept` has the schema `RECORD`, `rejected` has `REJECT`.

    The id of each input row is the id, or the parent in the last step, of at least one row in
    them. The runner checks that before it writes.
    """

    kept: pa.Table
    rejected: pa.Table
    notes: tuple[str, ...] = ()
    """What a user should know about this shard, one sentence each. The receipt stores them."""
    tried: int = 0
    """Records that the teacher was asked to write, if the stage counts them."""
    survived: int = 0
    """How many of these were kept."""
    unjudged: int = 0
    """Rows that were kept although they may be a benchmark's item, since no judge decided."""
    verdicts: VerdictCounts | None = None
    """Of a stage that verifies: the verdicts on all rows of the shard."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a stage works, and what it may use besides its shard."""

    seed: int
    kind: Kind
    """What the input records are."""
    shard: int = 0
    teacher: Teacher | None = None
    """The journaled teacher of this shard. None for a stage that does not ask one."""
    done: Callable[[int], None] = lambda _rows: None
    """Called with the number of input rows that were finished, for the progress line."""

    @property
    def subject(self) -> Subject:
        """What a filter judges here: the prompt until there is a text."""
        return "prompt" if self.kind is Kind.PROMPTS else "text"


class Stage(Model, ABC):
    """One line of a recipe."""

    name: ClassVar[str]
    takes: ClassVar[frozenset[Kind]]
    """The kinds of records it can follow."""
    asks_teacher: ClassVar[bool] = False
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ()
    """Fields that do not change its output, such as absolute paths."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of its output records, given the kind of its input records."""
        return kind

    def needs(self) -> frozenset[Need]:
        """What it needs of a teacher's server beyond plain chat completions. The default is system
        turns, which all our prompts have."""
        return frozenset({Need.SYSTEM} if self.asks_teacher else ())

    def files(self) -> list[Path]:
        """The user's files that it reads. They must exist, and their content counts as input."""
        return []

    def preflight(self) -> None:
        """Raises a `SynthError` if the machine lacks what it needs, before the run starts."""

    def identity(self) -> dict[str, object]:
        """What else decides its output, such as prompt files, each under a name for people. Part of
        the fingerprint."""
        return {}

    def warnings(self, manifest: Manifest) -> list[str]:  # noqa: ARG002  most stages have none
        """What a user should know when the stage has finished, one line each."""
        return []

    def outside(self, run: Path) -> object:  # noqa: ARG002  a stage that looks at its input alone
        """What other runs left on disk that decides its output. Part of the fingerprint."""
        return None


class InputPart(Protocol):
    """A part of an input. It is pickled, since a process of its own may read it."""

    def tables(self) -> Iterator[pa.Table]:
        """Its records in order, as `numbered_shards` takes them."""
        ...


class Source(Stage):
    """Makes the first shards."""

    takes = frozenset({Kind.NOTHING})

    def input_parts(self) -> Sequence[InputPart]:
        """The input in parts, in order, if reading them side by side is worth it."""
        return ()

    @abstractmethod
    def shards(self, rows: int) -> Iterator[Outcome]:
        """The input, at most `rows` records (kept and rejected together) at a time, in order."""


class ShardStage(Stage):
    """Maps one shard to one: a pure function of the shard and the teacher's replies."""

    @abstractmethod
    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The outcome of one shard, rows in the order of their parents."""


class CorpusStage(Stage):
    """Decides over all shards: it signs each shard, decides once, then splits each shard."""

    @abstractmethod
    def sign(self, table: pa.Table, place: Place, folder: Path) -> None:
        """Writes to `folder` what the decision needs to know of this shard."""

    @abstractmethod
    def decide(self, folders: list[Path], run: Path | None = None) -> None:
        """Decides over all shards, in order, and writes each shard's part to its folder.

        `run` is the run's folder, if there is one.
        """

    @abstractmethod
    def split(self, table: pa.Table, place: Place, folder: Path) -> Outcome:
        """The outcome of one shard by the decision in its folder."""

    def releasing(self, release: Release) -> AbstractContextManager[None]:  # noqa: ARG002  most release nothing
        """Entered while the release takes its place. An error that it raises stops the release."""
        return nullcontext()


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is about to take its place, as an earlier corpus stage sees it."""

    run: Path
    fingerprint: str
    """Of the release's manifest."""
    place: Place
    """Of the stage."""
    kept: list[Path]
    """The shards that the stage kept."""
    work: Path
    """The stage's work folder."""
    lineage: NDArray[np.bytes_]
    """The ids of the released rows and of all their ancestors, sorted."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A corpus stage before a sink, with its shards. It may record what is released."""

    stage: CorpusStage
    place: Place
    kept: list[Path]
    work: Path


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sink gets."""

    run: Path
    folder: Path
    """The sink's own stage folder."""
    shards: list[Path]
    """The input shards, in order."""
    history: list[Manifest]
    """The manifests of all stages before."""
    fingerprint: str
    name: str
    """The recipe's name."""
    recipe: Mapping[str, Any]
    """The recipe as written, for the card."""
    seed: int
    kind: Kind
    """What the incoming records are."""
    corpus: list[Upstream]
    """The corpus stages before, in order."""
    say: Callable[[str], None]


class Sink(Stage):
    """Writes or publishes the result of the recipe."""

    def leaves(self, run: Path) -> list[Path]:  # noqa: ARG002  a sink that leaves nothing else
        """What it makes besides shards. It counts as finished only while these files exist."""
        return []

    @abstractmethod
    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """Delivers the result. Returns one receipt per shard that it made."""
