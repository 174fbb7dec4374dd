"""Plants one defect in a clean reply. Pure: the same case gives the same flawed reply.

Each kind comes in many forms, some of them mild, so that no single rule finds them all. A defect
that the reply cannot have (a wrong answer where nothing is boxed) is not planted and not labelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from synth.instructions.stated import stated
from synth.teacher.rehearsal import unfaithful
from synth.teacher.rehearsal.answer import Draft, answer
from synth.teacher.rehearsal.arithmetic import show
from synth.teacher.rehearsal.cuts import cut
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.loops import looped
from synth.teacher.rehearsal.obey import disobey
from synth.teacher.rehearsal.phrases import bank, pick, say
from synth.teacher.rehearsal.replies import Job, compose
from synth.teacher.rehearsal.text import key_terms, sentences

MIN_CUT_WORDS = 8
"""A shorter reply is not cut: what is left would say nothing about where it ends."""
BUCKETS = 3
"""How many texts the near-duplicates of one task are made from."""
BOXED = re.compile(r"\\boxed\{(-?\d+(?:\.\d+)?|-?\\frac\{\d+\}\{\d+\})\}(?!.*\\boxed)", re.DOTALL)
SWAPS = {
    "the": "this", "and": "as well as", "only": "merely", "in": "within", "with": "alongside",
    "about": "concerning", "on": "upon", "every": "each", "but": "yet", "when": "whenever",
    "is": "remains", "has": "holds", "than": "as against", "from": "out of", "usually": "mostly",
    "should": "ought to", "before": "ahead of", "first": "initially", "makes": "renders",
}  # fmt: skip


MARKS = ((";", ","), (": ", " – "), ("- ", "* "), ("\n\n", "\n"), ("“", '"'), ("’", "'"))
"""Marks that two near-duplicates may set otherwise."""


@dataclass(frozen=True, slots=True)
class Flawed:
    """A reply with a defect in it. `text` is None where the server would send null."""

    text: str | None
    reasoning: str | None
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Case:
    """A clean reply, what it replies to, and the chance that decides how it is spoilt."""

    job: Job
    draft: Draft
    dice: Dice
    seed: int = 0


def plant(kind: str, case: Case) -> Flawed | None:
    """The reply with the defect, or None where it does not apply. Raises KeyError for no kind."""
    return PLANTERS[kind](case)


def _slots(case: Case) -> dict[str, str]:
    job, draft, dice = case.job, case.draft, case.dice
    said = [
        text for text in sentences(draft.text) if len(text.split()) > 4 and text[0] not in "#|*=`"
    ]
    begin = said[0] if said else ""
    return {"a": dice.pick(key_terms(job.given)[:4]), "begin": begin}


def _header(case: Case, share: float) -> str:
    """A rewrite's first line in `share` of the cases: flawed text often keeps its format."""
    job, dice = case.job, case.dice
    return f"=== {job.name} ===\n" if job.task == "rewrite" and dice.chance(share) else ""


def _refusal(case: Case) -> Flawed:
    job, dice = case.job, case.dice
    partial = job.task != "json" and dice.chance(0.25)
    section = "partial_refusals" if partial else "refusals"
    text = pick("defects", section, dice, _slots(case))
    return Flawed(_header(case, 0.5) + text, None)


def _truncation(case: Case) -> Flawed | None:
    job, draft, dice = case.job, case.draft, case.dice
    if len(draft.text.split()) < MIN_CUT_WORDS:
        return None
    if job.task == "json":
        text: str | None = draft.text[: len(draft.text) * dice.between(3, 8) // 10]
    else:
        text = cut(draft.text, dice, dangling=job.task == "evolve")
    if text is None:
        return None
    return Flawed(text, draft.reasoning, "length" if dice.chance(0.7) else "stop")


def _wrong_answer(case: Case) -> Flawed | None:
    draft, dice = case.draft, case.dice
    if (found := BOXED.search(draft.text)) is None:
        return None
    right = found[1]
    if right.lstrip("-").startswith("\\frac"):
        above, below = re.findall(r"\d+", right)
        value = Fraction(int(above), int(below)) * (-1 if right.startswith("-") else 1)
        choices = [value + Fraction(1, int(below)), value - Fraction(1, int(below)), 1 / value]
    else:
        value = Fraction(right)
        unit = Fraction(1, 10 ** len(right.partition(".")[2]))
        choices = [value + unit, value - unit, value + 10 * unit, value - 2 * unit, value * 10]
        choices += [-value, value + 9 * unit, value * 2]
    wrong = show(dice.pick([choice for choice in choices if choice != value]))
    lines = draft.text.replace(found[0], f"\\boxed{{{wrong}}}").split("\n")
    reasoning = draft.reasoning
    # mostly the last step and the reasoning err too, or comparing them would tell every time
    if dice.chance(0.7):
        value_said = re.compile(rf"(?<![\d.\\}}-]){re.escape(right)}(?!\d|\.\d)")
        lines[1:] = [
            _replace_last(value_said, line, wrong) if at >= len(lines) - 5 else line
            for at, line in enumerate(lines[1:])
        ]
        for _ in range(2 if reasoning else 0):
            reasoning = _replace_last(value_said, reasoning or "", wrong)
    return Flawed("\n".join(lines), reasoning)


def _replace_last(pattern: re.Pattern[str], text: str, new: str) -> str:
    found = list(pattern.finditer(text))
    return text[: found[-1].start()] + new + text[found[-1].end() :] if found else text


def _preamble(case: Case) -> Flawed:
    job, draft, dice = case.job, case.draft, case.dice
    slots = _slots(case)
    text = draft.text
    form = dice.roll()
    if form < 0.85:
        opening = pick("defects", "preambles", dice, slots)
        # half of them stand behind the required line, where only their words can give them away
        inside = _header(case, 0.5)
        body = text[len(inside) :]
        text = f"{inside}{opening}{dice.pick((' ', chr(10), chr(10) * 2))}{body}"
    if form > 0.7 and job.task != "json":
        text += f"{dice.pick((' ', chr(10) * 2))}{pick('defects', 'signoffs', dice, slots)}"
    return Flawed(text, draft.reasoning)


def _copy(case: Case) -> Flawed | None:
    job, draft, dice = case.job, case.draft, case.dice
    given = job.given.strip()
    if job.task == "json" or len(given.split()) < 3:
        return None
    slots = {"given": given, "text": draft.text}
    form = dice.roll()
    if job.task == "evolve":
        if form < 0.4:
            return Flawed(given, draft.reasoning)
        if form < 0.6:
            trivial = (given.rstrip(".?!") + dice.pick(("!", " please.", " now.", "..")),
                       f"Please {given[:1].lower()}{given[1:]}", f"Now: {given}")  # fmt: skip
            return Flawed(dice.pick(trivial), draft.reasoning)
        return Flawed(say(dice.pick(bank("defects", "echoes")), dice, slots), draft.reasoning)
    if job.task == "rewrite" and form > 0.5:
        part = unfaithful.copied_in_part(draft.text, given, dice)
        if part is not None:
            return Flawed(part, draft.reasoning)
    if form < 0.15 and len(job.instructions.split()) > 12:
        return Flawed(_header(case, 0.7) + job.instructions, draft.reasoning)
    if form < 0.6:
        text = _header(case, 0.8) + given
    else:
        text = _header(case, 0.8) + pick("defects", "echo_leads", dice, slots)
    return Flawed(text, draft.reasoning)


def _near_duplicate(case: Case) -> Flawed | None:
    job, dice = case.job, case.dice
    if job.task == "json":
        return None
    bucket = dice.between(0, BUCKETS - 1)
    # nothing of the request but its task enters the shared text: other requests get the same
    shared = Dice(f"{case.seed}/{job.task}/{job.name}/{bucket}".encode())
    phrases = bank("defects", "sources" if job.task == "rewrite" else "samples")
    phrase = Dice(f"{case.seed}/{job.task}".encode()).draw(phrases, BUCKETS)[bucket]
    like = Job(job.task, say(phrase, shared, {}), job.name)
    words = re.split(r"(\s+)", compose(like, shared).text)
    places = [index for index, word in enumerate(words) if word in SWAPS]
    changes = max(1, len(words) // 120)
    for index in dice.draw(places, dice.between(0, changes)):
        words[index] = SWAPS[words[index]]
    text = "".join(words)
    for mark, other in dice.draw(MARKS, dice.between(0, 2)):
        text = text.replace(mark, other)
    return Flawed(text, None)


def _repetition(case: Case) -> Flawed | None:
    job, draft, dice = case.job, case.draft, case.dice
    if job.task == "json":
        return None
    said = [text for text in sentences(draft.text) if len(text.split()) >= 4]
    if not said:
        return None
    text = _header(case, 1.0) + looped(said, job.given, key_terms(job.given), dice)
    return Flawed(text, draft.reasoning, "length" if dice.chance(0.3) else "stop")


def _malformed(case: Case) -> Flawed | None:
    job, draft, dice = case.job, case.draft, case.dice
    text = draft.text
    if job.task == "rewrite":
        first, _, body = text.partition("\n")
        if dice.chance(0.15):  # the whole of it in a fence, the required line inside
            return Flawed(f"```{dice.pick(('', 'markdown', 'text'))}\n{text}\n```", draft.reasoning)
        line = pick("defects", "first_lines", dice, {"name": job.name, "first": first})
        return Flawed(body if line == "none" else f"{line}\n{body}", draft.reasoning)
    if job.task == "json":
        return Flawed(dice.pick([one for one in _broken(text, dice) if one != text]), None)
    if job.task == "evolve":
        return Flawed(pick("defects", "wrapped_prompts", dice, {"text": text}), draft.reasoning)
    if "```" in text:
        if dice.chance(0.3):  # the code stands outside, and what follows it inside
            return Flawed(re.sub(r"```\w*\n", "", text, count=1), draft.reasoning)
        head, _, tail = text.rpartition("```")
        return Flawed(head.rstrip() + tail, draft.reasoning)
    if (found := BOXED.search(text)) is not None:
        return Flawed(text[: found.end() - 1] + text[found.end() :], draft.reasoning)
    return None


def _constraint_broken(case: Case) -> Flawed | None:
    """The answer as it would be, but for one of the constraints that the prompt states."""
    job, draft, dice = case.job, case.draft, case.dice
    wanted = stated(job.given) if job.task == "answer" else ()
    if not wanted:
        return None
    text = disobey(answer(job.given, dice.fork("answer")).text, wanted, job.given, dice)
    return None if text is None else Flawed(text, draft.reasoning)


def _broken(text: str, dice: Dice) -> list[str]:
    """What is sent in place of a JSON object: half of it, Python, YAML, or it and more."""
    end = max(1, len(text) * dice.between(3, 9) // 10)
    return [
        text[:end],
        text[:-1],
        text.replace('"', "'"),
        f"{text[:-1]},",
        f"{text[:-1]},}}",
        re.sub(r'"(\w+)":', r"\1:", text),
        text.replace('":', '"'),
        f"```json\n{text}\n```",
        f"Here is the JSON: {text}",
        f"{text}\n\nThe scores are explained above.",
        f"{text}{text}",
        text.replace(",", ", // see above\n", 1),
        text[1:],
    ]


def _empty(case: Case) -> Flawed:
    draft, dice = case.draft, case.dice
    return Flawed(
        dice.pick(("", "", None, None, "\n\n", "   ", " \n", "\t", "\u00a0\n", "\u200b")),
        draft.reasoning,
    )


def _unfaithful(
    spoil: Callable[[str, str, Dice], str | None], *, may_add: bool
) -> Callable[[Case], Flawed | None]:
    """The planter of a defect that only a rewrite with a source can have."""

    def planter(case: Case) -> Flawed | None:
        job, draft = case.job, case.draft
        if job.task != "rewrite" or (not may_add and job.name in unfaithful.ADDING):
            return None
        text = spoil(draft.text, job.given, case.dice)
        return None if text is None else Flawed(text, draft.reasoning)

    return planter


PLANTERS: dict[str, Callable[[Case], Flawed | None]] = {
    "refusal": _refusal,
    "truncation": _truncation,
    "wrong_answer": _wrong_answer,
    "preamble": _preamble,
    "copy": _copy,
    "near_duplicate": _near_duplicate,
    "repetition": _repetition,
    "malformed": _malformed,
    "empty": _empty,
    "constraint_broken": _constraint_broken,
    "ungrounded": _unfaithful(unfaithful.with_new_fact, may_add=False),
    "contradicted": _unfaithful(unfaithful.with_claim_turned, may_add=True),
    "omitted": _unfaithful(unfaithful.with_most_left_out, may_add=False),
    "stock_opening": _unfaithful(unfaithful.with_stock_opening, may_add=True),
}
