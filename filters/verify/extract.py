r"""The final answer in a worked solution. Where none is marked there is none: nothing is guessed.

    …2 + 3 = 5.⏎A: 5               ->  5
    so \boxed{11}, no: \boxed{12}  ->  12
    I don't know. 3+2              ->  None

The answer is given as it is written; `plain` makes it comparable.
"""

from __future__ import annotations

import re

from filters.verify.plain import plain
from filters.verify.quantity import NUMBER, read_quantity

MOST_CHARS = 10_000  # a longer "answer" is an attack or an accident
BRACE = re.compile(r"\\[{}]|[{}]")
SAID = re.compile(
    r"\b(?:the|our|final|correct) answer(?: to [^.:]{1,60})? (?:is|=)\s*:?\s*(.+)$", re.IGNORECASE
)
MARKED = (  # on the last line: "#### 5", "A: 5", "Final answer: 5", "The answer is 5."
    re.compile(r"^\s*####\s*(.+)$"),
    re.compile(r"^\s*(?:the )?(?:final |correct )?(?:answer|ans|a)\s*[:=]\s*(.+)$", re.IGNORECASE),
    SAID,
)
LEAD = re.compile(r"\b(?:so|therefore|thus|hence|and),?$", re.IGNORECASE)
FAREWELL = re.compile(r"(?:I hope|Let me know|Please let me know|Have a)\b[^.!?]{0,80}[.!?]?")
SEVERAL = re.compile(r"\b(?:and|or)\b|, ")
SENTENCE_END = re.compile(r"(?<![\w.])([\w.]*)\.(?:\s|$)")
# "Jan. 5" is not "Jan", nor "St. Louis" the same as "St. Paul"
ABBREVIATED = frozenset({
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
    "a.m", "p.m", "st", "mt", "mr", "mrs", "dr", "prof",
})  # fmt: skip
CONCLUDES = re.compile(
    r"^\s*(?:so|therefore|thus|hence|in total|altogether|in all|in conclusion)\b,?", re.IGNORECASE
)
VALUE = re.compile(rf"(?<![\w.])-?[$\u20ac\u00a3]?(?:{NUMBER})(?:/\d+)?\s?%?(?![\w/])")


def final_answer(text: str) -> str | None:
    """The answer that the text ends with, as written, or None where no answer is marked.

    In this order: the last `\\boxed{…}`; a marker on the last line; a last line that is nothing but
    a quantity ("25", "x = 25 cm"); a last line that concludes ("Therefore …") and holds one number
    or ends in an equation. A last box that is not closed is no answer.
    """
    at = text.rfind("\\boxed")
    if at >= 0:
        return boxed(text, at)
    stripped = text.rstrip()
    line = stripped[stripped.rfind("\n") + 1 :]
    if len(line) > MOST_CHARS:
        return None
    line = line.replace("**", "").replace("__", "")
    return marked(line) or stated(line)


def reference_answer(reference: str) -> str:
    """The answer in a reference, which may be a whole solution ("… #### 18") or the bare answer."""
    stripped = reference.strip()
    at = stripped.rfind("\\boxed")
    in_box = boxed(stripped, at) if at >= 0 else None
    return in_box or marked(stripped[stripped.rfind("\n") + 1 :]) or stripped


def boxed(text: str, at: int) -> str | None:
    """What stands in the box that starts at `at`, if it is closed and not absurdly long."""
    start = text.find("{", at, at + 20)
    if start < 0:
        return None
    depth = 0
    for brace in BRACE.finditer(text, start, start + MOST_CHARS + 2):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : brace.start()].strip() or None
    return None


def marked(line: str) -> str | None:
    """What stands behind a marker on the line."""
    for marker in MARKED:
        match = marker.search(line)
        if match:
            rest = match.group(1).strip()
            answer = first_sentence(rest)
            # "Some say the answer is 12." and "The answer is 12. No, it is 13." state none
            if marker is not SAID or (leads(line[: match.start()]) and sole(rest, answer)):
                return answer or None
    return None


def leads(before: str) -> bool:
    """Whether a sentence begins behind this part of a line, but for "So" and its like."""
    before = LEAD.sub("", before.rstrip()).rstrip(" *_\"'([$")
    return not before or before[-1] in ".!?:;,"


def sole(rest: str, answer: str) -> bool:
    """Whether nothing but a farewell follows the answer."""
    behind = rest[len(answer) :].strip(" .*")
    return not behind or FAREWELL.fullmatch(behind) is not None


def first_sentence(text: str) -> str:
    """The text up to its first full stop that does not shorten a word."""
    for end in SENTENCE_END.finditer(text):
        if end.group(1).lower() not in ABBREVIATED:
            return text[: end.end(1)].strip()
    return text


def stated(line: str) -> str | None:
    """The quantity that an unmarked last line states, if it states exactly one."""
    alone = re.sub(r"^\s*[a-zA-Z]\s*=\s*", "", line).strip()
    if read_quantity(plain(alone)) is not None:
        return alone
    said = CONCLUDES.sub("", line)
    if said == line or ("=" in said and SEVERAL.search(said)):
        return None
    values = [match.group() for match in VALUE.finditer(said.rpartition("=")[2])]
    return values[0].strip(" .") if len(values) == 1 else None
