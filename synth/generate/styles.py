"""What a source may become and for whom, and where each style's prompt file lies.

styles: [faq, table, prompts/my_style.md]
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from synth.errors import InputError
from synth.generate.template import FIRST_LINE, Template, load, shipped
from synth.paths import found_path


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


DEFAULT: Final = (Style.FAQ, Style.TABLE, Style.TUTORIAL, Style.MATHS, Style.TEXTBOOK)
"""For recipes that name none. A newer style is not among them: a recipe opts in by its name."""


class Audience(StrEnum):
    """Whom a rewrite addresses. Source: Cosmopedia's four audiences."""

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
    """The user's own file behind a style; None for a shipped one."""
    return Path(style) if Path(style).suffix == SUFFIX else None


def style_name(style: str) -> str:
    """What a style is called in a row's trail, and in the first line of its replies."""
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
        path, once="source", told=frozenset({"audience"}), given=frozenset({"audience", "title"})
    )
    names = set(FIRST_LINE.findall(found.system))
    if len(names) != 1:
        raise InputError(
            f"the prompt file {path} must demand one first line, written as `=== {path.stem} ===` "
            "with the backquotes, by which a reply that follows it is known; it has "
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
