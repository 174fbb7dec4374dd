"""Parses strict YAML: no duplicate keys, no aliases, `no` is a string, at most 1 MB.

Records the line of every key and item, so that later errors can name it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from synth.errors import RecipeError

MAX_BYTES = 1_000_000
Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's value, and the source of each part."""

    value: Any
    name: str
    """Name of the file, or of the command whose options set the value."""
    lines: Mapping[Location, int] = field(default_factory=dict)
    """The line of each key and item, from 1."""
    options: dict[Location, str] = field(default_factory=dict)
    """Parts set by a command-line option, with the option: `--set seed`."""

    def path(self, location: Location) -> Location:
        """Converts a pydantic location to the document's own keys.

        Leaves out parts that the document does not have: defaults, long forms, and pydantic's
        names of types.
        """
        node, found = self.value, []
        for part in location:
            listed = isinstance(node, list) and isinstance(part, int) and part < len(node)
            if listed or (isinstance(node, dict) and part in node):
                node = node[part]
            elif node is not None and node == part:  # `- distill`, short for `- distill: {}`
                node = None
            else:
                continue
            found.append(part)
        return tuple(found)

    def option(self, path: Location) -> Location | None:
        """Returns the part of this path that an option set; None if the file set it."""
        starts = (path[:end] for end in range(len(path), 0, -1))
        return next((start for start in starts if start in self.options), None)

    def where(self, path: Location) -> str:
        """Returns `my.yaml, line 4`, the option that set the value, or only the document's name."""
        if (given := self.option(path)) is not None:
            return self.options[given]
        starts = (path[:end] for end in range(len(path), -1, -1))
        line = next((self.lines[start] for start in starts if start in self.lines), None)
        return f"{self.name}, line {line}" if line else self.name


class _Loader(yaml.SafeLoader):
    """A safe loader for which only true and false are booleans and 12:30 is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag
        not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9][0-9_]*$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOL, list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))


def load(path: Path) -> Document:
    """Loads the file. Raises `RecipeError` with file and line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}") from error
    return parse(content, path.name)


def parse(content: bytes, name: str) -> Document:
    """Parses `content`. Error messages use `name`."""
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{name} has {len(content):,} bytes; a recipe has at most {MAX_BYTES:,}")
    try:
        text = content.decode("utf-8-sig")
        alias = next((e for e in yaml.parse(text) if isinstance(e, yaml.AliasEvent)), None)
        if alias is not None:
            where = f", line {alias.start_mark.line + 1}" if alias.start_mark is not None else ""
            raise RecipeError(
                f"{name}{where}: aliases (*name) are not allowed; write the value out"
            )
        node = yaml.compose(text, Loader=_Loader)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        quote = "; a value with ${NAME} needs quotes inside {…} or […]" if "${" in text else ""
        raise RecipeError(f"{name}{where}: {error.problem or error.context}{quote}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: {error}") from error
    lines: dict[Location, int] = {}
    return Document(_build(node, (), lines, name), name, lines)


def _build(node: yaml.Node | None, at: Location, lines: dict[Location, int], name: str) -> Any:
    if node is None:
        return None
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeError(f"{name}, line {line}: a key must be a plain string")
            key = str(key_node.value)
            if key in mapping:
                raise RecipeError(
                    f"{name}, line {line}: duplicate key {key!r} (first on "
                    f"line {lines[(*at, key)]}); remove one"
                )
            lines[(*at, key)] = line
            mapping[key] = _build(value_node, (*at, key), lines, name)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*at, i), lines, name) for i, item in enumerate(node.value)]
    return _scalar(node, name)


def _scalar(node: yaml.Node, name: str) -> Any:
    try:
        return _CONSTRUCTOR.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        line = node.start_mark.line + 1
        raise RecipeError(f"{name}, line {line}: {node.value!r} cannot be read: {error}") from error


_CONSTRUCTOR = yaml.constructor.SafeConstructor()
