"""The stage that writes `release/`, a Hugging Face dataset folder, at the end of a run.

    release/README.md  release/manifest.json  release/data/train-00000-of-00002.parquet  …
    release/croissant.json  release/provenance/train-00000-of-00002.parquet  …

The folder is built under a temporary name and then replaces the earlier one by renaming.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, reduce
from operator import add
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from synth import __version__
from synth.engine.plan import RELEASE
from synth.engine.stage import Delivery, Goal, Release, Sink
from synth.errors import NoRowsError
from synth.kind import Kind
from synth.record import REJECT, rejects
from synth.release.card import card, citation
from synth.release.choose import ChosenRows, Wanted, of_split
from synth.release.contents import RowFacts, contents, seed_texts
from synth.release.croissant import NAME as DESCRIPTION
from synth.release.croissant import croissant
from synth.release.formats import Format, Reasoning, Shape, unfit
from synth.release.mark import packed, writers
from synth.release.quotas import Quotas
from synth.release.splits import ID_CHARS
from synth.store.durable import is_aside, sha256_file, write_bytes
from synth.store.increments import earlier_runs, load_mark
from synth.store.manifest import (
    CARD,
    DATA,
    NAME,
    PROVENANCE,
    Manifest,
    ShardFile,
    ShardReceipt,
    save,
)
from synth.store.shards import read_shard, row_groups, write_shard

FormatName = Literal["prompt", "text", "messages", "prompt_completion", "preference", "unpaired"]


def _one_or_many(value: object) -> object:
    """Makes a list of one format."""
    return [value] if isinstance(value, str) else value


def _each_once(names: tuple[FormatName, ...]) -> tuple[FormatName, ...]:
    if twice := [one for one in names if names.count(one) > 1]:
        raise ValueError(f"`{twice[0]}` is there twice: each format is a config")
    return names


Formats = Annotated[
    tuple[FormatName, ...],
    BeforeValidator(_one_or_many),
    AfterValidator(_each_once),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(get_args(FormatName))},
                {"type": "array", "items": {"enum": list(get_args(FormatName))}},
            ]
        }
    ),
]
DEFAULT_FORMAT = {Kind.PROMPTS: "prompt", Kind.DOCUMENTS: "text", Kind.ANSWERS: "messages"}
FORMATS_OF = {
    Kind.PROMPTS: ("prompt",),
    Kind.DOCUMENTS: ("text",),
    Kind.ANSWERS: ("messages", "prompt_completion", "preference", "unpaired"),
}
SCORING = ("quality", "verify")


def all_formats(names: Sequence[str], kind: Kind) -> list[Format]:
    """The formats of a release, by the setting `format` of `write`. The first one decides which
    rows are released."""
    return [Format(one) for one in names or [DEFAULT_FORMAT[kind]]]


class _File(NamedTuple):
    """A data file to be written, with what lies beside it."""

    folder: Path
    name: str
    rows: list[tuple[Path, NDArray[np.int32]]]
    """The numbers of its rows in each shard."""
    shape: Shape
    more: dict[Format, Shape]
    """The columns of further formats."""
    mark: dict[bytes, bytes]


class Write(Sink):
    """Writes the remaining rows as a dataset folder for `datasets.load_dataset`."""

    name = "write"
    takes = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})

    version: ClassVar[int] = 3

    format: Formats = ()
    """The columns. The default is `prompt` for prompts, `text` for documents and `messages` for
    answers. A list such as `[messages, preference]` makes a config of each format. The first one
    decides which rows are released; the others have those of them that fit."""
    reasoning: Reasoning = Reasoning.FIELD
    """Where the teacher's reasoning goes. `field`: the assistant's turn has `reasoning_content`.
    `thinking`: the turn has `thinking`, as gpt-oss reads it. `inline`: the answer begins with
    `<think>…</think>`. `drop`: only the provenance has it."""
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0
    """The share of input rows that go into the split `test`, with all rows made from them."""
    shard_rows: Annotated[int, Field(ge=1)] = 10_000
    """Rows per Parquet file. The rows of one file are held in memory."""
    target_rows: Annotated[int, Field(ge=1)] | None = None
    """The exact number of rows to release: the first accepted rows, in the order of the input. The
    run draws seeds in waves until it has these rows, or until the input or the `limit` of `read`
    ends. A wave consists of whole shards of `shard_rows` seeds (the recipe's setting)."""
    quotas: Quotas | None = None
    """The exact number of rows of each group, instead of `target_rows`. Example:
    `{by: meta.kind, rows: {sum: 100, word: 50}}`."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.target_rows is not None and self.quotas is not None:
            raise ValueError("give `target_rows` or `quotas`: quotas add up to the rows released")
        return self

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  the input does not matter
        """A release."""
        return Kind.RELEASE

    def leaves(self, run: Path) -> list[Path]:
        """All files of the release except the data, which are its shards."""
        release = run / RELEASE
        named = [release / name for name in (CARD, DESCRIPTION, NAME)]
        tables = sorted(release.glob("*/*.parquet"))
        return [*named, *(path for path in tables if path.parent.name != DATA)]

    def goals(self, shards: Sequence[Path], kind: Kind) -> list[Goal]:
        """The rows wanted of each group, and how many of them fit the format.

        Raises `InputError` if no row has a value for the `by` of the quotas.
        """
        return self._wanted(kind).goals(shards)

    def shape(self, table: pa.Table, kind: Kind) -> Shape:
        """The columns in which these rows would be released."""
        first, *_ = all_formats(self.format, kind)
        return Shape(first, self.reasoning).with_room_for(table)

    def _wanted(self, kind: Kind) -> Wanted:
        formats = all_formats(self.format, kind)
        return Wanted(formats, self.test_share, self.target_rows, self.quotas)

    def _reached(self, delivery: Delivery, taken: Counter[str | None], more: int) -> str:
        """Compares the released rows with the target in a sentence. Empty without a target."""
        wanted = self._wanted(delivery.kind).rows
        if not wanted:
            return ""
        read = delivery.history[0]
        seeds, limit = f"{read.rows_in:,} seeds", read.settings.get("limit")
        kept = f"; {more:,} more accepted rows are kept for a higher target" if more else ""
        short = ", ".join(
            str(Goal(name, rows, taken[name]))
            for name, rows in wanted.items()
            if taken[name] < rows
        )
        if not short:
            return f"released {taken.total():,} rows, as asked for, from {seeds}{kept}"
        ended = "`read: {limit}` allows no more" if limit == read.rows_in else "the input has ended"
        missed = f"released {short}, and all {seeds} are used: {ended}{kept}"
        delivery.say(f"WARNING: {missed}")
        return missed

    def _none_left(self, shards: list[Path], format_: Format, reasons: Counter[str]) -> str:
        if self.quotas is not None and reasons["no_quota"]:
            values = (one for path in shards for one in self.quotas.values(read_shard(path)))
            others = ", ".join(f"{one} {n}" for one, n in Counter(values).most_common(5))
            return (
                f"no row belongs to a group of `write: {{quotas: …}}`: by `{self.quotas.by}` the "
                f"rows are {others}"
            )
        return (
            f"no row fits the format `{format_}` ({', '.join(reasons)}); "
            "choose another `format` under `write`"
        )

    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """Puts the release folder in place and returns one receipt per data file.

        Raises `NoRowsError` if no row fits the format. The earlier release then stays unchanged.
        """
        wanted = self._wanted(delivery.kind)
        shapes = [_first_shape(delivery.run, wanted, one, self.reasoning) for one in wanted.formats]
        choice = wanted.choose(delivery.shards, shapes, delivery.seed, delivery.spread)
        left, shape = choice.left, choice.shape
        reasons = Counter(sorted(one for shard in left for one in shard.drop_null().to_pylist()))
        if not choice.rows.total():
            raise NoRowsError(self._none_left(delivery.shards, wanted.formats[0], reasons))
        notes = [self._reached(delivery, choice.taken, reasons["over_target"])]
        rows = choice.rows.total()
        notes += [_fitting(delivery, one, rows, choice.misfits[one]) for one in choice.more]
        mark = packed(delivery.history)
        aside = delivery.run / f".{RELEASE}.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        receipts: list[ShardReceipt] = []
        beside: list[ShardFile] = []
        facts: RowFacts | None = None
        files = [
            _File(aside, name, rows, shape, choice.more, mark)
            for name, rows in self._files(delivery, choice)
        ]
        for number, ((kept, *others), more) in enumerate(delivery.spread(_write_file, files)):
            beside += others
            facts = more if facts is None else facts + more
            out = _rejected(delivery.shards, left) if number == 0 else iter(())
            path = f"rejected/{number:05d}.parquet"
            rejected = write_shard(delivery.folder, path, out, REJECT)
            receipts.append(
                ShardReceipt(
                    shard=number,
                    fingerprint=delivery.fingerprint,
                    rows_in=kept.rows + rejected.rows,
                    rows_made=0,
                    kept=kept.model_copy(update={"path": f"../{RELEASE}/{kept.path}"}),
                    rejected=rejected,
                    reasons=reasons if number == 0 else {},
                    notes=tuple(filter(None, notes)) if number == 0 else (),
                )
            )
        assert facts is not None, "a release has rows, and so files"
        self._finish(delivery, aside, receipts, beside, choice, facts)
        return receipts

    def _files(
        self, delivery: Delivery, choice: ChosenRows
    ) -> Iterator[tuple[str, list[tuple[Path, NDArray[np.int32]]]]]:
        """The name and the rows of each data file, split by split."""
        for split, count in choice.rows.items():
            files = -(-count // self.shard_rows)
            rows = (
                (path, np.flatnonzero(of_split(split, left, tests)).astype(np.int32))
                for path, left, tests in zip(
                    delivery.shards, choice.left, choice.tests, strict=True
                )
            )
            for number, some in enumerate(_files_of(rows, self.shard_rows)):
                yield f"{split}-{number:05d}-of-{files:05d}.parquet", some

    def _finish(
        self,
        delivery: Delivery,
        aside: Path,
        receipts: list[ShardReceipt],
        beside: list[ShardFile],
        choice: ChosenRows,
        facts: RowFacts,
    ) -> None:
        """Writes the card and the manifest, then puts the folder in place."""
        teachers = writers(delivery.history)
        data = [
            receipt.kept.model_copy(
                update={"path": receipt.kept.path.removeprefix(f"../{RELEASE}/")}
            )
            for receipt in receipts
        ]
        manifest = Manifest(
            stage=self.name,
            index=len(delivery.history),
            fingerprint=delivery.fingerprint,
            settings=self.model_dump(mode="json"),
            kind=delivery.kind,
            code=__version__,
            seed=delivery.seed,
            recipe=delivery.name,
            teacher=teachers[-1] if teachers else None,
            shards=receipts,
            scored_by={
                past.label: past.settings for past in delivery.history if past.stage in SCORING
            },
        )
        history = [*delivery.history, manifest]
        found = contents(aside, choice.formats, [*data, *beside], facts)
        seeds = seed_texts(kept_shards(delivery.run, delivery.history[0]), delivery.spread)
        text = card(
            delivery.name, delivery.recipe, history, choice.shape.format, found, seeds
        ).encode()
        described = croissant(
            delivery.name, history, found, citation(delivery.name, history)
        ).encode()
        others = []
        for name, content in ((CARD, text), (DESCRIPTION, described)):
            write_bytes(aside / name, content)
            digest = sha256_file(aside / name)
            others.append(ShardFile(path=name, rows=0, bytes=len(content), sha256=digest))
        files = [*data, *beside, *others]
        save(manifest.model_copy(update={"files": files}), aside / NAME)
        for path in filter(is_aside, aside.rglob(".*")):  # of a process that died
            path.unlink()
        target, old = delivery.run / RELEASE, delivery.run / f".{RELEASE}.old"
        shutil.rmtree(old, ignore_errors=True)
        with _announced(delivery, choice.left):
            if target.exists():
                target.rename(old)
            aside.rename(target)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _announced(delivery: Delivery, left: list[pa.Array]) -> Iterator[None]:
    """Lets the earlier corpus stages prepare for the release, which the block puts in place."""
    with contextlib.ExitStack() as stack:
        ids = cache(lambda: lineage(_released(delivery.shards, left)))
        for one in delivery.corpus:
            release = Release(
                delivery.run, delivery.fingerprint, one.place, one.kept, one.work, ids
            )
            stack.enter_context(one.stage.releasing(release))
        yield


def _fitting(delivery: Delivery, format_: Format, rows: int, misfits: Counter[str]) -> str:
    """How many of the released rows a further format has.

    Raises `NoRowsError` if it has none, except in an increment: other increments may have some.
    """
    others = ", ".join(f"{reason} {count:,}" for reason, count in misfits.most_common())
    if misfits.total() == rows:
        none = f"no released row fits the format `{format_}` ({others})"
        if load_mark(delivery.run) is None:
            raise NoRowsError(f"{none}; leave it out of `format` under `write`")
        delivery.say(f"{none}, so this increment adds nothing to it")
        return none
    return f"`{format_}` has {rows - misfits.total():,} of the {rows:,} released rows" + (
        f"; the others do not fit: {others}" if others else ""
    )


def _write(
    release: Path, path: str, shape: Shape, tables: Iterable[pa.Table], mark: dict[bytes, bytes]
) -> ShardFile:
    """Writes a data file in the columns of the shape, marked as synthetic."""
    schema = shape.schema.with_metadata({**shape.schema.metadata, **mark})
    return write_shard(release, path, tables, schema, released=True)


def _released(shards: list[Path], left: list[pa.Array]) -> Iterator[pa.Table]:
    """The ids and parents of the rows of each shard that have no reason in `left`."""
    for path, reasons in zip(shards, left, strict=True):
        table = read_shard(path, ["id", "trail.list.element.parent"])
        yield table.filter(reasons.is_null())


def _rejected(shards: list[Path], left: list[pa.Array]) -> Iterator[pa.Table]:
    """The rows of each shard that have a reason in `left`."""
    for path, reasons in zip(shards, left, strict=True):
        if reasons.null_count == len(reasons):
            continue
        table = read_shard(path).filter(reasons.is_valid())
        yield rejects(table, reason=reasons.drop_null().to_pylist(), by=Write.name)


def _first_shape(run: Path, wanted: Wanted, format_: Format, reasoning: Reasoning) -> Shape:
    """The shape of a format, with room for the columns in which earlier increments, if any,
    released it."""
    shape, folder = Shape(format_, reasoning), DATA if format_ is wanted.formats[0] else format_
    for earlier in earlier_runs(run):
        for path in sorted((earlier / RELEASE / folder).glob("*.parquet"))[:1]:
            shape = shape.with_room_of(pq.read_schema(path))
    return shape


def kept_shards(run: Path, stage: Manifest) -> list[Path]:
    """The shards that a stage kept."""
    return [run / stage.label / shard.kept.path for shard in stage.shards]


def lineage(released: Iterable[pa.Table]) -> NDArray[np.bytes_]:
    """The ids of the released rows and of all their ancestors, sorted."""
    found = [np.zeros(0, "S32")]
    for table in released:
        parents = pc.struct_field(pc.list_flatten(table["trail"]), "parent").to_pylist()
        ids = {one for one in [*table["id"].to_pylist(), *parents] if len(one) == ID_CHARS}
        found.append(np.array(sorted(ids), "S32"))
    return np.unique(np.concatenate(found))


def _write_file(file: _File) -> tuple[list[ShardFile], RowFacts]:
    """Writes a data file, its provenance and its further formats, in any process."""
    shape = file.shape
    tables = [*row_groups(_rows(path, rows) for path, rows in file.rows)]
    data = [shape.data(table) for table in tables]
    beside = [shape.provenance(table) for table in tables]
    made = [
        _write(file.folder, f"{DATA}/{file.name}", shape, data, file.mark),
        write_shard(
            file.folder,
            f"{PROVENANCE}/{file.name}",
            beside,
            shape.provenance_schema,
            released=True,
        ),
    ]
    for one, own in file.more.items():
        fitting = [table.filter(unfit(table, one).is_null()) for table in tables]
        if any(map(len, fitting)):
            path, further = f"{one}/{file.name}", map(own.data, fitting)
            made.append(_write(file.folder, path, own, further, file.mark))
    return made, reduce(add, map(RowFacts.of, data, beside))


def _rows(path: Path, rows: NDArray[np.int32]) -> pa.Table:
    """These rows of a shard, in order."""
    table, first = read_shard(path), int(rows[0])
    if rows[-1] - first + 1 == len(rows):  # no row between them is left out: nothing is copied
        return table.slice(first, len(rows))
    return table.take(pa.array(rows))


def _files_of(
    source: Iterable[tuple[Path, NDArray[np.int32]]], shard_rows: int
) -> Iterator[list[tuple[Path, NDArray[np.int32]]]]:
    """The rows of each data file. Each has `shard_rows` rows; the last may have fewer."""
    file: list[tuple[Path, NDArray[np.int32]]] = []
    room = shard_rows
    for path, rows in source:
        while len(rows):
            file.append((path, rows[:room]))
            rows, room = rows[room:], room - len(rows[:room])
            if not room:
                yield file
                file, room = [], shard_rows
    if file:
        yield file
