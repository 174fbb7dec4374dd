"""The shapes of a rewrite: how the sentences of a source stand in a FAQ, a table, a dialogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import capital, pick
from synth.teacher.rehearsal.problem import problem
from synth.teacher.rehearsal.text import key_terms, numbers


@dataclass(slots=True)
class Page:
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
        """A phrase of the section, about the sentence or the whole."""
        return capital(pick("rewrite", section, self.dice, self.slots(sentence)))

    def lead(self, sentence: str) -> str:
        """The sentence, at times with a few words before it that suit the audience."""
        if not self.dice.chance(0.3):
            return sentence
        return f"{self.say(f'leads_{self.group}')} {sentence}"

    def intro(self) -> list[str]:
        """At times a sentence that says what is to come: a page may well begin without one."""
        return [self.say(f"intro_{self.group}"), ""] if self.dice.chance(0.6) else []

    def groups(self, low: int, high: int) -> list[list[str]]:
        """The chosen sentences in consecutive groups of low to high."""
        groups, rest = [], self.chosen
        while rest:
            size = self.dice.between(low, high)
            groups.append(rest[:size])
            rest = rest[size:]
        return groups


def _faq(page: Page) -> list[str]:
    lines = page.intro()
    for group in page.groups(1, 3):
        section = "questions_number" if numbers(group[0]) and page.dice.chance(0.6) else "questions"
        lines += [f"**{page.say(section, group[0])}**", page.lead(" ".join(group)), ""]
    return lines[:-1]


def _table(page: Page) -> list[str]:
    heads = (
        ("Topic", "What is said", "Figures"),
        ("Subject", "Statement", "Numbers"),
        ("About", "Fact", "Values"),
        ("Point", "Details", "Amounts"),
        (capital(page.terms[0]), "What is known", "In figures"),
    )
    subject, said, figures = page.dice.pick(heads)
    lines = [*page.intro(), f"| {subject} | {said} | {figures} |", "|---|---|---|"]
    for sentence in page.chosen:
        about = capital(page.slots(sentence)["a"])
        lines.append(f"| {about} | {sentence} | {', '.join(numbers(sentence)) or '–'} |")
    if page.dice.chance(0.35):  # a page may well end with its table
        return lines
    return [*lines, "", page.say("summaries", page.dice.pick(page.chosen))]


def _tutorial(page: Page) -> list[str]:
    lines = [*page.intro(), page.say("before"), ""]
    for number, group in enumerate(page.groups(1, 2), 1):
        about = capital(page.slots(group[0])["a"])
        lines.append(f"{number}. **{about}.** {page.lead(' '.join(group))}")
        if page.dice.chance(0.2):
            lines.append(f"   {page.say('step_check', group[0])}")
    return [*lines, "", page.say("after")] if page.dice.chance(0.75) else lines


def _textbook(page: Page) -> list[str]:
    goals = page.dice.draw(page.terms[:6], 3)
    lines = [*page.intro(), page.say("goal_heads")]
    for goal in goals:
        second = page.dice.pick([term for term in page.terms if term != goal])
        lines.append(f"- {pick('rewrite', 'goals', page.dice, {'a': goal, 'b': second})}")
    for group in page.groups(3, 5):
        lines += ["", f"## {page.say('sections', group[0])}", "", page.lead(" ".join(group))]
    lines += ["", "## Key terms", ""]
    for term in page.terms[:4]:
        second = page.dice.pick([other for other in page.terms if other != term])
        mention = pick("rewrite", "mentions", page.dice, {"a": term, "b": second})
        lines.append(f"- **{term}**: {mention}")
    lines += ["", "## Review", ""]
    reviewed = page.dice.draw(page.chosen, 3)
    lines += [f"{number}. {page.say('review', text)}" for number, text in enumerate(reviewed, 1)]
    return [*lines, "", page.say("summaries", page.dice.pick(page.chosen))]


def _maths(page: Page) -> list[str]:
    # the lines with numbers are kept, and a few before them: what the problem stands on
    count = page.dice.between(3, 6)
    told = [at for at, text in enumerate(page.chosen) if numbers(text)] or [0]
    # begun anywhere among them, or every problem about a page would stand on the same lines
    start = max(0, min(page.dice.pick(told) - page.dice.between(0, 1), len(page.chosen) - count))
    passage = " ".join(page.chosen[start : start + count])
    return [*page.intro(), passage, "", *problem(passage, page.slots(passage), page.dice)]


def _sectioned(page: Page) -> list[str]:
    """An encyclopedia's entry or an academic section: paragraphs under headings, no address."""
    lines = []
    for number, group in enumerate(page.groups(2, 4)):
        lines += [f"## {page.say('sections', group[0])}", ""] if number else []
        lines += [" ".join(group), ""]
    return lines[:-1]


def _notes(page: Page) -> list[str]:
    lines: list[str] = []
    mark = page.dice.pick(("-", "-", "*", "•"))
    open_ended = page.dice.chance(0.3)  # notes often do without a full stop
    for group in page.groups(2, 5):
        lines += [f"## {capital(page.slots(group[0])['a'])}", ""]
        said = [text.removesuffix(".") if open_ended else text for text in group]
        lines += [f"{mark} {sentence}" for sentence in said] + [""]
    return lines[:-1]


def _dialogue(page: Page) -> list[str]:
    learner, expert = page.dice.pick(
        (("Learner", "Expert"), ("Ina", "Mr Okoro"), ("Pupil", "Tutor"))
    )
    lines: list[str] = []
    for group in page.groups(1, 3):
        # nobody opens a conversation with "Sure, but …"
        asks = "asks_on" if lines and page.dice.chance(0.25) else "asks"
        lines += [f"{learner}: {page.say(asks, group[0])}", f"{expert}: {' '.join(group)}", ""]
    return [*lines, f"{learner}: {page.say('thanks', page.chosen[-1])}"]


def _story(page: Page) -> list[str]:
    name = page.dice.pick(("Runa", "Teo", "Mireille", "Bashir", "Old Hanne", "Ludo"))
    lines = [pick("rewrite", "story_begins", page.dice, {**page.slots(), "name": name}), ""]
    for group in page.groups(2, 4):
        told = pick("rewrite", "story_tells", page.dice, {**page.slots(group[0]), "name": name})
        lines += [f"{told} {' '.join(group)}", ""]
    return [*lines, pick("rewrite", "story_ends", page.dice, {**page.slots(), "name": name})]


WRITERS: Final[dict[str, Callable[[Page], list[str]]]] = {
    "faq": _faq,
    "table": _table,
    "tutorial": _tutorial,
    "maths": _maths,
    "textbook": _textbook,
    "academic": _sectioned,
    "wiki": _sectioned,
    "notes": _notes,
    "dialogue": _dialogue,
    "story": _story,
}
