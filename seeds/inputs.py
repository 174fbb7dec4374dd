"""Finds the files of an input, their formats, and their names in a record's trail.

An input is a path, a pattern, an address that fsspec can open, or a dataset on the Hub.

A name does not depend on the machine: `prompts.jsonl` for a file, `en/a.md` for a file in a given
folder. If two inputs share a name, parent folders are added until the names differ.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from seeds.formats import EXTENSIONS, READERS
from seeds.hub import HubDataset, HubSplit, find_split
from seeds.lines import COMPRESSED
from seeds.places import File, RemoteFile, list_remote, open_file
from seeds.reader import Reader
from synth.errors import InputError, did_you_mean
from synth.paths import is_pattern, is_remote, matching
from synth.store.manifest import DATA, PROVENANCE

ABOUT_THE_DATA = re.compile(r"(?i)^(readme|licen[cs]e|notice|changelog|citation)\b")
METADATA = re.compile(r"^(dataset_infos?|dataset_dict|state|manifest|croissant|config)\.json$")
"""JSON files of dataset folders that hold no rows."""
HIDDEN = re.compile(r"(^|/)\.")
SPLIT_SHARD = re.compile(r"^(?P<split>.+)-\d{5}-of-\d{5}$")
SPLIT_NAMES = frozenset({"train", "validation", "valid", "val", "dev", "test", "eval"})


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read."""

    path: File
    label: str
    """Name of the file in a record's source: `label#row`."""
    format: str
    given: bool
    """Whether the user named the file itself; such a file must not be empty."""
    hub: HubSplit | None = None
    """The split that is read instead of a file."""

    @property
    def reader(self) -> Reader:
        """The reader of its format."""
        return self.hub.reader if self.hub else READERS[self.format]

    @property
    def version(self) -> str:
        """What identifies the content of an input elsewhere; empty for a file of this machine."""
        if self.hub:
            return self.hub.commit
        return "" if isinstance(self.path, Path) else self.path.version


class SettingError(InputError):
    """An input error that a setting of `read` fixes. The message shows it in recipe syntax."""

    def __init__(self, problem: str, key: str, value: str, rest: str = "") -> None:
        super().__init__(f"{problem} `{key}: {value}`{rest}")
        self.problem, self.key, self.value, self.rest = problem, key, value, rest


Place = Path | str | HubDataset
"""A path, a pattern or an address, or a dataset on the Hub."""


def find_inputs(places: Sequence[Place], *, forced: str | None, split: str | None) -> list[Input]:
    """Returns the files of `places` in the order given; files of a folder are sorted.

    Raises `InputError` for a place that is missing, has an unknown format, or is given twice, and
    `StoreFault` if an address cannot be reached.
    """
    found: list[Input] = []
    has_splits = False
    for place in places:
        if isinstance(place, HubDataset):
            part = find_split(place, split)
            at = RemoteFile(f"hub://{part.label}@{part.commit}")
            found.append(Input(at, part.label, "hub", given=True, hub=part))
            has_splits = True
            continue
        is_folder, files = _files_at(place)
        has_splits = has_splits or is_folder
        if is_folder:
            files = _chosen(str(place), files, forced, split)
        found += [
            Input(file, label, forced or _format(file), given=not is_folder and len(files) == 1)
            for label, file in files.items()
        ]
    if split is not None and not has_splits:
        raise SettingError(
            "only a dataset folder has splits, and no folder is given: remove", "split", split
        )
    for path, times in Counter(file.path for file in found).items():
        if times > 1:
            raise InputError(f"{path} would be read {times} times: list it only once")
    return _with_unique_labels(found)


def _files_at(place: Path | str) -> tuple[bool, dict[str, File]]:
    """Whether the place is a folder, and its files by their paths in it, sorted."""
    if isinstance(place, str) and is_remote(place):
        listed = list_remote(place)
        assert listed is not None
        folder, files = listed
        if not files:
            raise InputError(f"{place} has no files: correct the address")
        return folder, dict(files)
    path = Path(place)
    if path.is_dir():
        inside = {file.relative_to(path).as_posix(): file for file in path.rglob("*")}
        return True, {name: inside[name] for name in sorted(inside) if inside[name].is_file()}
    if path.is_file():
        return False, {path.name: path}
    if path.exists():
        raise InputError(f"{path} is not a regular file or folder: copy its content to a file")
    if is_pattern(str(path)):
        if not (matches := matching(str(path))):
            raise InputError(f"no file matches {path}: correct the pattern")
        return False, dict(matches)
    raise InputError(f"{path} does not exist: correct the path")


def format_of(path: File) -> str | None:
    """Returns the format by the file's extension, or None if unknown."""
    *_, suffix = ("", *path.suffixes)
    if suffix.lower() not in COMPRESSED:
        reader = EXTENSIONS.get(suffix.lower())
        return reader.format if reader else None
    *_, inner, _ = ("", *path.suffixes)
    reader = EXTENSIONS.get(inner.lower())
    return reader.format if reader and reader.compressed else None


def _format(path: File) -> str:
    known = format_of(path)
    if known is not None:
        return known
    problem = (
        f"{path} has the unknown extension '{path.suffix}'; known: {', '.join(EXTENSIONS)}, "
        f"text formats also with {' or '.join(COMPRESSED)}"
    )
    raise SettingError(f"{problem}; or set its format with", "format", "NAME")


def _chosen(
    folder: str, every: dict[str, File], forced: str | None, split: str | None
) -> dict[str, File]:
    """Returns the files of a folder that hold rows: of one format, and of one split."""
    if splits := _list_in(every.get("dataset_dict.json"), "splits"):
        within = f"{_chosen_split(folder, splits, split)}/"
        every = {name: file for name, file in every.items() if name.startswith(within)}
    else:
        within = ""
    if saved := _saved_dataset(every, within):
        return saved
    files = {name: file for name, file in every.items() if not HIDDEN.search(name)}
    if {DATA, PROVENANCE} <= {name.partition("/")[0] for name in files}:
        # a release: the reader of Parquet joins the provenance; further formats repeat the rows
        files = {name: f for name, f in files.items() if name.startswith(f"{DATA}/")}
    if forced is not None:
        files = {name: file for name, file in files.items() if format_of(file) in (forced, None)}
        if forced != "text":
            files = {name: f for name, f in files.items() if not ABOUT_THE_DATA.match(f.name)}
    else:
        files = _of_one_format(folder, files)
    if not files:
        seen = Counter(file.suffix or "no extension" for file in every.values()).most_common(5)
        what = ", ".join(f"{count} x {suffix}" for suffix, count in seen) or "nothing"
        raise SettingError(
            f"{folder} has no file of a known format (it has {what}); "
            f"known: {', '.join(EXTENSIONS)}; or set the format with",
            "format",
            "NAME",
        )
    return _of_one_split(folder, files, split)


def _saved_dataset(every: dict[str, File], within: str) -> dict[str, File]:
    """Returns the Arrow files of a `save_to_disk` folder in row order; none for other folders."""
    files = _list_in(every.get(f"{within}state.json"), "_data_files")
    names = [file.get("filename") for file in files if isinstance(file, dict)]
    paths = [f"{within}{name}" for name in names if isinstance(name, str)]
    return {path: every[path] for path in paths if path in every}


def _list_in(file: File | None, key: str) -> list[object]:
    if file is None:
        return []
    try:
        with open_file(file) as opened:
            content = json.loads(opened.read())
    except (OSError, ValueError):
        return []  # an unrelated state.json
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, list) else []


def _of_one_format(folder: str, files: Mapping[str, File]) -> dict[str, File]:
    """Returns files of a known format, without readmes. Raises if formats are mixed."""
    known = {name: kind for name, file in files.items() if (kind := format_of(file)) is not None}
    known = {name: kind for name, kind in known.items() if not METADATA.match(files[name].name)}
    if any(kind != "text" for kind in known.values()):
        known = {name: k for name, k in known.items() if not ABOUT_THE_DATA.match(files[name].name)}
    formats = Counter(known.values())
    if len(formats) > 1:  # a folder often has the same rows as jsonl and as parquet
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(formats.items()))
        one = min(formats)
        raise SettingError(f"{folder} mixes formats ({what}): choose one with", "format", one)
    return {name: files[name] for name in known}


def _of_one_split(folder: str, files: Mapping[str, File], split: str | None) -> dict[str, File]:
    """Returns the files of one split. Files without a split name belong to every split."""
    splits = {name: _split_of(PurePosixPath(name)) for name in files}
    named = sorted({name for name in splits.values() if name})
    if not named and split is None:
        return dict(files)
    chosen = _chosen_split(folder, named, split)
    return {name: file for name, file in files.items() if splits[name] in ("", chosen)}


def _split_of(file: PurePosixPath) -> str:
    if format_of(Path(file)) == "text":
        return ""  # a page may be called test.md
    *folders, stem = (*file.parts[:-1], file.name.split(".")[0])
    shard = SPLIT_SHARD.match(stem)
    if shard:
        return shard["split"]
    return next((name for name in (stem, *folders) if name in SPLIT_NAMES), "")


def _chosen_split(folder: str, splits: Sequence[object], wanted: str | None) -> str:
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
