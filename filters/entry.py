"""Parses one item of a recipe's list of filters or verifiers.

    quality: [refusal, {length: {min_words: 5}}, {use: "my_pkg:Shouting", with: {max_share: 0.5}}]

A bare name uses the defaults; `use` imports the user's own class or function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import nan
from traceback import extract_tb
from typing import Any, ClassVar, Final, Self

import orjson
from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    create_model,
    model_serializer,
    model_validator,
)

from synth.batch import Batch, last_user_turn
from synth.errors import InputError, did_you_mean
from synth.model import Model
from synth.own import load, make, source_digest
from synth.verdicts import Check, Verdict, Verdicts

OWN = ("use", "with")


def _add_bare_names(schema: dict[str, Any]) -> None:
    """Lets an editor suggest bare names as well as the long form."""
    long_form = dict(schema)
    names = [name for name in schema["properties"] if name not in OWN]
    schema.clear()
    schema["anyOf"] = [{"enum": names}, long_form]


class Entry(Model):
    """One filter or verifier: a catalogue name with its parameters, or your own code.

    Exactly one field is set. Only that field is dumped, so new catalogue names do not change the
    fingerprint of existing recipes.
    """

    model_config = ConfigDict(json_schema_extra=_add_bare_names)
    role: ClassVar[str]
    """The name for error messages: "filter" or "verifier"."""
    method: ClassVar[str]
    """The method that a user's own class must have: "judge" or "check"."""

    use: str | None = Field(
        None, description="a class or function of your own, as 'package.module:name'"
    )
    with_: dict[str, Any] = Field({}, alias="with", description="the settings of `use`")
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
        # `length:` without a value is null in YAML and means the defaults
        return {key: {} if part is None and key != "use" else part for key, part in value.items()}

    @model_validator(mode="after")
    def _build(self) -> Self:
        if self.use is None:
            self._part = next(part for part in self._named().values() if part is not None)
        else:
            self._part = load_part(self.use, self.with_, self.role, self.method)
            if self._part.name in type(self).model_fields:
                raise ValueError(
                    f"use {self.use!r}: its name {self._part.name!r} is that of a built-in "
                    f"{self.role}, and scores go by name; give yours another one"
                )
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
    """Extends the JSON schema of a stage whose value may be just the list for `field`."""

    def add(schema: dict[str, Any]) -> None:
        long_form = dict(schema)
        schema.clear()
        schema["anyOf"] = [long_form["properties"][field], long_form]

    return add


def as_list(value: object, stage: str, field: str, names: Container[str]) -> object:
    """The settings of a stage that may be just the list for `field`, or one name."""
    if isinstance(value, Mapping) and field not in value:
        for key in value:
            if key in names or key in OWN:
                raise ValueError(f"`{stage}` takes a list: write `{stage}: [{{{key}: …}}]`")
    value = [value] if isinstance(value, str) else value
    return {field: value} if isinstance(value, list) else value


def identities(entries: Sequence[Entry]) -> dict[str, str]:
    """The digests of the user's files: the source of their own code, and the files that a filter
    reads (its `files`, if any)."""

    digests = {}
    for entry in entries:
        part = entry.part
        if entry.use is not None:
            own = part.function if isinstance(part, OwnFunction) else type(part)
            digests[entry.use] = source_digest(own) or ""
        for path in part.files() if hasattr(part, "files") else ():
            digests[f"{part.name} {path.name}"] = sha256(path.read_bytes()).hexdigest()
    return digests


def load_part(path: str, settings: Mapping[str, Any], role: str, method: str) -> Any:
    """Imports the user's own filter or verifier and applies its settings.

    It must be a class with a `name` and the method, or a function of one row. Raises `ValueError`
    if not.
    """
    found = load(path, callable, "a class or a function")
    if not isinstance(found, type):
        return FUNCTIONS[method](path, found, settings)
    part = make(path, found, settings)
    if not (isinstance(getattr(part, "name", None), str) and callable(getattr(part, method, None))):
        raise ValueError(  # noqa: TRY004  pydantic takes a ValueError as the message of the field
            f"use {path!r}: a {role} is a class with a `name` and a method `{method}(batch)`, or a "
            "function of one row"
        )
    return part


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """A user's own plain function: `(row) -> bool` or `(row) -> (bool, reason)`."""

    role: ClassVar[str]
    means: ClassVar[Mapping[bool | str, Verdict]] = {True: Verdict.PASS, False: Verdict.FAIL}
    """What it may return, alone or in front of a reason."""

    path: str
    function: Callable[..., object]
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            inspect.signature(self.function).bind({}, **self.settings)
        except TypeError as error:
            raise ValueError(
                f"use {self.path!r} with {dict(self.settings)}: a {self.role} is called as "
                f"{self.name}(row, **with), but {error}"
            ) from error

    @property
    def name(self) -> str:
        """The function's name, for `by` and the scores."""
        return self.path.rpartition(":")[2]

    def answers(self, batch: Batch) -> list[Check]:
        """The function's answer for each row, with its reason or ""."""
        return [self._answer(row) for row in plain_rows(batch)]

    def _answer(self, row: Mapping[str, Any]) -> Check:
        try:
            answer = self.function(row, **self.settings)
        except Exception as error:
            place = extract_tb(error.__traceback__)[-1]
            raise InputError(
                f"the {self.role} {self.path} failed for row {row['id']}: {type(error).__name__}: "
                f"{error} ({place.filename}, line {place.lineno})"
            ) from error
        match answer if isinstance(answer, tuple) else (answer, None):
            case (bool() | str() as said, str() | None as reason) if said in self.means:
                return Check(self.means[said], reason or "")
        raise InputError(
            f"the {self.role} {self.path} gave {answer!r} for row {row['id']}; expected "
            f"{', '.join(map(repr, self.means))}, or a pair such as (False, 'too_loud')"
        )


@dataclass(frozen=True, slots=True)
class FunctionFilter(OwnFunction):
    """A filter from a function: True keeps the row."""

    role: ClassVar[str] = "filter"

    def judge(self, batch: Batch) -> Verdicts:
        """Rejects with the function's reason, or `not_` plus its name; gives no scores."""
        reasons = [
            None if found is Verdict.PASS else reason or f"not_{self.name}"
            for found, reason in self.answers(batch)
        ]
        return Verdicts(reasons, [nan] * len(reasons))


@dataclass(frozen=True, slots=True)
class FunctionVerifier(OwnFunction):
    """A verifier from a function: True is a pass and False a fail; it may also name a verdict."""

    role: ClassVar[str] = "verifier"
    means: ClassVar[Mapping[bool | str, Verdict]] = {
        **OwnFunction.means,
        **{one.value: one for one in Verdict},
    }

    def check(self, batch: Batch) -> list[Check]:
        """One check per row, with the reason as its note."""
        return self.answers(batch)


FUNCTIONS: Final[Mapping[str, type[OwnFunction]]] = {
    "judge": FunctionFilter,
    "check": FunctionVerifier,
}
NO_REFERENCE: Final = {"answer": None, "tests": None, "source": None}


def plain_rows(batch: Batch) -> list[dict[str, Any]]:
    """The rows as plain dicts, for the user's own functions.

    The keys are `id`, `prompt` (the last user turn; "" for a document), `text` (the answer or
    document; "" for a prompt), `context` (the turns before the text, each with role and content),
    `reasoning`, `tool_calls` (a list), `rejected`, `reference` (a dict with answer, tests and
    source, each None if missing), `meta` (a dict) and `scores` (a dict from name to value).
    """
    names = ["id", "context", "text", "reasoning", "tool_calls", "rejected", "reference", "meta"]
    rows: list[dict[str, Any]] = batch.table.select([*names, "scores"]).to_pylist()
    for row, prompt in zip(rows, last_user_turn(batch.table).to_pylist(), strict=True):
        row["prompt"] = prompt
        row["context"] = [
            {key: value for key, value in turn.items() if value is not None}
            for turn in row["context"]
        ]
        row["tool_calls"] = row["tool_calls"] or []
        row["reference"] = {**NO_REFERENCE, **(row["reference"] or {})}
        row["meta"] = orjson.loads(row["meta"])
        row["scores"] = {score["name"]: score["value"] for score in row["scores"]}
    return rows


def _unknown(role: str, name: object, known: list[str]) -> str:
    if ":" in str(name):
        return f"{str(name)!r} is code of your own: write it as {{use: {str(name)!r}}}"
    hint = did_you_mean(str(name), known) or ";"
    choices = f"known: {', '.join(known)}, or `use` with code of your own"
    return f"unknown {role} {str(name)!r}{hint} {choices}"
