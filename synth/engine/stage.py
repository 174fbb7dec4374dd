"""What a stage is. A stage is a pydantic model: its fields are the recipe's, its methods the work.

Four shapes, by how they meet the data: a source makes shards, a shard stage maps one shard to one,
a corpus stage looks at all shards before it decides on any, a sink takes the whole line's result.
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
    """What a stage made of a shard.

    `kept` has the schema `RECORD`, `rejected` has `REJECT`. Every input row's id is the id or the
    last parent of at least one row in them; the engine checks that before it writes.
    """

    kept: pa.Table
    rejected: pa.Table
    notes: tuple[str, ...] = ()
    """What happened in this shard that a user should know, one sentence each; in its receipt."""
    tried: int = 0
    """How many records the teacher was asked to write, where the stage counts them …"""
    survived: int = 0
    """… and how many of these were good enough to go on."""
    unjudged: int = 0
    """How many rows stayed that may be a benchmark's item and that no judge decided about."""
    verdicts: VerdictCounts | None = None
    """On all of the shard's rows, of a stage that verifies them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a stage works: what it may use besides the shard in its hands."""

    seed: int
    kind: Kind
    """What the incoming records are."""
    shard: int = 0
    teacher: Teacher | None = None
    """The journaled teacher of this shard; None for a stage that does not ask one."""
    done: Callable[[int], None] = lambda _rows: None
    """Called with a number of input rows that are finished, for the progress line."""

    @property
    def subject(self) -> Subject:
        """What a filter judges here: prompts until there is a text."""
        return "prompt" if self.kind is Kind.PROMPTS else "text"


class Stage(Model, ABC):
    """One line of a recipe."""

    name: ClassVar[str]
    takes: ClassVar[frozenset[Kind]]
    """The kinds of records it can follow."""
    asks_teacher: ClassVar[bool] = False
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ()
    """Fields that do not decide its output, such as absolute paths."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of records behind it, given the kind before it."""
        return kind

    def needs(self) -> frozenset[Need]:
        """What it wants of a teacher's server beyond plain chat completions: by default system
        turns, which all our prompts have."""
        return frozenset({Need.SYSTEM} if self.asks_teacher else ())

    def files(self) -> list[Path]:
        """The user's files that it reads: they must exist, and their content counts as input."""
        return []

    def preflight(self) -> None:
        """Raises a `SynthError` where the machine lacks what it needs, before anything is done."""

    def identity(self) -> object:
        """What besides its fields decides its output (prompt files, say); in the fingerprint."""
        return None

    def warnings(self, manifest: Manifest) -> list[str]:  # noqa: ARG002  most stages have none
        """What a user should know at once when the stage is finished, a line each."""
        return []

    def outside(self, run: Path) -> object:  # noqa: ARG002  a stage that looks at its input alone
        """What other runs left that decides its output in this one; in the fingerprint."""
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
    """Decides over all shards: first a signature per shard, then one decision, then the shards."""

    @abstractmethod
    def sign(self, table: pa.Table, place: Place, folder: Path) -> None:
        """What the decision needs to know of this shard, as files in `folder`."""

    @abstractmethod
    def decide(self, folders: list[Path], run: Path | None = None) -> None:
        """One decision over all shards, in order; leaves each shard's part in its folder.

        `run` is the run's folder, where there is one.
        """

    @abstractmethod
    def split(self, table: pa.Table, place: Place, folder: Path) -> Outcome:
        """The outcome of one shard by the decision in its folder."""

    def releasing(self, release: Release) -> AbstractContextManager[None]:  # noqa: ARG002  most release nothing
        """Held while the release of the run takes its place; what it raises stops the release."""
        return nullcontext()


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is about to take its place, as a corpus stage of its line sees it."""

    run: Path
    fingerprint: str
    """Of the release's manifest."""
    place: Place
    """What the stage was given."""
    kept: list[Path]
    """The shards that the stage kept."""
    work: Path
    """The stage's folder of work."""
    lineage: NDArray[np.bytes_]
    """The ids of the released rows and of all that they came from, sorted."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A corpus stage before a sink, and its shards: it may record what is released."""

    stage: CorpusStage
    place: Place
    kept: list[Path]
    work: Path


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sink is given."""

    run: Path
    folder: Path
    """The sink's own stage folder."""
    shards: list[Path]
    """The shards that come in, in order."""
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
    """Takes the result of the line out of it."""

    def leaves(self, run: Path) -> list[Path]:  # noqa: ARG002  a sink that leaves nothing else
        """What it makes besides shards; it counts as finished only while these are there."""
        return []

    @abstractmethod
    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """The result is where it belongs; one receipt per shard that came to be."""
