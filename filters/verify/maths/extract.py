r"""Finds the final answer in a worked solution, if the solution marks or states one.

    …2 + 3 = 5.⏎A: 5               ->  5
    so \boxed{11}, no: \boxed{12}  ->  12
    \boxed{2} and \boxed{3}        ->  2, 3
    I don't know. 3+2              ->  None

Returns the answer as written; `plain` makes it comparable.
"""

from __future__ import annotations

import re

from filters.verify.maths.boxes import BOX, LONGEST_ANSWER, boxed, boxes
from filters.verify.maths.forms import PROSE
from filters.verify.maths.plain import TEXT, plain
from filters.verify.maths.quantity import NO_UNIT, read_quantity
from filters.verify.maths.statement import (
    CONCLUDING,
    DENIED,
    NAMED_BY_LETTER,
    REMARK,
    TAKEN_BACK,
    VALUE,
    WRONG,
    derived,
    of_the_question,
    stated,
    stated_value,
    words,
    worked_out,
)
from synth.text.courtesies import ends

TAGGED = re.compile(r"<answer>\s*([^<]{1,1000}?)\s*</answer>", re.IGNORECASE)
# dashes and mathematical signs in Unicode, except "therefore"
SIGNS = (
    r"\xa2-\xbf\u2010-\u2013\u2070-\u209f\u2200-\u2233\u2235-\u22ff\u2795-\u2797"
    r"\ufe63\uff0b\uff0d\uff5e"
)
# marks at the start of a line: quotes, bullets, headings and emoji
MARKS = re.compile(
    rf"^(?:[#>*\u2022-]+\s+(?=[^\s\d])|[#>*\u2022]+\s+|[^\w\s!-/:-@\[-`{{-~\u2014\u2015{SIGNS}])+\s*"
)
LAYOUT = re.compile(r"^(?:[\s$*&]|\\[)\],;:! ]|\\q?quad)+")
LAYOUT_END = re.compile(r"(?:[\s$*&]|\\[(\[,;:! ]|\\q?quad|\\displaystyle)+$")
# a sign, digit, letter or command next to a box that changes its value
GLUED_BEFORE = re.compile(
    rf"(?:[-+/^_<>{SIGNS}~{{}}(\[|%`!\d]|(?<![a-zA-Z])[a-zA-Z]"
    r"|\\(?!therefore|implies|(?:Long|long)?[rR]ightarrow|to\b)[a-zA-Z]+)$"
)
GLUED_BEHIND = re.compile(
    r"\s*!(?!\w)(?=.*\$)|(?:[\s$*]|\\[)\],;:! ])*"
    r"(?:[-+/_<>=~{(\[|`?\d]|[,;:][\s$]*-?\d|\^(?!\s*\{?\\circ)|[a-zA-Z](?![a-zA-Z])"
    r"|[.,](?!\s|$|[$*]|\\[)\]]|\\end)|\\(?!end|q?quad)[a-zA-Z]+"
    r"|[\u4e07\u5104\u4ebf\u5343\u767e\u534a\u500d])"  # large numbers, half and times in Chinese
)
ANSWER = "answer|ans|antwort|respuesta|réponse|risposta|resposta|ответ|答案|答え|答|정답|답"
LABEL = re.compile(
    rf"^(?:(?:so|thus|therefore|hence),? )?(?:the |my |our )?(?:final |correct |short )*"
    rf"(?:(?:{ANSWER}|final|result|total(?: \w+)?|solution)\s*[:=\uff1a]|a\s*:|####)\s*(.+)$",
    re.IGNORECASE,
)
HEADING = re.compile(
    rf"^(?:the |my )?(?:final |correct )?(?:{ANSWER})\s*[:\uff1a]?$", re.IGNORECASE
)
SAID = re.compile(
    r"(?:\b(?:(?:the|our|my) (?:(?:final|correct|right|best) )*|(?:final|correct) )"
    r"(?:answer|option|choice|solutions?|result|value of [^.:]{1,60}?)"
    r"(?:(?: (?:to|for) [^.:]{1,60}?)? (?:is|are|would be|will be)(?! (?:that|to)\b)| =)"
    r"|(?:答案[是为為]|故选)|\b(?:die antwort ist|la respuesta es|la réponse est|la risposta è))"
    r"\s*[:\uff1a]?\s*(.+)$",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"^(?:(?:exactly|indeed|simply|thus|therefore|then|just|clearly|precisely|a total of|equal to"
    r"|given by|(?:the )?(?:option|choice|letter)(?= \W*[A-Ja-j]\b)|\uff1a)(?![a-z])[ ,:]*)+",
    re.IGNORECASE,
)
LEAD = re.compile(r"\b(?:so|therefore|thus|hence|and),?$", re.IGNORECASE)
CHECKED = re.compile(
    r"\W*(?:(?:to |we can |let's )?(?:check|verif)|have an? |good luck|happy )", re.IGNORECASE
)
# the end of an answer; unlike a sentence's, a lower-case letter may follow
ANSWER_END = re.compile(r"(?<![\w.])([\w.]*)\.(?:\s|$)|[\u3002!](?:\s|$)")
# so that "Jan. 5" is not cut to "Jan", nor "St. Louis" to "St"
ABBREVIATED = frozenset({
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
    "a.m", "p.m", "st", "mt", "mr", "mrs", "dr", "prof", "sq", "cu", "approx",
})  # fmt: skip
EMPHASIS = re.compile(r"(?<![\w*])\*([^*\n]{1,200})\*(?![\w*])")
# words before and after a box that limit the answer or continue the sentence
LIMITS = words("than about approximately nearly almost roughly rule case example")
FOLLOWS = words("because since as which where when after with from by so I hope")


def final_answer(text: str, question: str = "") -> str | None:
    """The text's final answer, as written, or None if no answer is marked.

    Looks in this order: the last `\\boxed{…}`, with the boxes joined to it; `<answer>…</answer>`; a
    marker on the last line, or a heading above it; a last line that is only a quantity ("25", "x =
    25 cm"); a last line that concludes ("Therefore …") or has its only number in bold. An unclosed
    last box is not an answer, nor is a value that the line denies or compares.
    """
    if BOX in text:
        return clear_box(text, question)
    if found := TAGGED.findall(text[-2_000:]):
        return str(found[-1])
    lines = last_lines(text)
    if not lines or len(lines[-1]) > LONGEST_ANSWER:
        return None
    if len(lines) > 1 and HEADING.match(lines[-2].strip("* _")):
        return tidy(lines[-1], question)
    return marked(lines[-1], question) or stated(lines[-1], question)


def last_number(text: str) -> str | None:
    """The last number of a text, whatever it means."""
    found = VALUE.findall(text[-LONGEST_ANSWER:])
    return found[-1].strip() if found else None


def reference_answer(reference: str) -> str:
    """The answer in a reference, which may be a whole solution ("… #### 18") or the bare answer."""
    stripped = reference.strip()
    in_box = boxed(stripped) if BOX in stripped else None
    last = stripped[stripped.rfind("\n") + 1 :]
    return in_box or (marked(last) if len(last) <= LONGEST_ANSWER else None) or stripped


def clear_box(text: str, question: str) -> str | None:
    """The boxed answer with its unit; None if the text around the box changes it.

    `-x = \\boxed{5}`, `\\boxed{5}!`, "not \\boxed{5}" and "\\boxed{5}. Wait, 6." do not count as 5.
    """
    answer, start, end = boxes(text)
    if answer is None:
        return None
    while text[:start].endswith("\\boxed{") and text.startswith("}", end):
        start, end = start - len("\\boxed{"), end + 1
    *earlier, line = text[max(0, start - LONGEST_ANSWER) : start].rstrip("\n").split("\n")
    before = LAYOUT_END.sub("", TEXT.sub(r" \1 ", MARKS.sub("", f"{line}\\").removesuffix("\\")))
    behind = text[start : end + LONGEST_ANSWER]
    behind = TEXT.sub(r" \1 ", behind[: ends(behind)[1]][end - start :])
    lines = [one for one in earlier if one.strip()]
    led = before or " ".join(lines[-1:])
    clause = re.split(r"[.,;:!?](?:\s|$)", led)[-1]
    if GLUED_BEFORE.search(before) or GLUED_BEHIND.match(behind):
        return None
    rest = LAYOUT.sub("", behind)
    if (
        words(clause) & (DENIED | LIMITS)
        or words(rest) & DENIED
        or derived(f"{clause} {rest}", question)
    ):
        return None
    if not of_the_question(led, answer, question):
        return None
    if unit := re.match(r"\^\s*\{?\\circ\}?|\\?%|\u00b0|[A-Za-z][^.,;:!?()\n$]*", rest):
        answer = with_unit(answer, unit[0], question)
    amount = read_quantity(plain(answer)) if answer else None
    label = marked(before, question) or (marked(lines[-1], question) if lines else None)
    for other in (label, final_answer(rest, question)):
        value = NAMED_BY_LETTER.sub("", plain(other or ""))
        stated_amount = read_quantity(value)
        if amount and stated_amount and amount.value != stated_amount.value:
            return None
    return answer


def with_unit(answer: str, behind: str, question: str) -> str | None:
    """The answer with the unit after it; None if the words after it may change it."""
    first, *others = behind.split()
    if NO_UNIT.fullmatch(first.lower()):
        return None
    for unit in (behind, " ".join([first, *others[:1]]), first):
        one = read_quantity(plain(f"1 {unit}"))
        if one and (one.unit.dimensions or one.percent or one.value != 1):
            return f"{answer} {unit}"
        if one and not one.unit.name:  # square units
            return answer
    return answer if words(first) <= CONCLUDING | FOLLOWS | words(question) else None


def last_lines(text: str) -> list[str]:
    """The last lines, without leading marks, farewells, checks and empty lines."""
    end = text.rstrip()[-LONGEST_ANSWER - 1 :]
    end = end[: ends(end)[1]]
    end = re.sub(r"<<[^<>\n]{0,100}>>", "", end.rstrip())
    end = re.sub(r"\\([*$])", r"\1", end)
    end = re.sub(r"(?:\\\[|\$\$)\s*([^$]{1,300}?)\s*(?:\\\]|\$\$)", _on_one_line, end)
    lines = [MARKS.sub("", line.strip()) for line in end.split("\n")[-8:] if re.search(r"\w", line)]
    while len(lines) > 1 and CHECKED.match(lines[-1]) and not words(lines[-1]) & TAKEN_BACK:
        lines.pop()
    return lines


def marked(line: str, question: str = "") -> str | None:
    """The answer after a marker on the line."""
    bare = EMPHASIS.sub(r"\1", re.sub(r"\*\*|__", "", line)).strip()
    if found := LABEL.match(bare):
        return tidy(found[1], question)
    found = SAID.search(bare)
    of = re.search(r"value of ([^.:]{1,60}?) (?:is|would|=)", found[0]) if found else None
    if of and not of_the_question(f"{of[1]} =", "", question):
        return None
    # "Some say the answer is 12." does not state an answer
    return tidy(found[1], question) if found and leads(bare[: found.start()]) else None


def tidy(rest: str, question: str = "") -> str | None:
    """The answer in the text after a marker; None if the text retracts it."""
    answer = first_sentence(rest.strip())
    behind = rest[len(answer) :]
    numbers = VALUE.findall(behind)
    if words(behind) & DENIED or (numbers and numbers[-1].strip(" .") not in answer):
        return None
    if re.match(r"not\b", answer, re.IGNORECASE):
        return None
    if result := worked_out(answer):
        return result
    whole, answer = answer, REMARK.sub("", FILLER.sub("", answer)).strip()
    if words(whole) & WRONG:
        return None
    if PROSE.search(plain(answer)) and read_quantity(plain(answer)) is None:
        return stated_value(answer, question, CONCLUDING | words(question)) or answer or None
    return answer or None


def leads(before: str) -> bool:
    """Whether a sentence begins after this part of a line, ignoring a final "So" or the like."""
    before = LEAD.sub("", before.rstrip()).rstrip(" *_\"'([$")
    if re.search(r"^\W*(?:yes|no)\W*$|\b(?:says?|said|thinks?|thought|claims?)\b", before.lower()):
        return False  # "Yes, the answer is no."
    return not before or before[-1] in ".!?:;,\u2026" or before[-1] > "\u2e80"


def first_sentence(text: str) -> str:
    """The text up to its first full stop that does not end an abbreviation."""
    for end in ANSWER_END.finditer(text):
        if end.group(1) is None or end.group(1).lower() not in ABBREVIATED:
            return text[: end.end(1) if end.group(1) is not None else end.start()].strip()
    return text


def _on_one_line(found: re.Match[str]) -> str:
    return f"${' '.join(found[1].split())}$"
