"""Loads a benchmark's items from its file, or from the Hub once, with a local copy and its hash.

~/.cache/synth/benchmarks/gsm8k-3f1c….json     {"sha256": …, "revision": …, "items": [ … ]}
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from filters.contamination.benchmark import COLUMNS, Benchmark
from synth.errors import InfrastructureFault, InputError
from synth.store.durable import write_bytes


@dataclass(frozen=True, slots=True)
class Items:
    """The texts of a benchmark, one per item, in order. An empty text never matches."""

    name: str
    texts: Sequence[str]

    @property
    def digest(self) -> str:
        """The SHA-256 of the texts, which stands for the benchmark in fingerprints."""
        return _digest(self.texts)


def load(benchmark: Benchmark) -> Items:
    """Loads the items. Raises `InputError` if there are none, `InfrastructureFault` for the Hub."""
    texts = _from_file(benchmark) if benchmark.file is not None else _from_hub(benchmark)
    if not any(text.strip() for text in texts):
        raise InputError(
            f"benchmark {benchmark.name} ({benchmark.file or benchmark.hub}) has no items: correct "
            "its file, split or columns"
        )
    return Items(benchmark.name, texts)


def _from_file(benchmark: Benchmark) -> list[str]:
    path = benchmark.file
    assert path is not None
    try:
        rows = _rows(path)
    except (OSError, ValueError) as error:
        raise InputError(f"benchmark {benchmark.name}: {path} cannot be read: {error}") from error
    return _texts(rows, benchmark)


def _rows(path: Path) -> list[Any]:
    """The file's rows. Raises OSError or ValueError."""
    match path.suffix:
        case ".parquet":
            rows: list[Any] = pq.read_table(path).to_pylist()
            return rows
        case ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
        case ".json":
            loaded = orjson.loads(path.read_bytes())
            return loaded if isinstance(loaded, list) else [loaded]
        case ".jsonl":
            return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    return [{"text": line} for line in path.read_text(encoding="utf-8").splitlines()]


def _texts(rows: Iterable[Any], benchmark: Benchmark) -> list[str]:
    """Each row's columns, joined. Raises `InputError` if no row has them."""
    rows = [row if isinstance(row, Mapping) else {"text": row} for row in rows]
    present = dict.fromkeys(key for row in rows for key in row)
    columns = benchmark.columns or tuple(name for name in COLUMNS if name in present)[:1]
    missing = [name for name in columns if name not in present]
    if rows and (missing or not columns):
        raise InputError(
            f"benchmark {benchmark.name} has no column {missing[0] if missing else 'of items'!r}; "
            f"it has {', '.join(map(str, present))}: name them with `columns: [...]`"
        )
    return ["\n".join(filter(None, (_text(row.get(name)) for name in columns))) for row in rows]


def _text(value: object) -> str:
    """A string as it is, the strings of a list joined, and "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n".join(filter(None, map(_text, value)))
    return ""


def _from_hub(benchmark: Benchmark) -> list[str]:
    place = [benchmark.hub, *benchmark.configs, benchmark.split, *benchmark.columns]
    key = sha256(orjson.dumps(place)).hexdigest()[:16]
    path = cache_folder() / f"{benchmark.name}-{key}.json"
    kept = _kept(path)
    if kept is None:
        rows, revision = _fetch(benchmark)
        kept = _texts(rows, benchmark)
        content = {"sha256": _digest(kept), "from": place, "revision": revision, "items": kept}
        write_bytes(path, orjson.dumps(content))
    return kept


def cache_folder() -> Path:
    """The folder for fetched benchmarks: $SYNTH_CACHE, else ~/.cache/synth."""
    given = os.environ.get("SYNTH_CACHE")
    return (Path(given) if given else Path.home() / ".cache" / "synth") / "benchmarks"


def _kept(path: Path) -> list[str] | None:
    """The items in the local copy; None if it is missing or does not match its hash."""
    try:
        content = orjson.loads(path.read_bytes())
        items: list[str] = content["items"]
        return items if content["sha256"] == _digest(items) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fetch(benchmark: Benchmark) -> tuple[list[Any], str]:
    """The rows of all configurations at the current revision, and that revision."""
    from datasets import load_dataset  # noqa: PLC0415  takes a second

    hub = benchmark.hub
    assert hub is not None
    try:
        revision = HfApi().dataset_info(hub).sha or "main"
        rows = [
            row
            for config in benchmark.configs
            for row in load_dataset(hub, config, split=benchmark.split, revision=revision)
        ]
    except (HfHubHTTPError, OSError, ValueError) as error:  # ValueError: no such config or split
        raise InfrastructureFault(
            f"benchmark {benchmark.name}: cannot fetch {hub} (split {benchmark.split}) from the "
            f"Hub: {error}. If the Hub is unreachable, use a copy: `file: {benchmark.name}"
            ".jsonl`"
        ) from error
    return rows, revision


def _digest(texts: Sequence[str]) -> str:
    return sha256(orjson.dumps(list(texts))).hexdigest()
