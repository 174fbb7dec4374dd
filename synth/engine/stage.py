"""The base classes of stages: pydantic models whose fields are the recipe's settings.

There are four kinds. A source makes shards. A shard stage maps each shard to one shard. A corpus
stage reads all shards before it decides about any. A sink writes or publishes the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from synth.batch import Subject
from synth.kind import Kind
from synth.model import Model
from synth.store.manifest import Manifest, Novelty, ShardReceipt
from synth.teacher.protocol import Need, Teacher
from synth.verdict_counts import VerdictCounts

Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""As `map`, for a function of a module and plain values; other processes may do the work."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows that a stage made from a shard: `kept` has the schema `RECORD`, `rejected` has
    `REJECT`.

    Each input id must be the id, or the parent in the last step, of at least one of these rows.
    The runner checks that before it writes.
    """

    kept: pa.Table
    rejected: pa.Table
    notes: tuple[str, ...] = ()
    """Notes for the user about this shard, one sentence each. The receipt stores them."""
    tried: int = 0
    """Records that the teacher was asked to write, if the stage counts them."""
    survived: int = 0
    """How many of these were kept."""
    unjudged: int = 0
    """Kept rows that resemble an item of a benchmark, because no judge decided about them."""
    verdicts: VerdictCounts | None = None
    """The verdicts on all rows of the shard; None if the stage does not verify."""
    novelty: Novelty | None = None
    """The diversity of the rows of all shards, with the first shard of a stage that measures it."""


class OnJudged(Protocol):
    """Takes a text of the teacher and the reason to reject its row."""

    def __call__(self, text: str, reason: str | None, given: str = "", /) -> None:
        """Takes a text, or "" if the stage writes none; None as the reason if the row is kept; and
        the text that it was written from."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """The stage's place in a run, and the resources that it may use besides its shard."""

    seed: int
    kind: Kind
    """The kind of the input records."""
    shard: int = 0
    teacher: Teacher | None = None
    """The journaled teacher of this shard; None if the stage does not ask one."""
    work: Path | None = None
    """A folder for files that all shards of the stage share, until it is finished."""
    done: Callable[[int], None] = lambda _rows: None
    """Call it with the number of input rows just finished, for the progress line."""
    judged: OnJudged = lambda _text, _reason, _given="": None
    """Call it with each text that the teacher wrote, as soon as the reason to reject its row is
    known, for the guards. They may raise `GuardError`."""
    originals: Callable[[], pa.Table] | None = None
    """Reads the shard's rows as an earlier stage got them, for a corpus stage with
    `originals_before`."""

    @property
    def subject(self) -> Subject:
        """The text that filters judge here: "prompt" for prompts, else "text"."""
        return "prompt" if self.kind is Kind.PROMPTS else "text"


class Stage(Model, ABC):
    """One stage of a recipe."""

    name: ClassVar[str]
    takes: ClassVar[frozenset[Kind]]
    """The kinds of records that it can read."""
    asks_teacher: ClassVar[bool] = False

    @property
    def cpu_bound(self) -> bool:
        """Whether each of its shards keeps one core busy, so that worker processes may do them."""
        return not self.asks_teacher

    not_in_fingerprint: ClassVar[tuple[str, ...]] = ()
    """Fields that do not affect its output, such as absolute paths."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of its output records, given the kind of its input records."""
        return kind

    def needs(self) -> frozenset[Need]:
        """The abilities it needs of a teacher's server beyond plain chat completions. The default
        is system turns, which all our prompts have."""
        return frozenset({Need.SYSTEM} if self.asks_teacher else ())

    def files(self) -> list[Path]:
        """The user's files that it reads. They must exist; their content is part of the input."""
        return []

    def preflight(self) -> None:
        """Raises a `SynthError` if the machine lacks something it needs. Called before the run."""

    def identity(self) -> dict[str, object]:
        """Other things that affect its output, such as prompt files, under readable names. Part of
        the fingerprint."""
        return {}

    def warnings(self, manifest: Manifest) -> list[str]:  # noqa: ARG002  most stages have none
        """Warnings for the user after the stage has finished, one line each."""
        return []

    def outside(self, run: Path) -> object:  # noqa: ARG002  most stages depend on their input only
        """The results of other runs that affect its output. Part of the fingerprint."""
        return None

    def outlasts(self, file: str) -> bool:  # noqa: ARG002  most work is temporary
        """Whether the finished stage keeps this file of its work folder."""
        return False

    def clear(self, work: Path) -> None:
        """Removes what the finished stage does not keep from its work folder."""
        for path in sorted(work.rglob("*"), reverse=True):  # a folder after what is in it
            if path.is_dir():
                with suppress(OSError):  # it still has files
                    path.rmdir()
            elif not self.outlasts(path.name):
                path.unlink()
        with suppress(OSError):
            work.rmdir()


class InputPart(Protocol):
    """A part of an input, which any process may parse."""

    @property
    def paths(self) -> Sequence[Path]:
        """Its files on this machine."""
        ...

    def tables(self) -> Iterator[pa.Table]:
        """Its records in order, in the form that `numbered_shards` expects."""
        ...


class Source(Stage):
    """Makes the first shards."""

    takes = frozenset({Kind.NOTHING})

    @property
    def most_rows(self) -> int | None:
        """The most rows that it reads; None for all."""
        return None

    def unlimited(self) -> Source:
        """The same source without `most_rows`."""
        return self

    def input_parts(self) -> Sequence[InputPart]:
        """The parts of the input, in order; empty if it is not worth reading them in parallel."""
        return ()

    def pinned(self) -> dict[str, str]:
        """The inputs that lie elsewhere, each with the version that is read."""
        return {}

    @abstractmethod
    def shards(self, rows: int) -> Iterator[Outcome]:
        """The input in order, in shards of at most `rows` records, kept and rejected together."""


class ShardStage(Stage):
    """Maps each shard to one shard. A pure function of the shard and the teacher's replies."""

    @property
    def learns(self) -> bool:
        """Whether what it asks for a row may depend on the shard's other rows."""
        return False

    @abstractmethod
    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The outcome of one shard, rows in the order of their parents."""


class AskingStage(ShardStage):
    """A shard stage that asks the teacher, or may ask it."""

    teacher: Annotated[str, Field(min_length=1)] | None = None
    """Which of the recipe's `teachers` it asks, by name; by default the recipe's `teacher`."""


class CorpusStage(Stage):
    """Decides with knowledge of all shards: signs each shard, decides once, splits each shard."""

    @property
    def originals_before(self) -> str | None:
        """The name of an earlier stage whose input it reads too; None for most."""
        return None

    @abstractmethod
    def sign(self, table: pa.Table, place: Place, folder: Path) -> None:
        """Writes the data that `decide` needs about this shard to `folder`."""

    @abstractmethod
    def decide(self, folders: list[Path], run: Path | None = None, spread: Spread = map) -> None:
        """Decides about all shards and writes each shard's part of the decision to its folder.

        `run` is the run's folder, if there is one. `spread` calls functions in any process.
        """

    @abstractmethod
    def split(self, table: pa.Table, place: Place, folder: Path) -> Outcome:
        """The outcome of one shard, according to the decision in its folder."""

    def releasing(self, release: Release) -> AbstractContextManager[None]:  # noqa: ARG002  most stages need nothing here
        """A context for the moment when the release folder is replaced. An error in it stops the
        release."""
        return nullcontext()


@dataclass(frozen=True, slots=True)
class Release:
    """A release about to be put in place, as an earlier corpus stage sees it."""

    run: Path
    fingerprint: str
    """The fingerprint of the release's manifest."""
    place: Place
    """The place of the corpus stage."""
    kept: list[Path]
    """The stage's shards of kept rows."""
    work: Path
    """The stage's work folder."""
    lineage: Callable[[], NDArray[np.bytes_]]
    """Reads the ids of the released rows and of all their ancestors, sorted."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A corpus stage before a sink, with its shards. It may record which rows are released."""

    stage: CorpusStage
    place: Place
    kept: list[Path]
    work: Path


@dataclass(frozen=True, slots=True)
class Delivery:
    """The input of a sink."""

    run: Path
    folder: Path
    """The sink's own stage folder."""
    shards: list[Path]
    """The input shards, in order."""
    history: list[Manifest]
    """The manifests of all earlier stages."""
    fingerprint: str
    name: str
    """The recipe's name."""
    recipe: Mapping[str, Any]
    """The recipe as the user wrote it, for the card."""
    seed: int
    kind: Kind
    """The kind of the incoming records."""
    corpus: list[Upstream]
    """The earlier corpus stages, in order."""
    say: Callable[[str], None]
    agreed: Callable[[str], bool] = lambda _question: False
    """Asks somebody to approve something. False if nobody can be asked."""
    spread: Spread = map


@dataclass(frozen=True, slots=True)
class Goal:
    """A number of rows that a sink wants, and how many of them were accepted so far."""

    name: str
    """The group of rows; "" for all rows."""
    wanted: int
    found: int = 0

    def __str__(self) -> str:
        found = f"{self.found:,} of {self.wanted:,}"
        return f"`{self.name}` {found}" if self.name else f"{found} rows"


class Sink(Stage):
    """Writes or publishes the result of the recipe."""

    def goals(self, shards: Sequence[Path], kind: Kind) -> list[Goal]:  # noqa: ARG002  most have none
        """The numbers of rows that it wants, and how many of them these shards of `kind` have.

        A sink without goals takes all rows.
        """
        return []

    def leaves(self, run: Path) -> list[Path]:  # noqa: ARG002  most sinks leave nothing else
        """The files it makes besides shards. It counts as finished only while they exist."""
        return []

    @abstractmethod
    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """Delivers the result and returns one receipt per shard that it made."""
