"""The source that a rewrite is compared with, in `reference.source`, and its style."""

from __future__ import annotations

import re
from typing import Final

import orjson

from synth.batch import Batch
from synth.record import making_steps

MOST_CHARS = 50_000  # of either text; a chunk has about 1,500, and a longer text stays unjudged
EXPANSIONS: Final = ("academic", "maths", "story", "textbook")
"""Styles that may add what the source does not say: what they add is reported, not rejected."""
NAME = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
LINK = re.compile(r"(?<=\])\([^)\n]{0,500}\)|https?://\S{1,2000}")


def titles(batch: Batch) -> list[str]:
    """The page's title and headings, which the teacher saw beside each row's source."""

    metas = (orjson.loads(meta) for meta in batch.table["meta"].to_pylist())
    return [f"{meta.get('title') or ''}\n{meta.get('section') or ''}" for meta in metas]


def pairs(batch: Batch) -> list[tuple[str, str] | None]:
    """(source, text) of each row; None where there is no source, or more than can be judged."""
    found: list[tuple[str, str] | None] = []
    for text, reference in zip(batch.texts, batch.references, strict=True):
        source: str = (reference or {}).get("source") or ""
        judged = batch.subject == "text" and source.strip() and text.strip()
        small = max(len(text), len(source)) <= MOST_CHARS
        found.append((source, text) if judged and small else None)
    return found


def styles(batch: Batch) -> list[str]:
    """The style of each row's rewrite, "" where the text was not made by one."""

    made: list[dict[str, str]] = making_steps(batch.table).to_pylist()
    return [
        step["operation"].partition("/")[0] if step["stage"] == "rewrite" else "" for step in made
    ]
