"""Reads what a release holds, for its card and its `croissant.json`: one pass over the provenance.

The random sample is the rows with the smallest ids. Ids are hashes, so it is a fair sample, and the
same rows always have the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.batch import last_user_turn
from synth.generate.trail import evolved
from synth.release.formats import Format
from synth.store.durable import sha256_file
from synth.store.manifest import DATA, PROVENANCE
from synth.store.shards import read_shard
from synth.text.language import language
from synth.tool_calls import with_calls
from synth.verdict_counts import VerdictCounts, released

SAMPLED = 256
"""Rows whose language and diversity are measured."""
FEWEST_OF_A_LANGUAGE = 0.05
"""The share of sampled rows from which a language is named: below it, most are short rows that the
model misjudges."""
DEFAULT = "default"
"""The config of a release in one format."""
LICENSE = '"licen[cs]e"'


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The files of one split of one config."""

    files: list[Path]
    rows: int
    bytes: int
    """Uncompressed."""


@dataclass(slots=True)
class Contents:
    """What a release holds."""

    folders: dict[str, str]
    """By config. The first is the one that is loaded if none is named."""
    splits: dict[str, dict[str, SplitFiles]]
    """By config, then by split."""
    schemas: dict[str, pa.Schema]
    verdicts: VerdictCounts
    sample: list[dict[str, Any]]
    """Data rows with the smallest ids, at most `SAMPLED`."""
    digest: str
    """A hash of all data files. Two releases with the same rows have the same."""
    languages: list[str] = field(default_factory=list)
    """The languages of the sampled rows, most frequent first."""
    evolved: int = 0
    licenses: Counter[str] = field(default_factory=Counter)
    """Rows by the `license` that came with their seed; "" for none."""
    steps: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Rows by stage, operation and prompt file (its hash) of each of their steps."""
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Steps by the model and revision that replied."""

    @property
    def rows(self) -> int:
        """The rows of all splits."""
        return self.rows_of(self.main)

    def rows_of(self, config: str) -> int:
        """The rows of all splits of a config."""
        return sum(split.rows for split in self.splits[config].values())

    @property
    def main(self) -> str:
        """The config that is loaded if none is named. It has all rows."""
        return next(iter(self.folders))

    @property
    def others(self) -> list[str]:
        """The configs of further formats."""
        return [name for name in self.folders if name not in (self.main, PROVENANCE)]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The prompt and the answer or document of each sampled row; "" if it has none."""
        return [prompt_and_text(row) for row in self.sample]


def config_folders(formats: Sequence[Format]) -> dict[str, str]:
    """The folder of each config of a release. The first format is in `data/`, and each further one
    in a folder of its own name."""
    main, *others = formats
    more = {str(one): str(one) for one in others}
    return {str(main) if more else DEFAULT: DATA, **more, PROVENANCE: PROVENANCE}


def contents(release: Path, formats: Sequence[Format]) -> Contents:
    """What the release in the folder holds. A further format without rows is no config."""
    folders = config_folders(formats)
    found_in = {name: _splits(release / folder) for name, folder in folders.items()}
    splits = {name: parts for name, parts in found_in.items() if parts}
    main, *more = [
        [path for split in splits[name].values() for path in split.files]
        for name in splits
        if name != PROVENANCE
    ]
    found = Contents(
        folders={name: folders[name] for name in splits},
        splits=splits,
        schemas={
            name: pq.read_schema(next(iter(parts.values())).files[0])
            for name, parts in splits.items()
        },
        verdicts=released(release),
        sample=_smallest(main).to_pylist(),
        digest=sha256("".join(map(sha256_file, chain(main, *more))).encode()).hexdigest(),
    )
    for split in splits["provenance"].values():
        for table in _batches(split.files, ["meta", "trail"]):
            _add(found, table)
    found.languages = _languages(found.texts)
    return found


def _languages(texts: Iterable[tuple[str, str]]) -> list[str]:
    found = Counter(language(text or prompt) for prompt, text in texts)
    known = {code: count for code, count in found.items() if code is not None}
    fewest = FEWEST_OF_A_LANGUAGE * sum(known.values())
    return sorted((one for one in known if known[one] >= fewest), key=lambda o: (-known[o], o))


def _splits(folder: Path) -> dict[str, SplitFiles]:
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")):
        paths.setdefault(path.name.partition("-")[0], []).append(path)
    found = {}
    for name in sorted(paths, reverse=True):  # train before test
        footers = [pq.read_metadata(path) for path in paths[name]]
        groups = [footer.row_group(at) for footer in footers for at in range(footer.num_row_groups)]
        rows = sum(footer.num_rows for footer in footers)
        found[name] = SplitFiles(paths[name], rows, sum(one.total_byte_size for one in groups))
    return found


def _batches(files: Iterable[Path], columns: list[str]) -> Iterator[pa.Table]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=columns):
                yield pa.Table.from_batches([batch])


def _add(found: Contents, table: pa.Table) -> None:
    found.evolved += evolved(table["trail"])
    steps = table["trail"].combine_chunks().flatten()
    names = ("stage", "operation", "template", "model", "revision")
    of_steps = pa.table({name: steps.field(name) for name in names})
    for one in of_steps.group_by(list(names)).aggregate([([], "count_all")]).to_pylist():
        count = one["count_all"]
        found.steps[one["stage"], one["operation"], one["template"]] += count
        if one["model"]:
            found.models[one["model"], one["revision"]] += count
    for one in licenses(table["meta"]).value_counts().to_pylist():
        found.licenses[one["values"]] += one["counts"]


def licenses(metas: pa.ChunkedArray) -> pa.Array:
    """The license that came with the seed of each row, in small letters; "" if there is none."""
    found = np.full(len(metas), "", object)
    named = pc.match_substring_regex(metas, LICENSE).to_numpy().nonzero()[0]
    for row, meta in zip(named.tolist(), metas.take(named).to_pylist(), strict=True):
        columns = orjson.loads(meta)
        value = columns.get("license", columns.get("licence"))
        found[row] = value.strip().lower() if isinstance(value, str) else ""
    return pa.array(found, pa.string())


def seed_texts(shards: Iterable[Path]) -> list[str]:
    """A random sample of the seeds: the prompts, or else the documents."""
    sample = _smallest([*shards])
    if not len(sample):
        return []
    prompts: list[str] = last_user_turn(sample).to_pylist()
    return [one or text for one, text in zip(prompts, sample["text"].to_pylist(), strict=True)]


def _smallest(files: Sequence[Path]) -> pa.Table:
    """The rows with the smallest ids, in order of their ids.

    Reads all ids first, and then only the files of these rows.
    """
    ids, file_of = pa.array([], pa.string()), np.zeros(0, np.int64)
    for number, path in enumerate(files):
        more = read_shard(path, ["id"])["id"].combine_chunks()
        both = pa.concat_arrays([ids, more])
        order = pc.sort_indices(both)[:SAMPLED]
        ids = both.take(order)
        file_of = np.append(file_of, np.full(len(more), number))[order.to_numpy()]
    found = []
    for number in np.unique(file_of):
        table = read_shard(files[number])
        found.append(table.filter(pc.is_in(table["id"], ids)))
    if not found:
        return pa.table({"id": ids})
    whole = pa.concat_tables(found)
    return whole.take(pc.sort_indices(whole["id"]))


def prompt_and_text(row: dict[str, Any]) -> tuple[str, str]:
    """The last question of a data row, and its answer or document; "" if it has none."""
    if "text" in row:
        return "", row["text"]
    turns = _turns(row.get("messages")) or _turns(row.get("prompt"))
    answers = _turns(row.get("completion")) or _turns(row.get("chosen"))
    if "messages" in row:
        turns, answers = turns[:-1], turns[-1:]
    asked = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
    return asked, with_calls(answers[0]["content"], answers[0].get("tool_calls")) if answers else ""


def _turns(value: Sequence[Any] | None) -> list[dict[str, Any]]:
    return [orjson.loads(one) if isinstance(one, str) else one for one in value or ()]
