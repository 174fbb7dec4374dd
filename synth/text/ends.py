"""Detects texts that were cut off in the middle.

    "… permits and clearances. By leveraging"   ->   "ends in the middle of a sentence"

Detects only clear cases: something left open (a code fence, formula, table row or bold text), an
announcement that nothing follows, or a last line that lacks the ending of the other lines.
"""

from __future__ import annotations

import re
from itertools import takewhile

from synth.text.markdown import open_fence
from synth.text.sentences import STOP, ends_sentence

TAIL_CHARS = 2_000
ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])(?:\s+|$)")
HEADING = re.compile(r" {0,3}#{1,6} [*_]*[^\W\d_](?!.*[:=] *\S)")  # not "#### 42"
# Lines that may end in any way. By their beginning: code, quotation, table row, link, formula, tag,
# "**Term:** …" and "A: …". By their end: hashtag, address, attribution, formula or equation.
FREE = re.compile(
    r"(?: {4}|\t)(?!\s*(?:[-*+•]|\d{1,3}[.)])\s)"
    r"|\s*(?:[>#]|\||!?\[|\$\$|\\|<|[*_]{2}[^*_]+:[*_]{0,2}|\w: )"
    r"|.*(?:[#@/]\S*|\s[-–—] ?[A-Z][^!?]{1,40}|\$|\\\)|\\\]|\||=\s*[^=\s][^=]{0,40})$"
)
MIDDLE = re.compile(r"(?<![A-Z]\.)[^\W\d_]$|[,;–—(\[{&]$|\s[-+*/×÷−=]$")
# no English sentence, list item or signature ends with one of these words
DANGLING = re.compile(
    r"\b(?:the|an?|and|or|of|to|in|with|for|that|which|by|from|as|is|are|was|their|its|your|but|"
    r"at|into|than|every|because|although|unless|between|whether|nor|our|my|his|very)$",
    re.IGNORECASE,
)
FEWEST_WORDS = 8  # a shorter text that ends in a comma or colon may be a complete answer
HEADING_WORDS = 9  # including its marks; longer lines are comments
LONG_LINE_WORDS = 12  # a shorter line without a full stop may be a verse or a signature


def cut_end(text: str) -> str:
    """The sign that the text was cut off; "" if there is none."""
    lines = [line for line in text.rstrip()[-TAIL_CHARS:].split("\n") if line.strip()]
    if not lines:
        return ""
    *before, last = lines
    line = last.rstrip("*_ ")
    if (opened := left_open(text)) and not ends_sentence(line):
        return opened
    count = len(" ".join(lines).split())
    announces = line.endswith(":") and any(map(str.isalpha, line))
    announces &= bool(before) or count >= FEWEST_WORDS
    heading = len(before) > 1 and HEADING.match(line) and len(line.split()) <= HEADING_WORDS
    if announces or heading or line.endswith(("[...]", "[…]")):
        return "nothing follows"
    if before and ITEM.fullmatch(f"{line} "):
        return "ends in the middle of a list"
    if not MIDDLE.search(line) or FREE.match(line):
        return ""
    words = line.split()
    dangles = DANGLING.search(line) or not words[-1][-1].isalpha()
    goes_on, long = STOP.search(line), len(words) >= LONG_LINE_WORDS
    if dangles and len(words) > 1 and count >= FEWEST_WORDS and (before or goes_on or long):
        return "ends in the middle of a clause"
    if ITEM.match(line):
        items = list(takewhile(ITEM.match, reversed(before)))
        whole = items and all(ends_sentence(one) and len(one.split()) > 3 for one in items)
        return "ends in the middle of a list" if whole else ""
    if (goes_on and long) or ((goes_on or long) and _sentences(lines) > 1):
        return "ends in the middle of a sentence"
    return ""


def left_open(text: str) -> str:
    """The first thing that the text opens and does not close; "" if there is none."""
    if open_fence(text):
        return "open code fence"
    box = text.rfind("\\boxed{")
    if box >= 0 and text.count("{", box) > text.count("}", box):
        return "open formula box"
    if text.count("$$") % 2 and "\\" in text[text.rfind("$$") :]:  # a shell's `$$` has no LaTeX
        return "open formula"
    for opener, closer in (("\\begin{", "\\end{"), ("\n\\[", "\\]")):
        if (at := text.rfind(opener)) >= 0 and closer not in text[at:]:
            return "open formula"
    *_, before, last = ["", *text[-TAIL_CHARS:].rstrip().rsplit("\n", 2)]
    if last.startswith("|") and before.startswith("|") and before.rstrip().endswith("|"):
        # a row has as many cells as the one before, so a row with fewer was cut off
        narrow = not last.endswith("|") or last.count("|") < before.count("|")
        if narrow or ("-" in last and set(last) <= set("|-: ")):
            return "open table"
    if last.count("**") % 2 and re.search(r"(?:^|[\s(])\*\*[^\W\d][^*`]*$", last):
        return "open emphasis"
    return ""


def _sentences(lines: list[str]) -> int:
    return sum(len(STOP.findall(line)) for line in lines)
