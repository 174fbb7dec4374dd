"""Reads what a release holds, for its card and its `croissant.json`: one pass over the provenance.

The random sample is the rows with the smallest ids. Ids are hashes, so it is a fair sample, and the
same rows always have the same one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.batch import last_user_turn
from synth.generate.trail import evolved
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
CONFIGS = {"default": DATA, "provenance": PROVENANCE}
"""The folder of each config."""
LICENSE = re.compile('"licen[cs]e"')


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

    splits: dict[str, dict[str, SplitFiles]]
    """By config, then by split."""
    schemas: dict[str, pa.Schema]
    verdicts: VerdictCounts
    sample: list[dict[str, Any]]
    """Data rows with the smallest ids, at most `SAMPLED`."""
    digest: str
    """A hash of all data files. Two releases with the same rows have the same."""
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
        return sum(split.rows for split in self.splits["default"].values())

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The prompt and the answer or document of each sampled row; "" if it has none."""
        return [prompt_and_text(row) for row in self.sample]

    @property
    def languages(self) -> list[str]:
        """The languages of the sampled rows, most frequent first."""
        found = Counter(language(text or prompt) for prompt, text in self.texts)
        known = {code: count for code, count in found.items() if code is not None}
        fewest = FEWEST_OF_A_LANGUAGE * sum(known.values())
        return sorted((one for one in known if known[one] >= fewest), key=lambda o: (-known[o], o))


def contents(release: Path) -> Contents:
    """What the release in the folder holds."""
    splits = {name: _splits(release / folder) for name, folder in CONFIGS.items()}
    data = [path for split in splits["default"].values() for path in split.files]
    found = Contents(
        splits=splits,
        schemas={
            name: pq.read_schema(next(iter(parts.values())).files[0])
            for name, parts in splits.items()
        },
        verdicts=released(release),
        sample=_smallest(map(read_shard, data)).to_pylist(),
        digest=sha256("".join(map(sha256_file, data)).encode()).hexdigest(),
    )
    for split in splits["provenance"].values():
        for table in _batches(split.files, ["meta", "trail"]):
            _add(found, table)
    return found


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
    metas = table["meta"]
    licensed = metas.filter(pc.match_substring_regex(metas, LICENSE.pattern)).to_pylist()
    for meta in licensed:
        found.licenses[license_of(meta)] += 1
    if more := len(table) - len(licensed):
        found.licenses[""] += more


def license_of(meta: str) -> str:
    """The license that came with the seed, in small letters; "" if there is none."""
    if not LICENSE.search(meta):
        return ""
    columns = orjson.loads(meta)
    value = columns.get("license", columns.get("licence"))
    return value.strip().lower() if isinstance(value, str) else ""


def seed_texts(shards: Iterable[Path]) -> list[str]:
    """A random sample of the seeds: the prompts, or else the documents."""
    sample = _smallest(map(read_shard, shards))
    if not len(sample):
        return []
    prompts: list[str] = last_user_turn(sample).to_pylist()
    return [one or text for one, text in zip(prompts, sample["text"].to_pylist(), strict=True)]


def _smallest(tables: Iterable[pa.Table]) -> pa.Table:
    """The rows with the smallest ids, in order of their ids."""
    kept: pa.Table | None = None
    for table in tables:
        both = table if kept is None else pa.concat_tables([kept, table])
        order = pc.sort_indices(both["id"])[:SAMPLED]
        kept = both.take(order)
    assert kept is not None, "a release has rows"
    return kept


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
