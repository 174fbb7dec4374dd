"""Answer formats and worked examples, which the teacher reads besides a prompt.

    formats: [boxed, brief]                        drawn for each prompt, and part of it
    formats: {ask: [final_line], when: gold}       only for prompts with a gold answer; not released
    examples: {file: examples.jsonl, by: similar}

{"prompt": "What is 3 * 4?", "answer": "3 * 4 = 12.\\nA: 12"}      a line of the examples' file
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from rapidfuzz import fuzz, process, utils

from synth.errors import InputError
from synth.model import Model
from synth.paths import InputPath
from synth.randomness import derive_random
from synth.record import Turn

FORMATS = {
    "boxed": "End with the final answer as \\boxed{…}.",
    "final_line": "End with a last line `A: ` and the final answer alone.",
    "steps": "Answer in numbered steps, and end with the result.",
    "brief": "Answer in at most three sentences.",
    "points": "Answer in bullet points, the most important first.",
}
"""Shipped answer formats: the sentence that asks for each."""
MARK = re.compile(
    r"\\boxed|####|[`'\"“](?:A:|Answer:|The answer is\b)"
    r"|only the final answer|final answer (?:alone|only|on a|in a|as)\b",
    re.IGNORECASE,
)
"""How a prompt asks for its final answer behind a mark."""


def asks_for_mark(text: str) -> bool:
    """Whether a text says how to mark the final answer."""
    return MARK.search(text) is not None


def _or_list(schema: dict[str, Any]) -> None:
    """Lets an editor offer the list beside the long form."""
    long_form = dict(schema)
    schema.clear()
    schema["anyOf"] = [long_form["properties"]["ask"], long_form]


class Formats(Model):
    """Answer formats. Each prompt gets one of them. A plain list applies to every prompt, and the
    format is released with it."""

    model_config = ConfigDict(json_schema_extra=_or_list)

    ask: Annotated[tuple[str, ...], Field(min_length=1)]
    """`boxed`, `final_line`, `steps`, `brief`, `points`, or a sentence of your own."""
    when: Literal["always", "gold"] = "always"
    """`gold`: only prompts that have a gold answer and do not say how to mark the final one."""
    released: bool = False
    """The sentence becomes part of the record's prompt; else only the teacher reads it."""

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return {"ask": value, "released": True} if isinstance(value, list | tuple) else value

    @property
    def marks_answers(self) -> bool:
        """Whether one of them marks the final answer, so that a verifier can read it."""
        return any(asks_for_mark(FORMATS.get(one, one)) for one in self.ask)

    def sentence(
        self, seed: int, record: str, prompt: str, reference: Mapping[str, str | None] | None
    ) -> str:
        """The sentence that asks for the format, drawn by the record's id; or ""."""
        if self.when == "gold" and (not (reference or {}).get("answer") or asks_for_mark(prompt)):
            return ""
        drawn = derive_random(seed, "distill", "format", record).choice(self.ask)
        return FORMATS.get(drawn, drawn)


MOST = 5_000  # each prompt is compared with all of them
SAME = 95.0  # a likeness at which an example gives its own answer away


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A prompt with a good answer."""

    prompt: str
    answer: str


class Examples(Model):
    """Examples shown to the teacher as earlier turns; they do not become part of the record.

    `by: similar` follows KATE (arXiv:2101.06804), but compares words (token sort ratio) instead of
    embeddings, so it needs no model. An example that is nearly the same as the prompt is skipped.
    """

    file: InputPath
    """A JSONL file; each line has `prompt` and `answer`."""
    count: Annotated[int, Field(ge=1, le=32)] = 3
    """How many are shown."""
    by: Literal["fixed", "similar"] = "fixed"
    """`fixed` shows the first examples of the file to all prompts, so that the prefix cache works.
    `similar` shows those most similar to each prompt, the most similar last."""

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
