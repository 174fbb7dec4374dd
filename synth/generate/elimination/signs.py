"""What stands around, or in place of, the prompt that the teacher was asked to write.

Only what is sure: meaning is the judge's to decide (`gain`). What the parent says is not held
against its child.
"""

from __future__ import annotations

import re

from synth.generate.elimination.pool import shingles

COPIED_WORDS = 8  # in a row: no coincidence, see `filters.grounding.copying`
# Source: arXiv:2304.12244, section 3.3, and the labels and tags of our own prompt files.
LABELS = re.compile(
    r"</?(?:prompt|constraint)>|#[^#\n]{0,40}(?:prompt|instruction)[^#\n]{0,10}#"
    r"|\b(?:given|new|rewritten|evolved|revised|original) (?:prompt|instruction)\b.{0,3}[:#]",
    re.IGNORECASE,
)
WRAPPED = re.compile(
    r"\s*(?:\{\s*[\"']\w+[\"']\s*:.*\}|```.*```|(\*\*|__)(?:(?!\1).)+\1)\s*", re.DOTALL
)


def wrapped(text: str) -> bool:
    """Whether the whole prompt is in markup."""
    return WRAPPED.fullmatch(text) is not None


def copied(text: str, beside: str, told: str) -> bool:
    """Whether the prompt has labels of the instruction, or a run of its words (`told`)."""
    if LABELS.search(text) and not LABELS.search(beside):
        return True
    runs = shingles(told, COPIED_WORDS) - shingles(beside, COPIED_WORDS)
    return not runs.isdisjoint(shingles(text, COPIED_WORDS))
