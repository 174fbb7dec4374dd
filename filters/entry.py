"""One item of a recipe's list of filters or verifiers, and how it is read.

    quality: [refusal, {length: {min_words: 5}}, {use: "my_pkg:Shouting", with: {max_share: 0.5}}]

A bare name takes the defaults; `use` names a class of the user's own by import path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    create_model,
    model_serializer,
    model_validator,
)

from synth.model import Model

OWN = ("use", "with")


def _add_bare_names(schema: dict[str, Any]) -> None:
    """Lets an editor offer the bare names beside the long form."""
    long_form = dict(schema)
    names = [name for name in schema["properties"] if name not in OWN]
    schema.clear()
    schema["anyOf"] = [{"enum": names}, long_form]


class Entry(Model):
    """One filter or verifier: a name of the catalogue with its parameters, or a class of one's own.

    Exactly one of its fields is set. It dumps to that field alone, so a catalogue that grows does
    not change the fingerprint of a recipe that was written before.
    """

    model_config = ConfigDict(json_schema_extra=_add_bare_names)
    role: ClassVar[str]
    """What an error calls it: "filter" or "verifier"."""
    method: ClassVar[str]
    """The method that a class of the user's own must have."""

    use: str | None = Field(None, description="a class of your own, as 'package.module:Class'")
    with_: dict[str, Any] = Field({}, alias="with", description="the parameters of `use`")
    _part: Any = PrivateAttr()

    @property
    def part(self) -> Any:
        """The filter or verifier itself."""
        return self._part

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, value: object) -> object:
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, Mapping):
            return value
        known = sorted(name for name in cls.model_fields if name not in ("use", "with_"))
        for key in value:
            if key not in known and key not in OWN:
                raise ValueError(_unknown(cls.role, key, known))
        named = [key for key in value if key in known]
        if len(named) + ("use" in value) != 1:
            given = ", ".join(map(str, value)) or "nothing"
            raise ValueError(
                f"one {cls.role} an item: give a name with its parameters, or `use` with `with`; "
                f"got {given}"
            )
        if "with" in value and "use" not in value:
            raise ValueError("`with` holds the parameters of `use`; there is no `use` here")
        # `length:` with nothing behind it is null in YAML, and means the defaults
        return {key: {} if part is None and key != "use" else part for key, part in value.items()}

    @model_validator(mode="after")
    def _build(self) -> Self:
        if self.use is None:
            self._part = next(part for part in self._named().values() if part is not None)
        else:
            self._part = load_part(self.use, self.with_, self.role, self.method)
        return self

    def _named(self) -> dict[str, Any]:
        names = [name for name in type(self).model_fields if name not in ("use", "with_")]
        return {name: getattr(self, name) for name in names}

    @model_serializer(mode="plain")
    def _dump_what_is_set(self) -> dict[str, Any]:
        if self.use is not None:
            return {"use": self.use, "with": self.with_}
        named = self._named().items()
        return {name: part.model_dump(by_alias=True) for name, part in named if part is not None}


def entry_model(base: type[Entry], name: str, catalogue: Mapping[str, type[Model]]) -> type[Entry]:
    """The entry with one optional field for each name of the catalogue."""
    fields: dict[str, Any] = {
        key: (part | None, Field(None, description=(part.__doc__ or "").split("\n")[0]))
        for key, part in catalogue.items()
    }
    return create_model(name, __base__=base, **fields)


def list_schema(field: str) -> Callable[[dict[str, Any]], None]:
    """For a stage whose value may be the bare list of `field`: its JSON schema says so too."""

    def add(schema: dict[str, Any]) -> None:
        long_form = dict(schema)
        schema.clear()
        schema["anyOf"] = [long_form["properties"][field], long_form]

    return add


def identities(entries: Sequence[Entry]) -> object:
    """What a change of the user's own files changes: the digest of the file that each class of
    theirs comes from, and of those that a filter reads (its `files`, where it has any)."""

    digests = {}
    for entry in entries:
        if entry.use is not None:
            source = inspect.getsourcefile(type(entry.part))
            digests[entry.use] = sha256(Path(source).read_bytes()).hexdigest() if source else ""
        for path in entry.part.files() if hasattr(entry.part, "files") else ():
            digests[f"{entry.part.name} {path.name}"] = sha256(path.read_bytes()).hexdigest()
    return digests or None


def load_part(path: str, parameters: Mapping[str, Any], role: str, method: str) -> Any:
    """The user's own filter or verifier with its parameters; a ValueError says what is wrong."""

    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise ValueError(f"use {path!r}: write it as 'package.module:Class'")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise ValueError(f"use {path!r}: importing {module_name} failed: {error}") from error
    factory = getattr(module, class_name, None)
    if not isinstance(factory, type):
        known = sorted(key for key, value in vars(module).items() if isinstance(value, type))
        raise ValueError(  # noqa: TRY004  pydantic takes a ValueError as the message of the field
            f"use {path!r}: no class {class_name}; known: {', '.join(known) or '-'}"
        )
    try:
        part = factory(**parameters)
    except (TypeError, ValueError) as error:
        raise ValueError(f"use {path!r} with {dict(parameters)}: {error}") from error
    if not (isinstance(getattr(part, "name", None), str) and callable(getattr(part, method, None))):
        raise ValueError(  # noqa: TRY004  as above
            f"use {path!r}: a {role} has a `name` and a method `{method}(batch)`"
        )
    return part


def _unknown(role: str, name: object, known: list[str]) -> str:

    close = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    choices = f"{hint}known: {', '.join(known)}, or `use` with a class of your own"
    return f"unknown {role} {str(name)!r}; {choices}"
