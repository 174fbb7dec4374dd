"""Elimination: why an evolved prompt does not take its parent's place.

Source: arXiv:2304.12244, section 3.3 (refusals with "sorry" under 80 words, only stop words and
punctuation, words copied from the instruction); the bound on list items and the stock phrases are
those of later open implementations. Ours gives each its own reason.
"""

from __future__ import annotations

import re

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from synth.teacher.protocol import Reply

COPIED = re.compile(
    r"given prompt|rewritten prompt|new prompt\b.{0,3}[:#]|created prompt|</?prompt>"
    r"|#[^#\n]{0,40}prompt[^#\n]{0,10}#",
    re.IGNORECASE,
)
ASSISTANT = re.compile(r"\bas an ai\b|how (?:can|may) i (?:assist|help)", re.IGNORECASE)
LIST_ITEM = re.compile(r"^\s*(?:[-*\u2022]|\d{1,2}[.)])\s", re.MULTILINE)
MAX_LIST_ITEMS = 10
REFUSAL_WORDS = 80
CHANGED_CHARS = 40  # of about 60 in the shortest addition that is asked for, 10 words
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by do for from has have how i if in is it its me my of on or "
        "our so that the their then there these they this to was we were what when where which "
        "who why will with would you your",
    )
)


def eliminate(
    reply: Reply, parent: str, *, max_words: int, unchanged_ratio: float
) -> tuple[str | None, float | None]:
    """The reason to eliminate the reply as a child of `parent`, or None, and what was measured.

    The measure is the similarity to the parent, 0 to 100, where there is a text to compare.
    """
    if reply.fault:
        return reply.fault, None
    if reply.finish_reason == "length":
        return "reply_truncated", None
    text = reply.text
    before, after = parent.strip().lower(), text.lower()
    words = re.findall(r"\w+", after)
    similarity = float(fuzz.ratio(before, after))
    reason = None
    if not any(word not in STOP_WORDS for word in words):
        reason = "no_content"
    elif COPIED.search(text) and not COPIED.search(parent):
        reason = "instruction_copied"
    elif ("sorry" in words and len(words) < REFUSAL_WORDS) or ASSISTANT.search(text):
        reason = "refused"
    elif similarity >= unchanged_ratio and Indel.distance(before, after) < CHANGED_CHARS:
        reason = "unchanged"
    elif len(words) > max_words:
        reason = "too_many_words"
    elif len(LIST_ITEM.findall(text)) > max(MAX_LIST_ITEMS, len(LIST_ITEM.findall(parent))):
        reason = "list_like"
    return reason, similarity
