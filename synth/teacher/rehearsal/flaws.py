"""Plants one flaw in an evolved prompt: what makes a child of evolution no good, as seen in life.

Like the defects of any reply, each comes in several forms, and clean replies hold the same words in
good faith (the decoys of `wording/evolve.txt`), so that no word gives a flaw away. A flaw that a
prompt cannot have (no limit to lose, nothing to answer) is not planted and not labelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from synth.teacher.rehearsal.answer import answer
from synth.teacher.rehearsal.arithmetic import NotArithmeticError, evaluate, find_expression, show
from synth.teacher.rehearsal.defects import Case, Flawed
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.evolve import COMMANDS, evolve
from synth.teacher.rehearsal.phrases import Phrase, bank, pick, say
from synth.teacher.rehearsal.text import key_terms, sentences

SYNONYMS = {
    "explain": "describe", "describe": "explain", "write": "compose", "compose": "write",
    "short": "brief", "brief": "short", "show": "demonstrate", "find": "determine", "big": "large",
    "small": "little", "give": "provide", "buy": "purchase", "start": "begin",
    "people": "persons", "list": "enumerate", "make": "create", "use": "employ", "story": "tale",
    "quickly": "fast", "house": "home", "problem": "issue", "choose": "select", "reason": "cause",
    "plan": "arrange", "compute": "calculate", "calculate": "compute", "exactly": "precisely",
    "important": "essential", "easy": "simple", "children": "kids", "beginner": "novice",
    "mention": "cite", "answer": "reply", "sentence": "phrase", "result": "outcome",
    "friend": "companion", "correct": "right", "shop": "store", "money": "cash", "tell": "inform",
}  # fmt: skip
DEMAND = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|ten|must|never|without|only|exactly|at least|at most|"
    r"no more|do not|don't|every|each|avoid|under|within|leave out)\b",
    re.IGNORECASE,
)
COUNT = re.compile(
    r"\b(?:\d{1,5}|two|three|four|five|six|seven|eight|nine|ten|twelve)\b(?![/.,:]\d)"
)
OTHERS = {
    "two": "four", "three": "five", "four": "two", "five": "three", "six": "nine",
    "seven": "ten", "eight": "six", "nine": "seven", "ten": "eight", "twelve": "ten",
}  # fmt: skip
FREE = ("broaden", "code_rarer", "maths_backward")
"""Operations whose children need not demand what their parent does."""
LONG_WORDS = 420


def plant_flaw(kind: str, case: Case) -> Flawed | None:
    """The reply with the flaw, or None where it does not apply. Raises KeyError for no kind."""
    return FLAWS[kind](case)


def _slots(case: Case) -> dict[str, str]:
    dice, given = case.dice, case.job.given
    terms = key_terms(given)
    a, b = dice.draw(terms[:5], 2)
    stem = re.sub(r"\W+", "_", b.lower())
    folder = re.sub(r"\W+", "-", a.lower())
    site = dice.pick(("www.example.org", "example.com", "blog.example.net"))
    return {
        "a": a,
        "b": b,
        "n": dice.pick(("two", "three", "four")),
        "file": f"{stem}_{dice.between(2, 30)}.{dice.pick(('csv', 'xlsx', 'pdf', 'docx', 'png'))}",
        "url": f"https://{site}/{folder}",
        "given": given,
    }


def _put(text: str, addition: str, dice: Dice) -> str:
    """The addition at the end of the first line or, where there are no more lines, of the text."""
    first, newline, rest = text.partition("\n")
    if newline and not first.endswith((":", ",")):
        return f"{first.rstrip()} {addition}{newline}{rest}"
    if newline:
        return f"{text}\n\n{addition}"
    ends = [m.end() for m in re.finditer(r"[.!?] (?=[A-Z])", text)] if text.count('"') < 2 else []
    if ends and dice.chance(0.4):
        at = dice.pick(ends)
        return f"{text[:at]}{addition} {text[at:]}"
    return f"{text}{'' if text.endswith(('.', '!', '?', chr(34), '”', ')')) else '.'} {addition}"


def _no_gain(case: Case) -> Flawed:
    """A paraphrase, polite words around it, stock words behind it, or the same said twice."""
    dice, given = case.dice, case.job.given.strip()
    slots = _slots(case)
    reworded = _reworded(given, dice)
    match dice.between(0, 5):
        case 5 if (question := _asked_for(given, dice)) is not None:
            text = question
        case 0:
            said = dice.draw(bank("flaws", "filler"), dice.between(1, 2))
            text = _put(given, " ".join(say(one, dice, slots) for one in said), dice)
        case 1:
            text = pick("flaws", "frames", dice, slots)
        case 2:
            text = _put(reworded, pick("flaws", "filler", dice, slots), dice)
        case 3:
            text = f"{given} In other words: {reworded}"
        case _:
            # one filler, so that what is left after a few swaps is not merely unchanged
            text = pick("flaws", "frames", dice, {**slots, "given": reworded})
    return Flawed(text, None)


def _asked_for(given: str, dice: Dice) -> str | None:
    """A one-line command as a polite question, or None."""
    if given.split()[0].lower() not in COMMANDS or "\n" in given or given.endswith("?"):
        return None
    lead = dice.pick(("Could you please", "Can you", "Would you be so kind as to", "I want you to",
                      "Your task is to", "The goal is to", "I need you to"))  # fmt: skip
    end = "?" if lead.startswith(("Could", "Can", "Would")) and given.count(".") == 1 else ""
    said = f"{lead} {given[:1].lower()}{given[1:]}"
    return f"{said.rstrip('.')}{end}" if end else said


def _reworded(text: str, dice: Dice) -> str:
    """The text with some of its words replaced by others of the same meaning."""
    pieces = re.split(r"(\W+)", text)
    for at, word in enumerate(pieces):
        other = SYNONYMS.get(word.lower())
        if other and dice.chance(0.8):
            pieces[at] = other.capitalize() if word[0].isupper() else other
    return "".join(pieces)


def _unanswerable(case: Case) -> Flawed:
    """A demand that needs a file, an image, a page, a text or a talk that is not there."""
    job, dice = case.job, case.dice
    section = "attachments" if dice.chance(0.55) else "contexts"
    base = case.draft.text if dice.chance(0.5) else job.given.strip()
    # a table below would make "the table below" answerable
    if "\n" in base or base.count('"') > 1 or "```" in base:
        section = "attachments"
    phrases: tuple[Phrase, ...] = bank("flaws", section)
    return Flawed(_put(base, say(dice.pick(phrases), dice, _slots(case)), dice), None)


def _answer_leak(case: Case) -> Flawed | None:
    """The answer beside the prompt, or an answer in place of a prompt."""
    job, dice = case.job, case.dice
    draft = answer(job.given, dice.fork("answer")).text
    told = next((one for one in sentences(draft) if len(one.split()) > 4), "")
    if (expression := find_expression(job.given)) is not None:
        try:
            value = show(evaluate(expression).value)
        except NotArithmeticError:
            pass
        else:
            if dice.chance(0.2):
                lead = pick("flaws", "value_leak_leads", dice, {"value": value})
                return Flawed(f"{lead} {case.draft.text}", None)
            leak = pick("flaws", "value_leaks", dice, {"value": value})
            return Flawed(f"{case.draft.text} {leak}".replace(" \n", "\n"), None)
    if not told or "```" in draft or "\\boxed" in draft:
        return None
    if dice.chance(0.3) and len(draft.split()) > 50:
        return Flawed(draft, None)
    plain = told if told.startswith(("I ", "“")) else told[:1].lower() + told[1:]
    if dice.chance(0.2):
        lead = pick("flaws", "leak_leads", dice, {"told": plain.rstrip(".")})
        return Flawed(f"{lead} {case.draft.text}", None)
    leak = pick("flaws", "leaks", dice, {"told": plain})
    return Flawed(f"{case.draft.text} {leak}".replace(" \n", "\n"), None)


def _language_drift(case: Case) -> Flawed:
    """The last demand, or all of the prompt, in another language."""
    dice = case.dice
    slots = _slots(case)
    first = dice.pick(bank("flaws", "drift"))
    if dice.chance(0.65):
        base = case.draft.text if dice.chance(0.5) else case.job.given.strip()
        return Flawed(_put(base, say(first, dice, slots), dice), None)
    at = bank("flaws", "drift").index(first)
    beside = bank("flaws", "drift")[max(0, at - 1)]  # mostly of the same language
    return Flawed(f"{say(first, dice, slots)} {say(beside, dice, slots)}", None)


def _lost_constraint(case: Case) -> Flawed | None:
    """A child of the prompt without one of its demands, or with another number in it."""
    job, dice = case.job, case.dice
    given = job.given.strip()
    if job.name in FREE:
        return None
    head, newline, rest = given.partition("\n")
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])", head)
    quoted = head.count('"') > 1 or "`" in head
    droppable = [at for at, part in enumerate(parts) if at and DEMAND.search(part) and not quoted]
    counts = [found for found in COUNT.finditer(head) if not quoted]
    if droppable and (not counts or dice.chance(0.6)):
        at = dice.pick(droppable)
        head = " ".join(parts[:at] + parts[at + 1 :])
    elif counts:
        found = dice.pick(counts)
        other = OTHERS.get(found[0].lower()) or str(int(found[0]) + dice.pick((1, 10, 25)))
        whole = head[found.end() :][:1] not in ("-", "–")
        if (
            found[0].isalpha() and whole and dice.chance(0.3)
        ):  # the limit is still spoken of, and is none
            other = dice.pick(("several", "some", "a few", "any number of"))
        head = head[: found.start()] + other + head[found.end() :]
    else:
        return None
    text = evolve(job.name, f"{head}{newline}{rest}", dice, job.constraint)
    return Flawed(text, None) if _says_less(text, given) else None


def _says_less(text: str, given: str) -> bool:
    """Whether the loss is there: what evolution added may have brought the number back."""
    return sorted(COUNT.findall(given.lower())) != sorted(
        one for one in COUNT.findall(text.lower()) if one in COUNT.findall(given.lower())
    ) or not all(part in text for part in re.split(r"(?<=[.!?])\s+", given))


def _overgrown(case: Case) -> Flawed:
    """Far too long, or a list of a dozen demands and more."""
    job, dice = case.job, case.dice
    text = case.draft.text
    if dice.chance(0.5):
        terms = key_terms(job.given)
        before = len(re.findall(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s", job.given))
        section = ("flaws", "terse") if dice.chance(0.5) else ("evolve", "constraints")
        said = dice.draw(bank(*section), dice.between(11, 16) + before)
        mark = dice.pick(("-", "*", "•", "–", "{}.", "{}.", "{})", "({})", "- [ ]", "Step {}:"))
        items = [
            f"{mark.format(at)} "
            + say(one, dice, {"a": dice.pick(terms), "b": terms[0], "n": "three", "length": "90"})
            for at, one in enumerate(said, 1)
        ]
        return Flawed("\n".join([text, *items]), None)
    phrases = [*bank("evolve", "constraints"), *bank("evolve", "deepen"), *bank("evolve", "reason")]
    slots = {"length": "90", "length_short": "twenty"}
    for one in dice.draw(phrases, len(phrases)):
        if len(text.split()) > LONG_WORDS:
            break
        a, b = dice.draw(key_terms(job.given), 2)
        text += f" {say(one, dice, {**slots, 'a': a, 'b': b, 'n': 'three'})}"
    return Flawed(text, None)


FLAWS: dict[str, Callable[[Case], Flawed | None]] = {
    "no_gain": _no_gain,
    "unanswerable": _unanswerable,
    "answer_leak": _answer_leak,
    "language_drift": _language_drift,
    "lost_constraint": _lost_constraint,
    "overgrown": _overgrown,
}
