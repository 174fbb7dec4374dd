"""Rewrites that are not true to their source: facts it lacks, claims turned round or left out.

Each kind comes in forms that need different checks, and clean rewrites hold decoys for each:
numbers and dates that are spelled otherwise, contractions, double negations, quoted sentences. So a
check that compares strings finds too much and too little.
"""

from __future__ import annotations

import re
from typing import Final

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.paraphrase import MONTHS, in_words
from synth.teacher.rehearsal.phrases import bank, pick, say
from synth.teacher.rehearsal.rewrite import prose
from synth.teacher.rehearsal.text import key_terms, numbers, sentences

ADDING: Final = frozenset({"textbook", "academic", "story", "maths"})
"""Styles that may add facts, so that an added one is no defect."""
PLAIN_WORD = re.compile(r"[^\W\d_]{4,}")
AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|will|could|should|must|may|has been|have been|had been)\b"
    r"(?! (?:not|no|never|nothing|only|just|simply|merely|said|be seen)\b)(?!n['’]t)(?=[ ,])"
)
DENIES = re.compile(
    r"\b(?:not|no|never|none|nothing|nobody|neither|nor|without|hardly|rarely)\b|n['’]t",
    re.IGNORECASE,
)
CONDITION = re.compile(
    r"\b(?:if|case|when|once|whenever|whether|until|unless|time|how|what|why|where|which|that|who"
    r"|whose|so)\b[^;]*$",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"\b(is|are|was|were|can|will|could|should|must|does|do|did)(?: not|n['’]t) (?!only|just)"
)
FIGURE = re.compile(
    r"(?<![\w.,:/$£€#-])\d{1,3}(?:,\d{3})+(?![\w,.-]\d|\w)|(?<![\w.,:/#-])\d{2,6}(?![\w,.:/-]\d|\w)"
)
CAPITAL = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}(?![\w'’-])")
FIXED = re.compile(
    r"after that|before that|a good many|a good deal|at first|first of all|at last|so far"
    r"|how many|not many|as many|so many|too early|too late|(?:quite )?a few"
    r"|most of the time"
)
"""Phrases in which a word does not mean what its opposite would turn round."""
FEWEST_SHARED = 6


def with_new_fact(text: str, source: str, dice: Dice) -> str | None:
    """The rewrite with a number, date or name that its source does not have."""
    forms = [_new_sentence, _new_sentence, _changed_number, _new_name]
    for form in dice.draw(forms, len(forms)):
        changed = form(text, source, dice)
        if changed is not None and changed != text:
            return changed
    return None


def with_claim_turned(text: str, source: str, dice: Dice) -> str | None:
    """The rewrite with one claim of its source turned round, or two that exchange their numbers."""
    lines = text.split("\n")
    places = [
        (at, sentence)
        for at, line in enumerate(lines)
        if at and not line.startswith(("#", "|--"))
        for sentence in sentences(re.sub(r"^[\s>*|-]*(?:\d+\. )?(?:\*\*[^*]*\*\* ?)?", "", line))
        if _states(sentence, source)
    ]
    for at, sentence in dice.draw(places, len(places)):
        for form in dice.draw((_denied, _affirmed, _opposed, _opposed), 4):
            turned = form(sentence, dice)
            if turned is not None and turned != sentence and sentence in lines[at]:
                lines[at] = lines[at].replace(sentence, turned, 1)
                return "\n".join(lines)
    return None


def with_most_left_out(text: str, source: str, dice: Dice) -> str | None:
    """A text about the source's subject that says next to nothing of what it says."""
    if len(prose(source)) < 6:
        return None
    first = text.split("\n")[:3]
    terms = key_terms(source)
    lines = []
    for phrase in dice.draw(bank("unfaithful", "fog"), dice.between(7, 11)):
        a, b = dice.draw(terms[:6], 2)
        lines.append(say(phrase, dice, {"a": a, "b": b}))
    if dice.chance(0.3):  # one claim is kept, which is still next to nothing
        lines.insert(dice.between(0, len(lines)), dice.pick(prose(source)))
    half = len(lines) // 2
    match dice.between(0, 3):
        case 0:
            body = [f"- {line}" for line in lines]
        case 1:
            heads = [f"## {term[:1].upper()}{term[1:]}" for term in terms[:2]]
            body = [heads[0], "", " ".join(lines[:half]), "", heads[1], "", " ".join(lines[half:])]
        case _:
            body = [" ".join(lines[:half]), "", " ".join(lines[half:])]
    return "\n".join([*first, *body])


def with_stock_opening(text: str, source: str, dice: Dice) -> str:
    """The rewrite behind an opening that could stand before any."""
    lines = text.split("\n")
    at = next((i for i, line in enumerate(lines) if i and line and not line.startswith("#")), 1)
    a, b = dice.draw(key_terms(source)[:6], 2)
    opening = pick("unfaithful", "stock_openings", dice, {"a": a, "b": b})
    whole = lines[at].startswith(("|", "*", "-", "1", "Q")) or dice.chance(0.3)
    lines[at : at + 1] = [opening, "", lines[at]] if whole else [f"{opening} {lines[at]}"]
    return "\n".join(lines)


def copied_in_part(text: str, source: str, dice: Dice) -> str | None:
    """The rewrite's frame round sentences that are the source's own, all or a long run of them."""
    own = list(prose(source))
    if sum(len(sentence.split()) for sentence in own) < 90:
        return None
    lines = text.split("\n")
    form = dice.roll()
    if form < 0.4:  # everything, in paragraphs of three
        body = [" ".join(own[at : at + 3]) for at in range(0, len(own), 3)]
        return "\n\n".join(["\n".join(lines[:2]), *body])
    if form < 0.7:  # everything, with a word exchanged now and then
        edited = [_edited(sentence, dice) for sentence in own]
        return "\n\n".join(["\n".join(lines[:2]), " ".join(edited)])
    run = dice.between(80, 110)  # words
    passage = ""
    for sentence in own:
        if len(passage.split()) >= run:
            break
        passage = f"{passage} {sentence}".strip()
    return "\n".join([*lines[:3], passage, "", *lines[3:]])


def _edited(sentence: str, dice: Dice) -> str:
    words = sentence.split(" ")
    if len(words) > 12:
        at = dice.between(len(words) // 2 - 1, len(words) // 2 + 1)
        words.insert(at, dice.pick(("also", "then", "indeed", "thus")))
    return " ".join(words)


def _states(sentence: str, source: str) -> bool:
    """Whether the sentence says what one of the source says: then its opposite is wrong."""
    plain = sentence.endswith(".") and not set(sentence) & set("“?:;☐·»|`")
    if not plain or not 8 <= len(sentence.split()) <= 40:
        return False
    own = {word.lower()[:6] for word in PLAIN_WORD.findall(sentence)}
    for claim in prose(source):
        theirs = {word.lower()[:6] for word in PLAIN_WORD.findall(claim)}
        if len(own & theirs) >= max(FEWEST_SHARED, 0.6 * len(theirs)):
            return True
    return False


def _denied(sentence: str, dice: Dice) -> str | None:
    found = [
        match
        for match in AUXILIARY.finditer(sentence)
        if not CONDITION.search(sentence[: match.start()])  # "if it is cold" claims nothing
    ]
    if not found or DENIES.search(sentence):
        return None
    verb = found[0]
    end = verb.end() if " " not in verb[0] else verb.start() + verb[0].index(" ")
    return f"{sentence[:end]} {dice.pick(('not', 'not', 'never', 'no longer'))}{sentence[end:]}"


def _affirmed(sentence: str, dice: Dice) -> str | None:
    if len(DENIES.findall(sentence)) != 1:
        return None
    word = dice.pick(("", "always ", "indeed "))
    turned = NEGATED.sub(lambda found: f"{found[1]} {word}", sentence, count=1)
    return turned if turned != sentence else sentence.replace(" never ", " always ", 1)


def _opposed(sentence: str, dice: Dice) -> str | None:
    pairs = []
    for line in bank("unfaithful", "opposites"):
        one, _, other = say(line, dice, {}).partition(" <> ")
        pairs += [(one, other), (other, one)]
    plain = FIXED.sub(" ", f" {sentence.lower()} ")
    low = f" {re.sub(r'[^a-z -]', ' ', plain)} "
    fitting = [(a, b) for a, b in pairs if low.count(f" {a} ") == 1 and f" {b} " not in low]
    if not fitting:
        return None
    before, after = dice.pick(fitting)
    return re.sub(rf"(?<![\w-]){before}(?![\w-])", after, sentence, count=1)


def _new_sentence(text: str, source: str, dice: Dice) -> str | None:
    """A sentence behind one of the text's, with figures or a name of its own."""
    lines = text.split("\n")
    places = [
        at
        for at, line in enumerate(lines)
        if at > 1 and line.endswith(".") and len(line.split()) > 8 and "boxed" not in line
    ]
    if not places:
        return None
    at = dice.pick(places)
    a, b = dice.draw(key_terms(source)[:5], 2)
    slots = {"a": a, "b": b, **_inventions(source, dice)}
    lines[at] = f"{lines[at]} {pick('unfaithful', 'new_facts', dice, slots)}"
    return "\n".join(lines)


def _inventions(source: str, dice: Dice) -> dict[str, str]:
    """A number, the same kind in words, a date and a name, none of them the source's."""
    low = source.lower()
    taken = {number.replace(",", "") for number in re.findall(r"\d[\d,]*", source)}
    value = next(
        v
        for v in iter(lambda: dice.between(13, 98), None)
        if str(v) not in taken and in_words(v) not in low
    )
    large = next(v for v in iter(lambda: dice.between(101, 989) * 10, None) if str(v) not in taken)
    year = next(v for v in iter(lambda: dice.between(1801, 2019), None) if str(v) not in taken)
    month = dice.pick([month for month in MONTHS if month[:3].lower() not in low] or MONTHS[:1])
    names = [say(name, dice, {}) for name in bank("unfaithful", "names")]
    name = dice.pick([name for name in names if name.split()[-1].lower() not in low] or names)
    return {
        "n": dice.pick((str(value), in_words(value))),
        "m": dice.pick((f"{large:,}", str(large))),
        "year": str(year),
        "date": dice.pick((f"{value % 27 + 1} {month} {year}", f"{month} {value % 27 + 1}, {year}",
                           f"{month} {year}", f"{month} {value % 27 + 1}")),
        "name": name,
    }  # fmt: skip


def _changed_number(text: str, source: str, dice: Dice) -> str | None:
    """One of the text's own numbers becomes another, often one that looks like it."""
    own = numbers(source)
    found = [m for m in FIGURE.finditer(text) if m[0] in own and _in_prose(text, m.start())]
    taken = {number.replace(",", "") for number in re.findall(r"\d[\d,]*", source)}
    if not found:
        return None
    match = dice.pick(found)
    value = int(match[0].replace(",", ""))
    digits = f"{value:02d}"
    swapped = int(digits[:-2] + digits[-1] + digits[-2])
    near = (swapped, value * 10, value + 10 ** (len(digits) - 1), value * 3, value + 7)
    choices = [
        v for v in near if v > 12 and str(v) not in taken and v != value and v // 100 != value
    ]
    if not choices:
        return None
    new = dice.pick(choices)
    spelled = f"{new:,}" if "," in match[0] else str(new)
    return text[: match.start()] + spelled + text[match.end() :]


def _new_name(text: str, source: str, dice: Dice) -> str | None:
    """One of the text's names becomes another."""
    found = [m for m in CAPITAL.finditer(text) if m[0] in source and _in_prose(text, m.start())]
    if not found:
        return None
    match = dice.pick(found)
    name = _inventions(source, dice)["name"].split()[-1]
    return text[: match.start()] + name + text[match.end() :]


def _in_prose(text: str, at: int) -> bool:
    """Whether a place lies in a sentence, not in a heading or label."""
    start = text.rfind("\n", 0, at) + 1
    line = text[start : text.find("\n", at) if "\n" in text[at:] else len(text)]
    return line.endswith((".", "|")) and not line.startswith("#") and "**" not in text[at:][:60]
