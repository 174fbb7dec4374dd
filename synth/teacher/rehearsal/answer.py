"""Answers a prompt: worked arithmetic, a drafted function, quoted lines, or an essay of its terms.

What can be had from the prompt alone is had (a value, a signature, the line that holds a number);
the rest is plain prose about the prompt's key terms, grammatical and of no further use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from synth.instructions.stated import stated
from synth.teacher.rehearsal.arithmetic import (
    NotArithmeticError,
    Worked,
    evaluate,
    find_expression,
    show,
)
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.function import find_signature, write_function
from synth.teacher.rehearsal.phrases import bank, capital, pick, say
from synth.teacher.rehearsal.text import READ_CHARS, key_terms, sentences

QUOTED = re.compile(r'"([^"]{40,4000})"|“([^”]{40,4000})”', re.DOTALL)
LABELS = re.compile(
    r"(?:\bas|\bone of|\bamong|\bunder|\btags|\bfrom|\boptions|\bspace|\bor|:|\()[:\s]+"
    r"((?:[a-z]+(?: [a-z]+)?, )+[a-z]+(?: [a-z]+)?,? (?:or|and) [a-z]+(?: [a-z]+)?"
    r"|[a-z]+(?: [a-z]+)?(?:, [a-z]+(?: [a-z]+)?){1,5})",
    re.IGNORECASE,
)
JSON_KEYS = re.compile(r'\bkeys? ((?:"\w+"(?:, | and |, and )?)+)')
OWN_WORDS = re.compile(
    r"\b(?:continue|rewrite|translate|correct|improve|write|compose|draft)\b", re.IGNORECASE
)
"""Verbs that want a text of one's own, so that quoting the given one would be no answer."""
DECOYS = 0.1
"""How often each kind of good-faith look-alike of a defect stands in a clean essay."""
REASONS = ("step by step", "why", "reason", "prove", "deduce", "conclude", "puzzle", "follow from")
CONJUNCTION = re.compile(r",? (?:or|and) |, ")


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply before anything is planted in it."""

    text: str
    reasoning: str | None = None


def answer(prompt: str, dice: Dice) -> Draft:
    """The reply to a prompt. Any text has one; of a very long one the beginning is read."""
    prompt = prompt[:READ_CHARS]
    if (signature := find_signature(prompt)) is not None:
        return Draft(write_function(signature, prompt, dice))
    if (expression := find_expression(prompt)) is not None:
        try:
            return _worked(evaluate(expression), prompt, dice)
        except NotArithmeticError:
            pass  # it looked like arithmetic and is none: answered like any other prompt
    if (keys := JSON_KEYS.search(prompt)) is not None and "JSON" in prompt:
        return Draft(_object(keys[1], prompt, dice))
    if (passage := _passage(prompt)) is not None and sentences(passage):
        return Draft(_quote(passage, prompt, dice))
    return Draft(_essay(prompt, dice), _reasoning(prompt, dice))


def _worked(worked: Worked, prompt: str, dice: Dice) -> Draft:
    """Each operation on its own line, an occasional check, and the boxed value on the last line."""
    terms = key_terms(prompt)
    shown = worked.expression.replace("**", "^").replace("*", "×")
    slots = {"expression": shown, "value": show(worked.value), "a": dice.pick(terms[:4])}
    lines = [capital(pick("answer", "maths_openings", dice, slots))]
    steps = [
        pick("answer", "maths_steps", dice, {"left": step.left, "right": step.right})
        for step in worked.steps
    ]
    mark = dice.pick(("", "- ", "number"))
    for number, step in enumerate(steps, 1):
        lines.append(f"{f'{number}. ' if mark == 'number' else mark}{capital(step)}")
    lines += [
        say(phrase, dice, slots)
        for phrase in dice.draw(bank("answer", "maths_checks"), dice.between(1, 2))
    ]
    lines.append(f"The answer is \\boxed{{{slots['value']}}}.")
    said = " ".join(f"{step.left} = {step.right}." for step in worked.steps)
    reasoning = pick("answer", "maths_reasoning", dice, {**slots, "steps": said})
    return Draft("\n".join(lines), reasoning)


def _object(keys: str, prompt: str, dice: Dice) -> str:
    """A JSON object with the keys asked for, and values taken from the prompt."""
    terms = key_terms(prompt)
    names = re.findall(r'"(\w+)"', keys)
    return orjson.dumps({name: dice.pick(terms) for name in names}).decode()


def _passage(prompt: str) -> str | None:
    """The text that the prompt asks about: quoted, or below its first line; else None."""
    if OWN_WORDS.search(prompt) is not None:
        return None
    if (found := QUOTED.search(prompt)) is not None:
        return found[1] or found[2]
    _, _, rest = prompt.partition("\n")
    return rest.strip() if len(rest) > 60 else None


def _quote(passage: str, prompt: str, dice: Dice) -> str:
    """The passage's own sentences: one behind a label where labels are offered, else a few."""
    # what the prompt demands of its answer is no part of the passage, wherever it stands
    found = [one for one in sentences(passage) if not stated(one)] or list(sentences(passage))
    slots = {"a": dice.pick(key_terms(passage))}
    outside = prompt.replace(passage, " ", 1)
    if (offered := LABELS.search(outside)) is not None:
        labels = [label for label in CONJUNCTION.split(offered[1]) if label]
        slots |= {"label": capital(dice.pick(labels)), "quote": _short(dice.pick(found), dice)}
        line = pick("answer", "label_lines", dice, slots)
        return f"{line} {_remarks(passage, dice, 1)}" if dice.chance(0.7) else line
    lead = pick("answer", "quote_leads", dice, slots)
    if len(found) < 2:
        return f"{lead} “{_short(found[0], dice)}” {_remarks(passage, dice, 2)}"
    # at most half of the passage: more would be a copy, which is a defect and has its label
    wanted = [text for text in found if any(char.isdigit() for char in text)] or found
    size = min(len(wanted), dice.between(1, 4), len(found) // 2)
    start = dice.between(0, len(wanted) - size)
    wanted = wanted[start : start + size]
    if size == 1 or dice.chance(0.4):
        return f"{lead} {' '.join(wanted)} {_remarks(passage, dice, 2)}"
    items = [f"- {text}" for text in wanted]
    return "\n".join([lead, *items, "", _remarks(passage, dice, 3)])


def _remarks(text: str, dice: Dice, most: int) -> str:
    """One to `most` sentences about the text's key terms, so that two samples are not the same."""
    said = []
    for frame in dice.draw(bank("answer", "frames"), dice.between(1, most)):
        a, b, c = dice.draw(key_terms(text), 3)
        said.append(capital(say(frame, dice, {"a": a, "b": b, "c": c})))
    return " ".join(said)


def _short(sentence: str, dice: Dice) -> str:
    """A run of 4 to 9 words of the sentence."""
    words = sentence.split()
    size = min(len(words), dice.between(4, 9))
    start = dice.between(0, len(words) - size)
    return " ".join(words[start : start + size]).strip(".,;:!?\"'")


def _reasoning(prompt: str, dice: Dice) -> str | None:
    """A short working-out for a prompt that asks for reasons, None for any other."""
    low = prompt.lower()
    if not any(word in low for word in REASONS):
        return None
    a, b, c = dice.draw(key_terms(prompt), 3)
    return pick("answer", "reasoning", dice, {"a": a, "b": b, "c": c})


def _essay(prompt: str, dice: Dice) -> str:
    """60 to 250 words about the prompt's key terms, in paragraphs and at times with a list."""
    terms = key_terms(prompt)

    def slots() -> dict[str, str]:
        a, b, c = dice.draw(terms, 3)
        return {"a": a, "b": b, "c": c}

    opening = say(dice.pick(bank("answer", "openings")), dice, slots())
    count = dice.between(4, 10)
    body = [say(frame, dice, slots()) for frame in dice.draw(bank("answer", "frames"), count)]
    if dice.chance(DECOYS):
        body.insert(dice.between(0, len(body)), pick("answer", "decoys", dice, slots()))
    parts = [[opening]]
    for sentence in body:
        if len(parts[-1]) >= 2 and dice.chance(0.4):
            parts.append([])
        parts[-1].append(sentence)
    closing = pick("answer", "closings", dice, slots())
    paragraphs = [" ".join(map(capital, part)) for part in parts]
    if dice.chance(0.35):
        items = [
            f"- {say(item, dice, {'a': term})}"
            for item, term in zip(
                dice.draw(bank("answer", "list_items"), dice.between(3, 5)),
                dice.draw(terms, 5),
                strict=False,
            )
        ]
        lead = capital(pick("answer", "list_leads", dice, {}))
        paragraphs.insert(dice.between(1, len(paragraphs)), "\n".join([lead, *items]))
    if dice.chance(DECOYS):
        paragraphs.insert(dice.between(1, len(paragraphs)), _repeating(slots, dice))
    if dice.chance(DECOYS):  # a good reply may end in a list, and a list without a full stop
        items = [f"- {term}" for term in dice.draw(terms, dice.between(3, 5))]
        return "\n\n".join([*paragraphs, "\n".join(["In this order:", *items])])
    paragraphs[-1] += f"\n\n{closing}" if "\n" in paragraphs[-1] else f" {closing}"
    return "\n\n".join(paragraphs)


def _repeating(slots: Callable[[], dict[str, str]], dice: Dice) -> str:
    """A verse with a refrain or a plan for a week: lines that repeat because they should."""
    filled = slots()
    if dice.chance(0.5):
        refrain = pick("answer", "verse", dice, filled)
        middle = pick("answer", "verse", dice, slots())
        return f"{refrain}\n\n{middle}\n\n{refrain}"
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    task = dice.pick(bank("answer", "weekly"))
    return "\n".join(
        ["As a plan for the week:", *(f"- {day}: {say(task, dice, filled)}" for day in days)]
    )
