"""Finds the files of an input path, their formats, and their names in a record's trail.

A name does not depend on the machine: `prompts.jsonl` for a file, `en/a.md` for a file in a given
folder. If two inputs share a name, parent folders are added until the names differ.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seeds.formats import EXTENSIONS, READERS
from seeds.reader import Reader
from synth.errors import InputError, did_you_mean

COMPRESSED = (".gz", ".zst")  # allowed after extensions whose reader supports it
ABOUT_THE_DATA = re.compile(r"(?i)^(readme|licen[cs]e|notice|changelog|citation)\b")
SPLIT_SHARD = re.compile(r"^(?P<split>.+)-\d{5}-of-\d{5}$")
SPLIT_NAMES = frozenset({"train", "validation", "valid", "val", "dev", "test", "eval"})


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read."""

    path: Path
    label: str
    """Name of the file in a record's source: `label#row`."""
    format: str
    given: bool
    """Whether the user named the file itself; such a file must not be empty."""

    @property
    def reader(self) -> Reader:
        """The reader of its format."""
        return READERS[self.format]


class SettingError(InputError):
    """An input error that a setting of `read` fixes. The message shows it in recipe syntax."""

    def __init__(self, problem: str, key: str, value: str, rest: str = "") -> None:
        super().__init__(f"{problem} `{key}: {value}`{rest}")
        self.problem, self.key, self.value, self.rest = problem, key, value, rest


def find_inputs(paths: Sequence[Path], *, forced: str | None, split: str | None) -> list[Input]:
    """Returns the files of `paths` in the order given; files of a folder are sorted.

    Raises `InputError` for a path that is missing, has an unknown format, or is given twice.
    """
    if split is not None and not any(path.is_dir() for path in paths):
        raise SettingError(
            "only a dataset folder has splits, and no folder is given: remove", "split", split
        )
    found: list[Input] = []
    for path in paths:
        if path.is_dir():
            for file in _files_below(path, forced, split):
                label = file.relative_to(path).as_posix()
                found.append(Input(file, label, forced or _format(file), given=False))
        elif path.is_file():
            found.append(Input(path, path.name, forced or _format(path), given=True))
        elif path.exists():
            raise InputError(f"{path} is not a regular file or folder: copy its content to a file")
        else:
            raise InputError(f"{path} does not exist: correct the path")
    for path, times in Counter(file.path for file in found).items():
        if times > 1:
            raise InputError(f"{path} would be read {times} times: list it only once")
    return _with_unique_labels(found)


def format_of(path: Path) -> str | None:
    """Returns the format by the file's extension, or None if unknown."""
    *_, suffix = ("", *path.suffixes)
    if suffix.lower() not in COMPRESSED:
        reader = EXTENSIONS.get(suffix.lower())
        return reader.format if reader else None
    *_, inner, _ = ("", *path.suffixes)
    reader = EXTENSIONS.get(inner.lower())
    return reader.format if reader and reader.compressed else None


def _format(path: Path) -> str:
    known = format_of(path)
    if known is not None:
        return known
    problem = (
        f"{path} has the unknown extension '{path.suffix}'; known: {', '.join(EXTENSIONS)}, "
        f"text formats also with {' or '.join(COMPRESSED)}"
    )
    if path.suffix == ".json" or path.suffixes[-2:-1] == [".json"]:
        raise SettingError(
            f"{problem}; if it has one object per line, write",
            "format",
            "jsonl",
            "; if it is one array, convert it with: jq -c '.[]' IN.json > OUT.jsonl",
        )
    raise SettingError(f"{problem}; or set its format with", "format", "NAME")


def _files_below(folder: Path, forced: str | None, split: str | None) -> list[Path]:
    splits = _list_in(folder / "dataset_dict.json", "splits")
    within = folder / _chosen_split(folder, splits, split) if splits else folder
    if saved := _saved_dataset(within):
        return saved
    hidden = re.compile(r"(^|/)\.")
    every = sorted(
        (file for file in folder.rglob("*") if file.is_file()),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
    files = [file for file in every if not hidden.search(file.relative_to(folder).as_posix())]
    if (folder / "data").is_dir():  # a release: its provenance is about the rows in `data/`
        files = [file for file in files if file.parent != folder / "provenance"]
    if forced is not None:
        files = [file for file in files if format_of(file) in (forced, None)]
        if forced != "text":
            files = [file for file in files if not ABOUT_THE_DATA.match(file.name)]
    else:
        files = _of_one_format(folder, files)
    if not files:
        seen = Counter(file.suffix or "no extension" for file in every).most_common(5)
        what = ", ".join(f"{count} x {suffix}" for suffix, count in seen) or "nothing"
        raise SettingError(
            f"{folder} has no file of a known format (it has {what}); "
            f"known: {', '.join(EXTENSIONS)}; or set the format with",
            "format",
            "NAME",
        )
    return _of_one_split(folder, files, split)


def _saved_dataset(folder: Path) -> list[Path]:
    """Returns the Arrow files of a `save_to_disk` folder in row order; none for other folders."""
    files = _list_in(folder / "state.json", "_data_files")
    names = [file.get("filename") for file in files if isinstance(file, dict)]
    return [folder / name for name in names if isinstance(name, str)]


def _list_in(path: Path, key: str) -> list[object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []  # an unrelated state.json
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, list) else []


def _of_one_format(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Returns files of a known format, without readmes. Raises if formats are mixed."""
    known = [(file, kind) for file in files if (kind := format_of(file)) is not None]
    if any(kind != "text" for _, kind in known):
        known = [(f, kind) for f, kind in known if not ABOUT_THE_DATA.match(f.name)]
    formats = Counter(kind for _, kind in known)
    if len(formats) > 1:  # a folder often has the same rows as jsonl and as parquet
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(formats.items()))
        one = min(formats)
        raise SettingError(f"{folder} mixes formats ({what}): choose one with", "format", one)
    return [file for file, _ in known]


def _of_one_split(folder: Path, files: list[Path], split: str | None) -> list[Path]:
    """Returns the files of one split. Files without a split name belong to every split."""
    splits = {file: _split_of(file.relative_to(folder)) for file in files}
    named = sorted({name for name in splits.values() if name})
    if not named and split is None:
        return files
    chosen = _chosen_split(folder, named, split)
    return [file for file in files if splits[file] in ("", chosen)]


def _split_of(file: Path) -> str:
    if format_of(file) == "text":
        return ""  # a page may be called test.md
    *folders, stem = (*file.parts[:-1], file.name.split(".")[0])
    shard = SPLIT_SHARD.match(stem)
    if shard:
        return shard["split"]
    return next((name for name in (stem, *folders) if name in SPLIT_NAMES), "")


def _chosen_split(folder: Path, splits: Sequence[object], wanted: str | None) -> str:
    names = [str(name) for name in splits]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    has = f"has the splits {', '.join(names)}" if names else "has no splits"
    if wanted is not None:
        meant = did_you_mean(wanted, names)
        raise SettingError(f"{folder} {has}{meant}; it does not have", "split", wanted)
    raise SettingError(f"{folder} {has}: choose one with", "split", names[0])


def _with_unique_labels(files: list[Input]) -> list[Input]:
    """Makes the files' labels unique by prepending parent folders where they collide."""
    parts = [len(Path(file.label).parts) for file in files]
    while True:
        labels = [
            file.label if n == len(Path(file.label).parts) else "/".join(file.path.parts[-n:])
            for file, n in zip(files, parts, strict=True)
        ]
        times = Counter(labels)
        if max(times.values(), default=0) <= 1:
            return [replace(f, label=label) for f, label in zip(files, labels, strict=True)]
        parts = [n + (times[label] > 1) for n, label in zip(parts, labels, strict=True)]
