"""Rewrites a source in a style: the source's own sentences, selected, regrouped and framed.

    === faq ===
    # Questions and answers about the seed library

    **What is said about the catalogue?**
    Briefly: The catalogue is kept on cards in a wooden drawer.

Every name and number comes from the source; only the result of a maths problem is new.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import capital, pick
from synth.teacher.rehearsal.problem import problem
from synth.teacher.rehearsal.text import key_terms, numbers, sentences

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
    text = EMPHASIS.sub("", LINK.sub(r"\1", FRONT_MATTER.sub("", source)))
    # a line that goes on in lower case was broken by a text editor; a table's cells stand apart
    for raw in WRAPPED.sub(" ", text).replace("|", "\n").split("\n"):
        line = BULLET.sub("", raw).strip(" \t*>")
        words = line.split()
        # a short line without a full stop is a menu entry or a heading, and states nothing
        titled = len(words) < 8 and not line.endswith((".", "!", "?"))
        if line.startswith("#") or titled or (len(words) < 25 and CHATTER.search(line)):
            continue
        for sentence in sentences(line):
            if 4 <= len(sentence.split()) <= 70:
                found[_whole(sentence)] = None
    return tuple(found)


def _whole(sentence: str) -> str:
    """The sentence with a capital and a full stop, as list items often have neither."""
    if sentence[-1] not in '.!?"”’)':
        kept = sentence.rstrip(" ,;:–-").removesuffix(" and").removesuffix(" or")
        sentence = kept.rstrip(" ,;:–-") + "."
    return capital(sentence)


@dataclass(slots=True)
class _Page:
    """A source as one rewrite sees it."""

    title: str
    group: str
    dice: Dice
    terms: tuple[str, ...] = ()
    chosen: list[str] = field(default_factory=list)

    def slots(self, sentence: str = "") -> dict[str, str]:
        """Slots about one sentence, or about the whole source."""
        near = [term for term in self.terms if term.lower() in sentence.lower()] or (
            list(key_terms(sentence)[:3]) if sentence else []
        )
        first = near[0] if near else self.terms[0]
        second = self.dice.pick([term for term in self.terms[:6] if term != first])
        return {"a": first, "b": second, "title": self.title, "sentence": sentence}

    def say(self, section: str, sentence: str = "") -> str:
        return capital(pick("rewrite", section, self.dice, self.slots(sentence)))

    def lead(self, sentence: str) -> str:
        """The sentence, at times with a few words before it that suit the audience."""
        if not self.dice.chance(0.3):
            return sentence
        return f"{self.say(f'leads_{self.group}')} {sentence}"


def rewrite(style: str, source: str, title: str, audience: str, dice: Dice) -> str:
    """The rewritten source, its style on the first line; one without code here is a textbook's."""
    shape = style if style in WRITERS else "textbook"
    found = prose(source) or sentences(source)
    terms = key_terms(" ".join(found))
    title = " ".join(title.split()) or terms[0]
    page = _Page(title, audience_group(audience), dice, terms)
    if not found:
        return f"=== {style} ===\nThere is nothing here to work with."
    # a window of the source in its own order: another seed rewrites another part of a long page
    start = dice.between(0, max(0, len(found) - MAX_SENTENCES))
    page.chosen = [
        sentence for sentence in found[start : start + MAX_SENTENCES] if dice.chance(0.92)
    ] or [found[0]]
    heading = f"# {page.say(f'titles_{shape}')}"
    return "\n".join([f"=== {style} ===", heading, "", *WRITERS[shape](page)])


def _grouped(page: _Page, low: int, high: int) -> list[list[str]]:
    """The chosen sentences in consecutive groups of low to high."""
    groups, rest = [], page.chosen
    while rest:
        size = page.dice.between(low, high)
        groups.append(rest[:size])
        rest = rest[size:]
    return groups


def _faq(page: _Page) -> list[str]:
    lines = [page.say(f"intro_{page.group}")]
    for group in _grouped(page, 1, 3):
        section = "questions_number" if numbers(group[0]) and page.dice.chance(0.6) else "questions"
        lines += ["", f"**{page.say(section, group[0])}**", page.lead(" ".join(group))]
    return lines


def _table(page: _Page) -> list[str]:
    subject, said, figures = page.dice.pick(
        (
            ("Topic", "What is said", "Figures"),
            ("Subject", "Statement", "Numbers"),
            ("About", "Fact", "Values"),
        )
    )
    lines = [page.say(f"intro_{page.group}"), "", f"| {subject} | {said} | {figures} |"]
    lines.append("|---|---|---|")
    for sentence in page.chosen:
        about = capital(page.slots(sentence)["a"])
        lines.append(f"| {about} | {sentence} | {', '.join(numbers(sentence)) or '–'} |")
    return [*lines, "", page.say("summaries", page.dice.pick(page.chosen))]


def _tutorial(page: _Page) -> list[str]:
    lines = [page.say(f"intro_{page.group}"), "", page.say("before"), ""]
    for number, group in enumerate(_grouped(page, 1, 2), 1):
        about = capital(page.slots(group[0])["a"])
        lines.append(f"{number}. **{about}.** {page.lead(' '.join(group))}")
        if page.dice.chance(0.2):
            lines.append(f"   {page.say('step_check', group[0])}")
    return [*lines, "", page.say("after")]


def _textbook(page: _Page) -> list[str]:
    goals = page.dice.draw(page.terms[:6], 3)
    lines = [page.say(f"intro_{page.group}"), "", "After this section you should be able to:"]
    for goal in goals:
        second = page.dice.pick([term for term in page.terms if term != goal])
        lines.append(f"- {pick('rewrite', 'goals', page.dice, {'a': goal, 'b': second})}")
    for group in _grouped(page, 3, 5):
        lines += ["", f"## {page.say('sections', group[0])}", "", page.lead(" ".join(group))]
    lines += ["", "## Key terms", ""]
    for term in page.terms[:4]:
        where = next((text for text in page.chosen if term.lower() in text.lower()), None)
        if where is not None:
            lines.append(f"- **{term}**: {where}")
    lines += ["", "## Review", ""]
    reviewed = page.dice.draw(page.chosen, 3)
    lines += [f"{number}. {page.say('review', text)}" for number, text in enumerate(reviewed, 1)]
    return [*lines, "", page.say("summaries", page.dice.pick(page.chosen))]


def _maths(page: _Page) -> list[str]:
    # the lines with numbers are kept, and a few before them: what the problem stands on
    count = page.dice.between(3, 5)
    told = [at for at, text in enumerate(page.chosen) if numbers(text)]
    start = max(0, min(told[0] if told else 0, len(page.chosen) - count))
    passage = " ".join(page.chosen[start : start + count])
    lines = [page.say(f"intro_{page.group}"), "", passage, ""]
    return lines + problem(passage, page.slots(passage), page.dice)


WRITERS: dict[str, Callable[[_Page], list[str]]] = {
    "faq": _faq,
    "table": _table,
    "tutorial": _tutorial,
    "maths": _maths,
    "textbook": _textbook,
}
