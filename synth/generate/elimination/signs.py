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
OPENER = re.compile(
    r"\W*(?:sure|certainly|absolutely|of course|great question)\b ?[!,.:]"
    r"|\W*here(?:'s| is) [^.\n]{0,80}\b(?:prompt|version|question|rewrite)\b[^.\n]{0,80}:",
    re.IGNORECASE,
)
SIGN_OFF = re.compile(
    r"\b(?:i hope (?:this|that|it)|let me know if (?:you'd like|you would like|you need)"
    r"|feel free to ask|would you like me to)\b[^\n]{0,120}\Z",
    re.IGNORECASE,
)
QUOTED = re.compile(r"\"[^\"\n]*\"|“[^“”\n]*”|«[^«»\n]*»|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`")


def wrapped(text: str) -> bool:
    """Whether the whole prompt is in markup."""
    return WRAPPED.fullmatch(text) is not None


def copied(text: str, beside: str, told: str) -> bool:
    """Whether the prompt has labels of the instruction, or a run of its words (`told`)."""
    if LABELS.search(text) and not LABELS.search(beside):
        return True
    runs = shingles(told, COPIED_WORDS) - shingles(beside, COPIED_WORDS)
    return not runs.isdisjoint(shingles(text, COPIED_WORDS))


def framed(text: str) -> bool:
    """Whether the teacher speaks to its asker before or after the prompt."""
    plain = text.replace("\u2019", "'")
    return bool(OPENER.match(plain) or SIGN_OFF.search(plain[-300:]))
