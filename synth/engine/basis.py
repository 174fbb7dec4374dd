"""The parts of a stage's fingerprint, kept apart so that a run can name what has changed.

`outputs/quickstart/03-distill/basis.json`, written when the stage starts, shortened:

    {"settings": {"samples": 4, "sampling": {"temperature": 0.7}},
     "parts": {"version": "1", "seed": "0", "teacher": "Qwen/Qwen3-8B", "input": "sha256:9f…"}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from synth.store.durable import write_bytes

NAME = "basis.json"
INPUT = "input"
"""The part for the stage's input: the shards that the previous stage kept."""
ORIGINALS = "originals"
"""The part for the shards of an earlier stage that a stage reads besides its input."""
SHOWN = "what the card shows of the recipe and the stages before"
FROM_BEFORE = (INPUT, ORIGINALS, SHOWN)
OUTSIDE = "what other runs released"

HASHED = "sha256:"
MOST_CHARS = 60
"""The longest value that a difference quotes."""


class Basis(BaseModel):
    """The parts of a stage's fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: dict[str, Any]
    """The settings that affect the stage's output."""
    parts: dict[str, str]
    """Everything else, under readable names: a short value as it is, a long one as a hash."""

    @property
    def digest(self) -> str:
        """The hash of all parts, in their order."""
        return digest(self.settings, list(self.parts.items()))

    @property
    def anywhere(self) -> Basis:
        """The same without what another machine cannot see: earlier stages and other runs."""
        parts = {name: one for name, one in self.own.parts.items() if name != OUTSIDE}
        return self.model_copy(update={"parts": parts})

    @property
    def own(self) -> Basis:
        """The same without the parts that come from earlier stages."""
        parts = {name: one for name, one in self.parts.items() if name not in FROM_BEFORE}
        return self.model_copy(update={"parts": parts})

    def save(self, folder: Path) -> None:
        """Writes the file in the stage's folder, unless it has this content."""
        if load_basis(folder) != self:
            write_bytes(folder / NAME, self.model_dump_json(indent=1).encode() + b"\n")


def load_basis(folder: Path) -> Basis | None:
    """The basis of the last work in a stage's folder; None if it is missing or damaged."""
    try:
        return Basis.model_validate_json((folder / NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def digest(*parts: object) -> str:
    """The sha256 of plain values, in hex."""
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def hashed(value: object) -> str:
    """A part by its hash."""
    return f"{HASHED}{digest(value)[:32]}"


def differences(old: Basis, new: Basis) -> list[str]:
    """Describes each difference: `sampling.temperature 0.7 → 0.9`, `prompt file evolve/deepen`."""
    found = list(setting_changes("", old.settings, new.settings))
    for name in {**old.parts, **new.parts}:
        before, now = old.parts.get(name), new.parts.get(name)
        if before == now:
            continue
        if before is None or now is None:
            found.append(f"{name} {'is new' if before is None else 'is gone'}")
        elif before.startswith(HASHED) or now.startswith(HASHED):
            found.append(f"{name} changed")
        else:
            found.append(f"{name} {before} → {now}")
    if not found and old != new:
        found.append("the order of its files changed")
    return found


_UNSET = object()


def setting_changes(path: str, old: object, new: object) -> Iterator[str]:
    """Describes each changed setting: its path, the old and the new value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            inner = f"{path}.{key}" if path else str(key)
            yield from setting_changes(inner, old.get(key, _UNSET), new.get(key, _UNSET))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for n, (before, now) in enumerate(zip(old, new, strict=True)):
            yield from setting_changes(f"{path}[{n}]", before, now)
    elif old != new:
        yield f"{path} {_shown(old)} → {_shown(new)}"


def _shown(value: object) -> str:
    if value is _UNSET:
        return "unset"
    text = value if isinstance(value, str) and value else orjson.dumps(value).decode()
    return text if len(text) <= MOST_CHARS else text[: MOST_CHARS - 1] + "…"
