"""What a release holds, for its card and its `croissant.json`.

The facts of each data file are collected where it is written, and then added up. The random sample
is the rows with the smallest ids. Ids are hashes, so it is a fair sample, and the same rows always
have the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.batch import last_user_turn
from synth.engine.stage import Spread
from synth.generate.trail import evolved
from synth.release.formats import Format
from synth.store.manifest import DATA, PROVENANCE, ShardFile
from synth.store.shards import read_shard
from synth.text.language import language
from synth.tool_calls import with_calls
from synth.verdict_counts import VerdictCounts, tally

SAMPLED = 256
"""Rows whose language and diversity are measured."""
FEWEST_OF_A_LANGUAGE = 0.05
"""The share of sampled rows from which a language is named: below it, most are short rows that the
model misjudges."""
DEFAULT = "default"
"""The config of a release in one format."""
FACTS_FROM = ("meta", "trail", "scores")
"""The columns of the provenance that have the facts."""
LICENSE = '"licen[cs]e"'


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The files of one split of one config."""

    files: list[ShardFile]
    rows: int
    bytes: int
    """Uncompressed."""


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What the card says about rows: counts, and the rows with the smallest ids."""

    sample: pa.Table
    """Data rows with the smallest ids, at most `SAMPLED`, in order of their ids."""
    verdicts: VerdictCounts = field(default_factory=VerdictCounts)
    evolved: int = 0
    """Rows that come from an evolved prompt."""
    licenses: Counter[str] = field(default_factory=Counter)
    """Rows by the `license` that came with their seed; "" for none."""
    steps: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Rows by stage, operation and prompt file (its hash) of each of their steps."""
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Steps by the model and revision that replied."""

    @classmethod
    def of(cls, data: pa.Table, provenance: pa.Table) -> RowFacts:
        """The facts of the rows of a data file; `provenance` has at least `FACTS_FROM`."""
        steps, models = _steps(provenance["trail"])
        return cls(
            sample=_smallest(data),
            verdicts=tally(provenance["scores"].chunks),
            evolved=evolved(provenance["trail"]),
            licenses=Counter(
                {
                    one["values"]: one["counts"]
                    for one in licenses(provenance["meta"]).value_counts().to_pylist()
                }
            ),
            steps=steps,
            models=models,
        )

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The prompt and the answer or document of each sampled row; "" if it has none."""
        return [prompt_and_text(row) for row in self.sample.to_pylist()]

    def __add__(self, other: RowFacts) -> RowFacts:
        return RowFacts(
            sample=_smallest(pa.concat_tables([self.sample, other.sample])),
            verdicts=self.verdicts + other.verdicts,
            evolved=self.evolved + other.evolved,
            licenses=self.licenses + other.licenses,
            steps=self.steps + other.steps,
            models=self.models + other.models,
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What a release holds."""

    folders: dict[str, str]
    """By config. The first is the one that is loaded if none is named."""
    splits: dict[str, dict[str, SplitFiles]]
    """By config, then by split."""
    schemas: dict[str, pa.Schema]
    facts: RowFacts
    digest: str
    """A hash of all data files. Two releases with the same rows have the same."""
    languages: list[str] = field(default_factory=list)
    """The languages of the sampled rows, most frequent first."""

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


def config_folders(formats: Sequence[Format]) -> dict[str, str]:
    """The folder of each config of a release. The first format is in `data/`, and each further one
    in a folder of its own name."""
    main, *others = formats
    more = {str(one): str(one) for one in others}
    return {str(main) if more else DEFAULT: DATA, **more, PROVENANCE: PROVENANCE}


def contents(
    release: Path, formats: Sequence[Format], files: Sequence[ShardFile], facts: RowFacts
) -> Contents:
    """What the release in the folder holds, in these files. A further format without rows is no
    config."""
    folders = config_folders(formats)
    found_in = {
        name: _splits(release, [one for one in files if one.path.startswith(f"{folder}/")])
        for name, folder in folders.items()
    }
    splits = {name: parts for name, parts in found_in.items() if parts}
    digests = [
        file.sha256
        for name, parts in splits.items()
        if name != PROVENANCE
        for split in parts.values()
        for file in split.files
    ]
    return Contents(
        folders={name: folders[name] for name in splits},
        splits=splits,
        schemas={
            name: pq.read_schema(release / next(iter(parts.values())).files[0].path)
            for name, parts in splits.items()
        },
        facts=facts,
        digest=sha256("".join(digests).encode()).hexdigest(),
        languages=_languages(facts.texts),
    )


def _languages(texts: Iterable[tuple[str, str]]) -> list[str]:
    found = Counter(language(text or prompt) for prompt, text in texts)
    known = {code: count for code, count in found.items() if code is not None}
    fewest = FEWEST_OF_A_LANGUAGE * sum(known.values())
    return sorted((one for one in known if known[one] >= fewest), key=lambda o: (-known[o], o))


def _splits(release: Path, files: Sequence[ShardFile]) -> dict[str, SplitFiles]:
    by_name: dict[str, list[ShardFile]] = {}
    for file in sorted(files, key=lambda one: one.path):
        by_name.setdefault(PurePosixPath(file.path).name.partition("-")[0], []).append(file)
    found = {}
    for name in sorted(by_name, reverse=True):  # train before test
        footers = [pq.read_metadata(release / file.path) for file in by_name[name]]
        groups = [footer.row_group(at) for footer in footers for at in range(footer.num_row_groups)]
        rows = sum(footer.num_rows for footer in footers)
        found[name] = SplitFiles(by_name[name], rows, sum(one.total_byte_size for one in groups))
    return found


def _steps(
    trails: pa.ChunkedArray,
) -> tuple[Counter[tuple[str, str, str]], Counter[tuple[str, str]]]:
    """The steps by stage, operation and prompt file, and by model and revision."""
    steps = trails.combine_chunks().flatten()
    names = ("stage", "operation", "template", "model", "revision")
    of_steps = pa.table({name: steps.field(name) for name in names})
    made: Counter[tuple[str, str, str]] = Counter()
    models: Counter[tuple[str, str]] = Counter()
    for one in of_steps.group_by(list(names)).aggregate([([], "count_all")]).to_pylist():
        count = one["count_all"]
        made[one["stage"], one["operation"], one["template"]] += count
        if one["model"]:
            models[one["model"], one["revision"]] += count
    return made, models


def licenses(metas: pa.ChunkedArray) -> pa.Array:
    """The license that came with the seed of each row, in small letters; "" if there is none."""
    named = pc.match_substring_regex(metas, LICENSE).to_numpy().nonzero()[0]
    if not len(named):  # as most shards
        return pa.repeat("", len(metas))
    found = np.full(len(metas), "", object)
    for row, meta in zip(named.tolist(), metas.take(named).to_pylist(), strict=True):
        columns = orjson.loads(meta)
        value = columns.get("license", columns.get("licence"))
        found[row] = value.strip().lower() if isinstance(value, str) else ""
    return pa.array(found, pa.string())


def seed_texts(shards: Iterable[Path], spread: Spread = map) -> list[str]:
    """A random sample of the seeds: the prompts, or else the documents.

    Reads all ids first, with `spread` in any process, and then only the shards of the smallest.
    """
    ids, shard_of = pa.array([], pa.string()), np.zeros(0, np.int64)
    paths = [*shards]
    for number, more in enumerate(spread(_smallest_ids, paths)):
        both = pa.concat_arrays([ids, more])
        order = pc.bottom_k_unstable(both, SAMPLED)
        ids = both.take(order)
        shard_of = np.append(shard_of, np.full(len(more), number))[order.to_numpy()]
    found = []
    for number in np.unique(shard_of):
        table = read_shard(paths[number], ["id", "context", "text"])
        found.append(table.filter(pc.is_in(table["id"], ids)))
    if not found:
        return []
    sample = _smallest(pa.concat_tables(found))
    prompts: list[str] = last_user_turn(sample).to_pylist()
    return [one or text for one, text in zip(prompts, sample["text"].to_pylist(), strict=True)]


def _smallest_ids(shard: Path) -> pa.Array:
    return _smallest(read_shard(shard, ["id"]))["id"].combine_chunks()


def _smallest(table: pa.Table) -> pa.Table:
    """The rows with the smallest ids, in order of their ids."""
    return table.take(pc.bottom_k_unstable(table["id"], SAMPLED))


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
