"""Rewrites a source in a style: its sentences, selected, said in other words, regrouped, framed.

    === faq ===
    # Questions and answers about the seed library

    **What is said about the catalogue?**
    Briefly: The catalogue is held, as noted, on cards in a wooden drawer.

Every name and number comes from the source; only the result of a maths problem is new, and who
speaks in a dialogue or story.
"""

from __future__ import annotations

import re
from functools import lru_cache

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.paraphrase import paraphrase
from synth.teacher.rehearsal.phrases import capital, pick
from synth.teacher.rehearsal.shapes import WRITERS, Page
from synth.teacher.rehearsal.text import key_terms, sentences

MAX_SENTENCES = 14
"""A rewrite of a long page keeps its best sentences: about as long as a teacher's reply."""
CHATTER = re.compile(
    r"cookie|subscribe|sign (?:in|up)|log ?in\b|newsletter|privacy policy|terms of use|copyright|©"
    r"|all rights reserved|skip to|share (?:this|on)|read more|click here|javascript|back to top",
    re.IGNORECASE,
)
# lengths are bounded in all patterns here: hostile text must not cost quadratic time
LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\n]{0,500}\)|<[^>]{1,200}>|https?://\S+")
FRONT_MATTER = re.compile(r"\A\s*---\n.*?\n---\n", re.DOTALL)
FENCED = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
EMPHASIS = re.compile(r"\*\*|(?<!\w)_(?=[^_\s])|(?<=[^_\s])_(?!\w)")
WRAPPED = re.compile(r"(?<=[^\n.!?:|])\n(?=[a-z])")
BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")


def audience_group(audience: str) -> str:
    """The wording an audience gets: children, school, college, professional or general."""
    low = audience.lower()
    if "child" in low or "kid" in low:
        return "children"
    if "school" in low or "teen" in low or "pupil" in low:
        return "school"
    if "college" in low or "student" in low or "universit" in low:
        return "college"
    return "professional" if "profession" in low or "expert" in low else "general"


@lru_cache(maxsize=1024)
def prose(source: str) -> tuple[str, ...]:
    """The source's sentences without navigation, cookie lines, links and markup; each once."""
    found: dict[str, None] = {}
    source = FENCED.sub("\n", source)  # code is no prose
    text = EMPHASIS.sub("", LINK.sub(r"\1", FRONT_MATTER.sub("", source)))
    # a line that goes on in lower case was broken by a text editor
    for raw in WRAPPED.sub(" ", text).split("\n"):
        line = BULLET.sub("", _row(raw)).strip(" \t*>")
        words = line.split()
        # a short line without a full stop is a menu entry or a heading, and states nothing
        titled = len(words) < 8 and not line.endswith((".", "!", "?"))
        if line.startswith("#") or titled or (len(words) < 25 and CHATTER.search(line)):
            continue
        for sentence in sentences(line):
            if 4 <= len(sentence.split()) <= 70:
                found[_whole(sentence)] = None
    return tuple(found)


def _row(line: str) -> str:
    """A table's row as a sentence, its first cell what it is about; another line as it is."""
    if line.count("|") < 2 or CHATTER.search(line):
        return line.replace("|", "\n").partition("\n")[0]
    cells = [cell.strip() for cell in line.split("|")]
    first, *rest = [cell for cell in cells if re.search(r"\w", cell)] or [""]
    said = f"{first}: {'; '.join(rest)}"
    return f"{said}." if rest and len(said.split()) >= 4 else ""


def _whole(sentence: str) -> str:
    """The sentence with a capital and a full stop, as list items often have neither."""
    if sentence[-1] not in '.!?"”’)':
        kept = sentence.rstrip(" ,;:–-").removesuffix(" and").removesuffix(" or")
        sentence = kept.rstrip(" ,;:–-") + "."
    return capital(sentence)


QUOTED = 0.25
"""How many rewrites quote one sentence of the source word for word, as a good one may."""
MOST_QUOTED_WORDS = 30


def rewrite(style: str, source: str, title: str, audience: str, dice: Dice) -> str:
    """The rewritten source, its style on the first line; one without a shape is a textbook's."""
    shape = style if style in WRITERS else "textbook"
    found = prose(source) or sentences(source)
    terms = key_terms(" ".join(found))
    title = " ".join(title.split()) or terms[0]
    page = Page(title, audience_group(audience), dice, terms)
    if not found:
        return f"=== {style} ===\nThere is nothing here to work with."
    # a window of the source in its own order: another seed rewrites another part of a long page
    start = dice.between(0, max(0, len(found) - MAX_SENTENCES))
    # how much is kept differs, or two rewrites of one page would be near-duplicates
    share = dice.pick((0.75, 0.85, 0.95))
    chosen = [
        sentence for sentence in found[start : start + MAX_SENTENCES] if dice.chance(share)
    ] or [found[0]]
    page.chosen = _said_otherwise(chosen, dice, figures=shape != "maths")
    heading = f"# {page.say(f'titles_{shape}')}"
    return "\n".join([f"=== {style} ===", heading, "", *WRITERS[shape](page)])


def _said_otherwise(chosen: list[str], dice: Dice, *, figures: bool) -> list[str]:
    said = [paraphrase(sentence, dice, figures=figures) for sentence in chosen]
    short = [at for at, text in enumerate(chosen) if 6 <= len(text.split()) <= MOST_QUOTED_WORDS]
    if len(chosen) > 4 and short and dice.chance(QUOTED):
        at = dice.pick(short)
        said[at] = pick("paraphrase", "quotes", dice, {"sentence": chosen[at]})
    return said
