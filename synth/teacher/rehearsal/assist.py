"""The smaller jobs around generation: judging a gain, improving an instruction, inventing prompts.

judge: "The second also wants …" and a last line `GAIN: 2`, from the words that were added
improve: the given instruction with a rule against each fault that is shown
"""

from __future__ import annotations

import re

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.evolve import evolve
from synth.teacher.rehearsal.phrases import bank, capital, pick, say
from synth.teacher.rehearsal.text import STOP_WORDS, WORD, key_terms

WORDS_A_POINT = 3  # content words that are worth a point of gain
RULES = {
    "unchanged": "change the prompt so that nobody could take it for the given one",
    "nothing added": "ask for something definite that the given prompt does not ask for",
    "needs attachment": "put everything that is needed into the prompt itself",
    "needs context": "refer to nothing but the prompt itself",
    "answer leaked": "keep the answer out of the prompt",
    "constraint lost": "repeat every limit and number of the given prompt word for word",
    "language changed": "write in the language of the given prompt throughout",
    "refused": "write a prompt in every case; it need not be answered by you",
    "too many words": "add one sentence at most",
    "list like": "write prose and no list",
}


def judge(given: str, dice: Dice) -> str:
    """One sentence and the line with the gain of `<after>` over `<before>`."""
    before = _words(_between(given, "before"))
    after = _words(_between(given, "after"))
    net = len(after - before) - len(before - after)
    gain = max(-2, min(5, -(-net // WORDS_A_POINT)))
    new = sorted(after - before) or ["nothing"]
    reason = pick("assist", "judged" if gain > 0 else "judged_equal", dice, {"a": dice.pick(new)})
    return f"{capital(reason)}\nGAIN: {gain}"


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)} - STOP_WORDS


def improve(given: str, dice: Dice) -> str:
    """The instruction, and a sentence with a rule for each kind of failure shown."""
    failures = _between(given, "failures")
    wrong = list(dict.fromkeys(re.findall(r"(?m)^Wrong: (.+)$", failures)))
    rules = [RULES[one] for one in wrong if one in RULES] or ["make a definite demand"]
    said = pick("assist", "improved", dice, {"a": "; ".join(rules)})
    return f"{_between(given, 'instruction').strip()} {said}"


def invent(name: str, given: str, dice: Dice) -> str:
    """A new prompt: of the examples' domain, a persona's, of a document, or a follow-up."""
    if name == "follow_up":
        asked, answered = _between(given, "prompt"), _between(given, "answer")
        terms = key_terms(answered or given)
        slots = {"a": dice.pick(terms[:5]), "b": dice.pick(key_terms(asked or given)[:4])}
        return capital(pick("assist", "follow_up", dice, slots))
    if name == "document":
        terms = key_terms(_between(given, "source") or given)
        a, b, c = dice.draw(terms[:8], 3)
        slots = {"a": a, "b": b, "c": c, "n": dice.pick(("two", "three", "four"))}
        said = dice.draw(bank("assist", "document"), 2)
        return " ".join(capital(say(one, dice, slots)) for one in said)
    examples = re.findall(r"<example>\n(.*?)\n</example>", given, re.DOTALL) or [given]
    prompt = evolve("broaden", dice.pick(examples), dice)
    if name == "persona":
        persona = _between(given, "persona") or pick("assist", "personas", dice, {})
        prompt = f"PERSONA: {persona}\n{prompt}"
    return prompt


def _between(text: str, tag: str) -> str:
    start, end = text.find(f"<{tag}>"), text.rfind(f"</{tag}>")
    return text[start + len(tag) + 2 : end].strip() if 0 <= start < end else ""
