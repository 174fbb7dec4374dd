"""Reads the source (`reference.source`) and the style of each rewrite."""

from __future__ import annotations

import re
from typing import Final

import orjson

from synth.batch import Batch
from synth.record import making_steps

MOST_CHARS = 50_000  # of either text; longer ones are not judged. A chunk has about 1,500
EXPANSIONS: Final = ("academic", "maths", "story", "textbook")
"""Styles that may add facts to the source: the additions are scored but not rejected."""
NAME = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
LINK = re.compile(r"(?<=\])\([^)\n]{0,500}\)|https?://\S{1,2000}")


def titles(batch: Batch) -> list[str]:
    """The page title and headings that the teacher saw with each row's source."""

    metas = (orjson.loads(meta) for meta in batch.table["meta"].to_pylist())
    return [f"{meta.get('title') or ''}\n{meta.get('section') or ''}" for meta in metas]


def pairs(batch: Batch) -> list[tuple[str, str] | None]:
    """(source, text) of each row; None if there is no source or a text is too long."""
    found: list[tuple[str, str] | None] = []
    for text, reference in zip(batch.texts, batch.references, strict=True):
        source: str = (reference or {}).get("source") or ""
        judged = batch.subject == "text" and source.strip() and text.strip()
        small = max(len(text), len(source)) <= MOST_CHARS
        found.append((source, text) if judged and small else None)
    return found


def styles(batch: Batch) -> list[str]:
    """The style of each row's rewrite; "" if the text is not a rewrite."""

    made: list[dict[str, str]] = making_steps(batch.table).to_pylist()
    return [
        step["operation"].partition("/")[0] if step["stage"] == "rewrite" else "" for step in made
    ]
