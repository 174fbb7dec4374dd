r"""The contents of `\boxed{…}`: the last box, joined with earlier boxes of the same list.

so \boxed{11}, no: \boxed{12}  ->  12
\boxed{2} and \boxed{3}        ->  2, 3
"""

from __future__ import annotations

import re

LONGEST_ANSWER = 10_000  # a longer "answer" is an attack or an accident
MOST_BOXES = 20
BRACE = re.compile(r"\\[{}]|[{}]")
BOX = "\\boxed"
BARE_BOX = re.compile(r"\\boxed\s*([^\s{}$\\]+)")
# text that may occur between two boxes of one list
JOINT = re.compile(
    r"(?:[\s$,;&]|\\[()\[\],;]|\\q?quad|\\text\{\s*(?:and|or),?\s*\}|\b(?:and|or)\b)*"
    r"(?:([a-zA-Z])\s*=[\s$]*)?"
)
# text between boxes of separate answers: "and the width is", "(b)", "Case 2:"
CASES = re.compile(
    r"^[\s$,]*(?:and|or)\b[^.\n]*$|(?:(?<!\w)\(?[b-zB-Z2-9]\)|\b[Cc]ase\b)[^.\n]{0,90}$"
)
FIRST_NAME = re.compile(r"(?<![a-zA-Z])([a-zA-Z])\s*=[\s$]*$")


def boxed(text: str) -> str | None:
    """The content of the last box, or of the list that it ends; None if the box is not closed."""
    return boxes(text)[0]


def boxes(text: str) -> tuple[str | None, int, int]:
    """The last box, or the list that it ends, with its start and end positions."""
    at = text.rfind(BOX)
    content, last = box_at(text, at)
    if content is None:
        return None, at, at
    found = [content]
    names: list[str] = []
    while (before := text.rfind(BOX, max(0, at - LONGEST_ANSWER), at)) >= 0:
        content, end = box_at(text, before)
        between = text[end:at] if content is not None and end <= at else "."
        joint = JOINT.fullmatch(between) if len(between) < 100 else None
        if content is None or joint is None:
            unclear = content not in found and CASES.search(between)
            return (None if unclear else joined(found, names)), at, last
        found.insert(0, content)
        names.insert(0, joint[1] or "")
        at = before
        if len(found) > MOST_BOXES:
            return None, at, last
    first = FIRST_NAME.search(text[max(0, at - 20) : at])
    return joined(found, [first[1] if first else "", *names]), at, last


def joined(found: list[str], names: list[str]) -> str:
    """Several boxes as one list, with their names if every box has one."""
    if len(set(found)) == 1:
        return found[0]
    if len(names) == len(found) and all(names):
        found = [f"{name} = {one}" for name, one in zip(names, found, strict=True)]
    return ", ".join(found)


def box_at(text: str, at: int) -> tuple[str | None, int]:
    """The content and end of the box at `at`; None for a box that is too long or not closed."""
    start = text.find("{", at, at + 20)
    if start < 0 or text[at + len(BOX) : start].strip():
        bare = BARE_BOX.match(text, at, at + 100)
        return (bare[1].rstrip(".,;:!"), bare.end()) if bare else (None, at)
    depth = 0
    for brace in BRACE.finditer(text, start, start + LONGEST_ANSWER + 2):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : brace.start()].strip() or None, brace.end()
    return None, at
