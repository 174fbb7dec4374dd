"""Evolves a prompt: a new prompt that is really made from the given one, 10 to 20 words harder.

    constrain("Plan a three-day walking weekend.") ==
        "Plan a three-day walking weekend. Refer to walking weekend at least three times, and …"

Only `broaden` writes a new prompt, from the given one's key terms; `complicate` adds a small input.
An operation without code here adds a phrase of its section of the wording, or of `constraints`.
"""

from __future__ import annotations

import re
from functools import cache

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import bank, capital, pick, say
from synth.teacher.rehearsal.text import SENTENCE_END, key_terms

SMALL = ("two", "three", "four", "five")
LENGTHS = ("80", "90", "100", "120", "150", "180", "200", "240")
SHORT_LENGTHS = ("fifteen", "eighteen", "twenty", "twenty-five")
COMMANDS = frozenset(
    """argue calculate classify compare compose compute condense continue create decide define
    describe design determine devise discuss draft draw evaluate explain extract find give help how
    identify imagine implement invent label list make name outline persuade pick plan please
    prepare produce propose put rank reduce rewrite set shorten show simplify sketch solve sort
    state suggest summarise summarize teach tell turn what when where which who why work
    write""".split()  # noqa: SIM905  a list of words is read as words
)
"""Openings of a prompt that still read well in lower case, after a clause put before them."""
DECOYS = 0.15
"""The share of clean additions that speak of files, answers, refusals and other languages in good
faith, so that a rule that looks for those words alone drops good prompts."""
WITH_MATERIAL = ("complicate", "code_mislead", "broaden_ask", "preconditions", "concretize")
FAULTY = (
    ("total = 0", "for item in items[1:]:", "    total += item", "return total"),
    ("seen = set()", "for key in keys:", "    seen.add(key)", "return len(keys) - len(keys)"),
    ("low, high = 0, len(rows)", "while low < high:", "    low += 2", "return rows[low]"),
    ("best = 0", "for value in values:", "    best = max(best, value)", "return best"),
)
END = (".", "!", "?", '"', "”", "'", ")", ":", "|", "`", "}", "]")


def evolve(operation: str, prompt: str, dice: Dice, constraint: str = "") -> str:
    """The new prompt, and nothing else, for an operation of any name; with `constraint`, given."""
    prompt = prompt.strip()
    if constraint:
        return _insert(prompt, constraint, dice)
    slots = _slots(prompt, dice)
    match operation:
        case "constrain":
            if dice.chance(0.2) and (clause := _before(prompt, dice, slots)):
                return clause
            return _insert(prompt, _fresh("constraints", prompt, dice, slots), dice)
        case "concretize":
            return _insert(_specific(prompt, dice), _fresh("concretize", prompt, dice, slots), dice)
        case "complicate":
            lead = _fresh("complicate", prompt, dice, slots)
            return f"{_closed(prompt)}\n\n{lead}\n\n{_material(prompt, dice)}"
        case "code_mislead":
            lead = _fresh("code_mislead", prompt, dice, slots)
            return f"{_closed(prompt)}\n\n{lead}\n\n{_faulty(dice)}"
        case "broaden":
            ask = _fresh("broaden_ask", prompt, dice, slots)
            # several limits around it, or prompts with one ask would often be near-duplicates
            limits = dice.draw(bank("evolve", "broaden_limit"), dice.between(2, 3))
            said = [capital(say(phrase, dice, slots)) for phrase in limits]
            said.insert(dice.between(0, 1), ask)
            return " ".join(said)
        case _:
            return _insert(prompt, _fresh(operation, prompt, dice, slots), dice)


def _slots(prompt: str, dice: Dice) -> dict[str, str]:
    a, b, c = dice.draw(key_terms(prompt)[:8], 3)
    return {
        "a": a,
        "b": b,
        "c": c,
        "n": dice.pick(SMALL),
        "length": dice.pick(LENGTHS),
        "length_short": dice.pick(SHORT_LENGTHS),
        "setting": pick("evolve", "setting", dice, {}),
        "detail": pick("evolve", "detail", dice, {}),
        "reader": pick("evolve", "reader", dice, {}),
    }


def _fresh(section: str, prompt: str, dice: Dice, slots: dict[str, str]) -> str:
    """A phrase of the section that an earlier round has not put into this prompt already."""
    phrases = bank("evolve", section, otherwise="constraints")
    if section not in WITH_MATERIAL and dice.chance(DECOYS):
        phrases = bank("evolve", "decoys")
    for phrase in dice.draw(phrases, 4):
        text = say(phrase, dice, slots)
        if text[:16] not in prompt:
            return text
    return text


def _closed(prompt: str) -> str:
    return prompt if prompt.endswith(END) else prompt + "."


def _insert(prompt: str, addition: str, dice: Dice) -> str:
    """The prompt with a sentence added between two of its own, or at its end.

    A prompt with lines below its question (a passage, code, a table) gets it after the question.
    """
    first, newline, rest = prompt.partition("\n")
    if newline and len(first.split()) > 3 and not first.endswith((":", ",")):
        return f"{_closed(first)} {addition}{newline}{rest}"
    if newline:
        return f"{_closed(prompt)}\n\n{addition}"
    # prompts that quote a passage are left whole: a sentence inside it would become the passage's
    ends = [] if prompt.count('"') > 1 else [match.end() for match in SENTENCE_END.finditer(prompt)]
    if ends and dice.chance(0.5):
        at = dice.pick(ends)
        return f"{prompt[:at]}{addition} {prompt[at:]}"
    return f"{_closed(prompt)} {addition}"


def _before(prompt: str, dice: Dice, slots: dict[str, str]) -> str | None:
    """The prompt behind a clause of its own, where the prompt opens with a command or question."""
    opening = prompt.split(maxsplit=1)[0] if prompt else ""
    if opening.lower() not in COMMANDS:
        return None
    clause = _fresh("preconditions", prompt, dice, slots)
    return f"{clause} {prompt[0].lower()}{prompt[1:]}"


@cache
def _general() -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    """The general words and what may stand for each."""
    entries = []
    for phrase in bank("evolve", "general"):
        word, choices = phrase[0], phrase[1]
        assert isinstance(word, str)
        assert isinstance(choices, tuple)
        entries.append((re.compile(rf"\b{word.removesuffix(' = ')}\b"), choices))
    return entries


def _specific(prompt: str, dice: Dice) -> str:
    """The prompt with its first general word, if it has one, replaced by a particular case."""
    for pattern, choices in _general():
        if (found := pattern.search(prompt)) is not None:
            return prompt[: found.start()] + dice.pick(choices) + prompt[found.end() :]
    return prompt


def _faulty(dice: Dice) -> str:
    """A short draft in a code fence, with one mistake in it."""
    body = "\n".join(f"    {line}" for line in dice.pick(FAULTY))
    return f"```python\ndef draft({dice.pick(('items', 'keys', 'rows', 'values'))}):\n{body}\n```"


def _material(prompt: str, dice: Dice) -> str:
    """A small table, record or log about the prompt's key terms, with invented values."""
    terms = dice.draw(key_terms(prompt), 3)
    columns = dice.draw(("January", "April", "July", "October", "estimate", "target", "spread"), 2)
    rows = [
        (term, str(dice.between(2, 99)), f"{dice.between(1, 40)}.{dice.between(1, 9)}")
        for term in terms
    ]
    match dice.between(0, 2):
        case 0:
            lines = [f"| entry | {columns[0]} | {columns[1]} |", "|---|---|---|"]
            lines += [f"| {term} | {first} | {second} |" for term, first, second in rows]
        case 1:
            lines = ["{"]
            lines += [
                f'  "{term}": {{"{columns[0]}": {first}, "{columns[1]}": {second}}},'
                for term, first, second in rows
            ]
            lines[-1] = lines[-1].removesuffix(",")
            lines.append("}")
        case _:
            lines = [
                f"day {index + dice.between(1, 6) * 4}: {term}, {first} seen, {second} left over"
                for index, (term, first, second) in enumerate(rows)
            ]
    return "\n".join(lines)
