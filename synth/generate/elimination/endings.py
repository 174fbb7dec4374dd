"""How a prompt ends: in order, in the middle of a sentence, or in a loop."""

from __future__ import annotations

import re

from synth.characters import words_of
from synth.generate.elimination.pool import shingles

CLOSED = tuple(".!?:…)]}|`*>。！？」$\"”'’")
DANGLING = (",", ";", "–", "—", "(", "[", "{", "&", "/", "“", "+", "=")
# no English sentence ends so
DANGLING_WORDS = frozenset(
    words_of(
        "the a an and or of to in with for that which by from as is are was were their its your "
        "but than into if whose every between upon nor when while how who"
    )
)
DATA_LINE = re.compile(r"\s*(?:[-*+•–—·▪◦‣]\s|\||[\d.]+[.)]?\s|[\w ]{1,24}:\s|\"\w|[{}\[\]])")
WHOLE_WORDS = 12
NGRAM = 3
LOOPING = 0.35  # repeated word 3-grams; prompts with tables and lists stay below 0.2


def cut(text: str, parent: str) -> bool:
    """Whether the text stops before its end, judged beside how its parent ends."""
    text, parent = text.rstrip(), parent.rstrip()
    if text.count("```") % 2 and not parent.count("```") % 2:
        return True
    lines = text.split("\n")
    if len(lines) > 1 and _cut_data(lines):
        return True
    if not text or text.endswith(CLOSED) or text[-24:] == parent[-24:]:
        return False
    if text.endswith(DANGLING):
        return True
    said = words_of(lines[-1])
    if not said or _free(lines):
        return False
    if said[-1] in DANGLING_WORDS or _goes_on(text, parent):
        return True
    # a whole clause without its full stop is careless, and not cut
    clause = words_of(re.split(r"[.!?:]\s", lines[-1])[-1])
    return parent.endswith((".", "!", "?", '"', "”")) and len(clause) < WHOLE_WORDS


def _cut_data(lines: list[str]) -> bool:
    """Whether a table or list stops in the middle of its last row, going by the one before."""
    last, before = lines[-1].rstrip(), lines[-2].rstrip()
    if last.startswith("|"):
        return not last.endswith("|") or last.count("|") < before.count("|")
    opened = sum(map("\n".join(lines).count, "{[")) - sum(map("\n".join(lines).count, "}]"))
    if opened > 0 and lines[0].count("{") + lines[0].count("[") < opened:
        return True
    head, _, _ = last.partition(" ")
    alike = before.startswith(head) and bool(head)
    return alike and (last.count(",") < before.count(",") or len(last) < len(before) / 3)


def _free(lines: list[str]) -> bool:
    """Whether the last line is data, which ends as it likes."""
    return len(lines) > 1 and DATA_LINE.match(lines[-1]) is not None


def _goes_on(text: str, parent: str) -> bool:
    """Whether the parent has the text's last words too, and goes on behind them."""
    tail = " ".join(words_of(text)[-4:])
    _, found, rest = " ".join(words_of(parent)).rpartition(tail)
    return bool(found and rest.strip())


def loops(text: str, parent: str) -> bool:
    """Whether the text says the same again and again, more than its parent."""
    share = repeated_share(text)
    return share > LOOPING and share > repeated_share(parent) + LOOPING / 2


def repeated_share(text: str) -> float:
    """The share of the word 3-grams that stand in the text before."""
    total = len(words_of(text)) - NGRAM + 1
    return 1 - len(shingles(text, NGRAM)) / total if total > 0 else 0.0
