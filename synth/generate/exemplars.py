"""Worked examples that are shown before a prompt: always the same ones, or those most like it.

{"prompt": "What is 3 * 4?", "answer": "3 * 4 = 12.\\nA: 12"}      a line of the user's file
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from rapidfuzz import fuzz, process, utils

from synth.errors import InputError
from synth.model import Model
from synth.paths import InputPath
from synth.record import Turn

MOST = 5_000  # each prompt is compared with all of them
SAME = 95.0  # a likeness at which an example gives its own answer away


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A prompt with a good answer."""

    prompt: str
    answer: str


class Examples(Model):
    """Examples shown to the teacher as earlier turns; they do not become part of the record.

    Source of the choice by likeness: KATE (arXiv:2101.06804), there by embeddings; ours compares
    the words (token sort ratio), so it needs no model. An example that is all but the prompt itself
    is passed over.
    """

    file: InputPath
    """A JSONL file; each line has `prompt` and `answer`."""
    count: Annotated[int, Field(ge=1, le=32)] = 3
    """How many are shown."""
    by: Literal["fixed", "similar"] = "fixed"
    """The first ones of the file, the same for all prompts, so that the prefix cache hits; or for
    each prompt those most like it, the likest last."""

    def chosen(self, prompt: str) -> Sequence[Exemplar]:
        """The examples for this prompt. Raises `InputError` as `read_exemplars`."""
        known = read_exemplars(self.file, self.file.stat().st_mtime_ns)
        if self.by == "fixed":
            return known[: self.count]

        found = process.extract(
            prompt,
            [one.prompt for one in known],
            scorer=fuzz.token_sort_ratio,
            processor=utils.default_process,
            limit=None,
        )
        near = sorted(
            ((likeness, -index) for _, likeness, index in found if likeness < SAME), reverse=True
        )
        return [known[-index] for _, index in reversed(near[: self.count])]

    def turns(self, prompt: str) -> list[Turn]:
        """The examples as turns."""
        return [
            Turn(role=role, content=content)
            for one in self.chosen(prompt)
            for role, content in (("user", one.prompt), ("assistant", one.answer))
        ]


@lru_cache(maxsize=4)
def read_exemplars(path: Path, changed_ns: int) -> tuple[Exemplar, ...]:
    """The file's examples, read again once it has changed. Raises `InputError` with the line."""
    del changed_ns  # only part of the cache's key
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the examples {path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prompt, answer = row["prompt"], row["answer"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}: expected an object with `prompt` and `answer`"
            ) from error
        if not (isinstance(prompt, str) and isinstance(answer, str) and prompt and answer):
            raise InputError(f"{path}, line {number}: `prompt` and `answer` must be texts")
        found.append(Exemplar(prompt, answer))
    if not 1 <= len(found) <= MOST:
        raise InputError(f"{path} has {len(found)} examples; expected 1 to {MOST:,}")
    return tuple(found)
