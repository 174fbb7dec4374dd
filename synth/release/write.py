"""The stage that writes `release/`, a Hugging Face dataset folder, at the end of a run.

    release/README.md  release/manifest.json  release/data/train-00000-of-00002.parquet  …

The folder is built under a temporary name and then replaces the earlier one by renaming.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from synth import __version__
from synth.engine.plan import RELEASE
from synth.engine.stage import Delivery, Release, Sink
from synth.errors import NoRowsError
from synth.generate.trail import evolved
from synth.kind import Kind
from synth.record import REJECT, rejects
from synth.release.card import card
from synth.release.formats import Format, export, fits, missing, schema
from synth.store.durable import sha256_file, write_bytes
from synth.store.manifest import CARD, NAME, Manifest, ShardFile, ShardReceipt, save
from synth.store.shards import read_shard, write_shard
from synth.verdict_counts import released

ID_CHARS = 32
"""Length of a record's id. The parents of input records are places in files, not ids."""
DEFAULT_FORMAT = {Kind.PROMPTS: "prompt", Kind.DOCUMENTS: "text", Kind.ANSWERS: "messages"}
FORMATS_OF = {
    Kind.PROMPTS: ("prompt",),
    Kind.DOCUMENTS: ("text",),
    Kind.ANSWERS: ("messages", "prompt_completion", "preference"),
}

SCORING = ("quality", "verify")


class Write(Sink):
    """Writes the remaining rows as a dataset folder for `datasets.load_dataset`."""

    name = "write"
    takes = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})

    format: Literal["prompt", "text", "messages", "prompt_completion", "preference"] | None = None
    """The columns. The default is `prompt` for prompts, `text` for documents and `messages` for
    answers."""
    shard_rows: Annotated[int, Field(ge=1)] = 10_000
    """Rows per Parquet file."""

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  the input does not matter
        """A release."""
        return Kind.RELEASE

    def leaves(self, run: Path) -> list[Path]:
        """The card and the release's manifest."""
        return [run / RELEASE / CARD, run / RELEASE / NAME]

    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """Puts the release folder in place and returns one receipt per data file.

        Raises `NoRowsError` if no row fits the format. The earlier release then stays unchanged.
        """
        format_ = Format(self.format or DEFAULT_FORMAT[delivery.kind])
        counts = [int(fits(read_shard(path), format_).true_count) for path in delivery.shards]
        if not any(counts):
            raise NoRowsError(
                f"no row fits the format `{format_}` ({missing(format_)}); "
                "choose another `format` under `write`"
            )
        files = -(-sum(counts) // self.shard_rows)
        aside = delivery.run / f".{RELEASE}.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        rows = _exported(delivery.shards, format_, self.shard_rows)
        receipts = []
        for number in range(files):
            name = f"data/train-{number:05d}-of-{files:05d}.parquet"
            kept = write_shard(aside, name, next(rows), schema(format_))
            misfits = _misfits(delivery.shards, format_) if number == 0 else iter(())
            path = f"rejected/{number:05d}.parquet"
            rejected = write_shard(delivery.folder, path, misfits, REJECT)
            receipts.append(
                ShardReceipt(
                    shard=number,
                    fingerprint=delivery.fingerprint,
                    rows_in=kept.rows + rejected.rows,
                    rows_made=0,
                    kept=kept.model_copy(update={"path": f"../{RELEASE}/{name}"}),
                    rejected=rejected,
                    reasons={missing(format_): rejected.rows} if rejected.rows else {},
                )
            )
        self._finish(delivery, aside, receipts, format_)
        return receipts

    def _finish(
        self,
        delivery: Delivery,
        aside: Path,
        receipts: list[ShardReceipt],
        format_: Format,
    ) -> None:
        """Writes the card and the manifest, then puts the folder in place."""
        teachers = [past.teacher for past in delivery.history if past.teacher]
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
                f"{past.index:02}-{past.stage}": past.settings
                for past in delivery.history
                if past.stage in SCORING
            },
        )
        history = [*delivery.history, manifest]
        evolved_rows = None
        if any(past.stage == "evolve" for past in delivery.history):
            evolved_rows = _evolved(delivery.shards, format_)
        text = card(
            delivery.name, delivery.recipe, history, format_, released(aside), evolved_rows
        ).encode()
        write_bytes(aside / CARD, text)
        readme = ShardFile(path=CARD, rows=0, bytes=len(text), sha256=sha256_file(aside / CARD))
        save(manifest.model_copy(update={"files": [*data, readme]}), aside / NAME)
        target, old = delivery.run / RELEASE, delivery.run / f".{RELEASE}.old"
        shutil.rmtree(old, ignore_errors=True)
        with _announced(delivery, format_):
            if target.exists():
                target.rename(old)
            aside.rename(target)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _announced(delivery: Delivery, format_: Format) -> Iterator[None]:
    """Lets the earlier corpus stages prepare for the release, which the block puts in place."""
    with contextlib.ExitStack() as stack:
        lineage = _lineage(delivery.shards, format_) if delivery.corpus else None
        for one in delivery.corpus:
            assert lineage is not None
            release = Release(
                delivery.run, delivery.fingerprint, one.place, one.kept, one.work, lineage
            )
            stack.enter_context(one.stage.releasing(release))
        yield


def _evolved(shards: list[Path], format_: Format) -> int:
    """The number of rows that fit the format and come from an evolved prompt."""
    tables = (read_shard(path) for path in shards)
    return sum(evolved(table.filter(fits(table, format_))["trail"]) for table in tables)


def _lineage(shards: list[Path], format_: Format) -> NDArray[np.bytes_]:
    """The ids of the rows that fit the format and of all their ancestors, sorted."""
    found = [np.zeros(0, "S32")]
    for path in shards:
        table = read_shard(path)
        table = table.filter(fits(table, format_))
        parents = pc.struct_field(pc.list_flatten(table["trail"]), "parent").to_pylist()
        ids = {one for one in [*table["id"].to_pylist(), *parents] if len(one) == ID_CHARS}
        found.append(np.array(sorted(ids), "S32"))
    return np.unique(np.concatenate(found))


def _exported(shards: list[Path], format_: Format, shard_rows: int) -> Iterator[Iterator[pa.Table]]:
    """One iterator of tables per data file. Each file has `shard_rows` rows; the last may be
    shorter.

    Use up each iterator before taking the next one, as with itertools.groupby.
    """

    def tables() -> Iterator[pa.Table]:
        for path in shards:
            table = read_shard(path)
            yield export(table.filter(fits(table, format_)), format_)

    source = tables()
    rest: list[pa.Table] = []

    def one_file(first: pa.Table) -> Iterator[pa.Table]:
        room, table = shard_rows, first
        while True:
            yield table.slice(0, room)
            if len(table) > room:
                rest.append(table.slice(room))
                return
            room -= len(table)
            following = next(source, None) if room else None
            if following is None:
                return
            table = following

    while (table := rest.pop() if rest else next(source, None)) is not None:
        if len(table):
            yield one_file(table)


def _misfits(shards: list[Path], format_: Format) -> Iterator[pa.Table]:
    """The rows that do not fit the format, as rejected rows."""
    for path in shards:
        table = read_shard(path)
        misfits = table.filter(pc.invert(fits(table, format_)))
        yield rejects(misfits, reason=[missing(format_)] * len(misfits), by=Write.name)
