"""The styles of `rewrite` and their prompt files, and the draw of a style and an audience.

styles: [faq, table, prompts/my_style.md]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from synth.errors import InputError
from synth.generate.chunk import Part
from synth.generate.collapse import CollapseWatch
from synth.generate.template import FIRST_LINE, Template, load, shipped
from synth.paths import found_path
from synth.randomness import derive_random


class Style(StrEnum):
    """The shipped styles, in our own words. Each source says why it is among them."""

    FAQ = "faq"
    """Questions that the source answers, with their answers. Source: FinePhrase (best of 90 runs
    with the next three), Nemotron-CC's question-answer pairs (arXiv:2412.02595)."""
    TABLE = "table"
    """The source's facts as a Markdown table, with a paragraph that explains it. FinePhrase."""
    TUTORIAL = "tutorial"
    """Numbered steps that lead a reader through it. FinePhrase."""
    MATHS = "maths"
    """A maths problem made from the source's numbers, solved step by step. FinePhrase."""
    TEXTBOOK = "textbook"
    """A passage of a textbook, narrative: from a question to its answer. Source: Cosmopedia."""
    ACADEMIC = "academic"
    """A section of a textbook, academic: definitions, argument, limits. Source: Cosmopedia."""
    WIKI = "wiki"
    """An encyclopedia entry. Source: WRAP (arXiv:2401.16380) and Nemotron-CC's rephrasing."""
    NOTES = "notes"
    """Distilled notes: short, complete statements. Source: Nemotron-CC's "distill" and "knowledge
    list"."""
    DIALOGUE = "dialogue"
    """A learner asks, an expert answers, and puts a misunderstanding right."""
    STORY = "story"
    """A story in which what the source teaches is needed. Source: Cosmopedia's stories."""


DEFAULT: Final = (Style.TABLE, Style.MATHS, Style.FAQ, Style.TUTORIAL)
"""For recipes that name none: FinePhrase's four. A recipe opts into others by their names."""


class Audience(StrEnum):
    """The audience of a rewrite. Source: Cosmopedia's four audiences."""

    CHILDREN = "children"
    MIDDLE_SCHOOL = "middle_school"
    COLLEGE = "college"
    PROFESSIONALS = "professionals"


SUFFIX = ".md"


def _known_or_file(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str | Path) and Path(value).suffix != SUFFIX:
        known = [str(style) for style in Style]
        if str(value) not in known:
            raise ValueError(
                f"unknown style {str(value)!r}; known: {', '.join(known)}, or the path of a "
                f"prompt file of your own, ending in {SUFFIX}"
            )
        return value
    return str(value) if isinstance(value, Path) else found_path(value, info)


StyleName = Annotated[
    str,
    BeforeValidator(_known_or_file),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [str(style) for style in Style]},
                {"type": "string", "pattern": r"\.md$"},
            ]
        }
    ),
]
"""A shipped style by name, or the path of a prompt file of the user's own."""


def prompt_file(style: str) -> Path | None:
    """The user's own file for a style; None for a shipped one."""
    return Path(style) if Path(style).suffix == SUFFIX else None


def style_name(style: str) -> str:
    """The name of a style in a row's trail, and in the first line of its replies."""
    return _name(style, _changed(style))


def template(style: str) -> Template:
    """The style's prompt file. Raises `InputError` for one of the user's that cannot be used."""
    if prompt_file(style) is None:
        return shipped(f"rewrite/{style}")
    return _template(style, _changed(style))


def _changed(style: str) -> int:
    """When a user's file was changed last: part of the cache's key."""
    path = prompt_file(style)
    return path.stat().st_mtime_ns if path is not None and path.is_file() else 0


@cache
def _template(style: str, changed_ns: int) -> Template:
    del changed_ns
    path = Path(style)
    found = load(
        path, once="source", system=frozenset({"audience"}), user=frozenset({"audience", "title"})
    )
    names = set(FIRST_LINE.findall(found.system))
    if len(names) != 1:
        raise InputError(
            f"the prompt file {path} must ask for exactly one first line, written as "
            f"`=== {path.stem} ===` with the backquotes, to recognise valid replies; it has "
            + (", ".join(sorted(names)) or "none")
        )
    return found


@cache
def _name(style: str, changed_ns: int) -> str:
    if prompt_file(style) is None:
        return style
    name = _template(style, changed_ns).first_line
    assert name is not None, f"{style} was read without a first line"
    return name


@dataclass(frozen=True, slots=True)
class Piece:
    """One rewrite of a part."""

    part: Part
    style: str
    audience: Audience
    again: int = 0
    """How many earlier rewrites of this chunk have the same style and audience."""
    left_out: str = ""
    """Why no rewrite is requested: `style_collapsed` (with no style left) or `chunk_too_short`."""

    @property
    def operation(self) -> str:
        """Its name in the trail: `faq/college`."""
        return f"{style_name(self.style)}/{self.audience}"


def draw(
    part: Part,
    record: str,
    seed: int,
    choices: Sequence[tuple[str, Audience]],
    count: int,
    watch: CollapseWatch | None,
) -> Iterator[Piece]:
    """Draws `count` rewrites of a part, in different styles and audiences if there are enough.

    The draw depends on the seed and the record. A slowed style gives every second draw to another
    style, and a stopped style every draw. If no style is left, nothing is asked.
    """
    if part.scrap:
        yield Piece(part, *choices[0], left_out="chunk_too_short")
        return
    chance = derive_random(seed, "rewrite", record, part.number)
    order = chance.sample(choices, len(choices))
    spared = {style for style, _ in sorted(choices) if chance.random() < 0.5}
    open_ = [
        (style, audience)
        for style, audience in order
        if watch is None
        or not (watch.stopped(style) or (watch.slowed(style) and style not in spared))
    ]
    for turn in range(count):
        if open_:
            again, which = divmod(turn, len(open_))
            yield Piece(part, *open_[which], again)
        else:
            again, which = divmod(turn, len(order))
            yield Piece(part, *order[which], again, left_out="style_collapsed")


def all_choices(styles: Sequence[str], audiences: Sequence[Audience]) -> list[tuple[str, Audience]]:
    """Every style for every audience, each once."""
    return list(dict.fromkeys(product(styles, audiences)))
