"""`truncation`: the text stops before its end.

The finish reason "length" is proof. Without it the end of the text is read, and only clear cases
count: a code fence, table, formula or `\\boxed{` left open; a last word or comma that no text ends
in; a heading, or a line that ends in a colon, with nothing under it; a note that the rest is left
out; or a last sentence, line or list item without the end that those before it have.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.quality.phrases import is_turn
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

TAIL_CHARS = 2_000
NOTE_CHARS = 120
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
DELIMITER_ROW = re.compile(r"\|?(?:\s?:?-{2,}:?\s?\|)+(?:\s?:?-*:?)?")
SENTENCE_END = re.compile(
    r"[.!?\u2026][\"'\u201d\u2019)\]*_]*(?:\s|$)|[\u3002\uff01\uff1f\u061f\u06d4\u0964]"
)
# Lines that may end as they like, by their beginning: code, list item, heading, quotation, table
# row, link or image, formula, tag, "**Term:** …" and "A: …"; and by their end: formula or equation.
FREE_START = re.compile(
    r"(?: {4}|\t)|\s*(?:[-*+\u2022]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]\s|#|>|\||!?\[|\$\$"
    r"|\\|<|[*_]{2}[^*_]+:[*_]{0,2}|[A-Z]: )"
)
FREE_END = re.compile(r"(?:\$|\\\)|\\\]|\||=[^=]{0,40})$")
MID_WORD_END = re.compile(r"[^\W\d_]$|[,;\u2013\u2014(\[{&]$|\s-$", re.UNICODE)
DANGLING = re.compile(  # no English sentence or signature ends so
    r"\b(?:the|an?|and|or|of|to|in|with|for|that|which|by|from|as|is|are|was|their|its|your|but|at|"
    r"into|than|every|because|while|although|unless|until|during|between|among|whose|whether|nor|"
    r"our|my|his|very|would|might|may)$",
    re.IGNORECASE,
)
ARTICLE = re.compile(  # nor any list item or answer of one phrase
    r"\b(?:the|an?|and|or|of|their|its|your|but|because|than|unless|whether|whose)$", re.IGNORECASE
)
HEADING = re.compile(r" {0,3}#{1,6} [*_]*[^\W\d_](?!.*[:=] *\S)")  # not "#### 42"
OPENS_BOLD = re.compile(r"(?:^|[\s(])\*\*[^\W\d][^*`]*$")  # "2 ** n" is no emphasis
ITEM = re.compile(r"\s*(?:[-*+\u2022]|\d{1,3}[.)])(?:\s+|$)")
CONCLUDES = re.compile(
    r"\b(?:answer|result|total)\b.*\b(?:is|are)\b|^(?:so|therefore|thus|hence)\b"
    r"|\b(?:regards|wishes|sincerely|faithfully|truly|love)$",  # nor is a letter's end cut
    re.IGNORECASE,
)
WORD_ALONE = re.compile(r"(?:on|at|if|when|as|this|these|it|some|most)$", re.IGNORECASE)
CALCULATION = re.compile(  # "Next comes 5 \u00f7 12", and its result is not told
    r"(?!.*(?:[=:]|\b(?:is|are|answer)\b))[^\d\n]*[a-z][^\n]*\d\)? [+*\u00d7\u00f7] \(?-?\d[\d.,]*$"
)
HANGING_OPERATOR = re.compile(r"\d\)? [-+*/\u00d7\u00f7\u2212=]$")
REST_LEFT_OUT = re.compile(  # a note in place of the rest, as the last thing that is said
    r"(?:[\[(<*_]+(?:\.\.\.|\u2026|to be continued|continued\b[^\])\n]{0,40}|truncated|cut off"
    r"|(?:the )?(?:rest|remain(?:ing|der))\b[^\])\n]{0,80}|[^\])\n]{0,40}\bomitted\b[^\])\n]{0,40}"
    r"|[^\])\n]{0,40}\bfor brevity)\.{0,3}[\])>*_]+|\bto be continued[.\u2026!]*)$",
    re.IGNORECASE,
)
FEWEST_WORDS = 8  # of a text that ends in an article or a comma; less may be an answer
FEWEST_LINES = 2  # before a heading that nothing stands under
FEWEST_SENTENCES = 2  # finished ones, before an unfinished one says anything
LONG_LINE_WORDS = 12  # a shorter line without a full stop may be a verse or a signature


class Truncation(Model):
    """Drops a text that was cut off. The score is 1 for a cut text, else 0."""

    name: ClassVar[str] = "truncation"
    read_end: bool = Field(
        True, description="also read the end of the text, not only the reply's finish reason"
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`reply_truncated` by the teacher's word, `reply_cut` by the look of the end."""
        reasons: list[str | None] = []
        notes = []
        for text, finish in zip(batch.texts, batch.finish_reasons, strict=True):
            # people end their own prompts as they like; only a teacher's can be cut
            readable = batch.subject == "text" or finish
            how = cut_end(text) if self.read_end and readable and finish != "length" else ""
            if finish == "length":
                reasons.append("reply_truncated")
            else:
                reasons.append("reply_cut" if how else None)
            notes.append(how)
        return Verdicts(reasons, [float(reason is not None) for reason in reasons], notes)


def cut_end(text: str) -> str:
    """What shows that the text was cut, or "" where nothing does."""
    if has_open_fence(text):
        return "open code fence"
    if has_open_box(text):
        return "open formula box"
    if has_open_formula(text):
        return "open formula"
    if has_open_table(text):
        return "open table"
    tail = text.rstrip()[-TAIL_CHARS:]
    lines = [line for line in tail.split("\n") if line.strip()]
    if has_cut_item(lines):
        return "ends in the middle of a list"
    line = lines[-1].rstrip("*_ ") if lines else ""
    if REST_LEFT_OUT.search(tail[-NOTE_CHARS:]):
        return "the rest is left out"
    if len(lines) > 1 and leads_to_nothing(lines, line):
        return "nothing follows"
    if len(lines) > 1 and HANGING_OPERATOR.search(line):
        return "ends in the middle of a calculation"
    if has_open_emphasis(lines):
        return "open emphasis"
    if line.rfind("\u201c") > line.rfind("\u201d") and not SENTENCE_END.search(line[-3:]):
        return "ends in the middle of a quotation"
    if len(lines) > 1 and CALCULATION.match(ITEM.sub("", line, count=1)):
        return "ends in the middle of a calculation"
    free = FREE_START.match(line) or FREE_END.search(line) or tail.endswith(("```", "~~~"))
    if free or not MID_WORD_END.search(line):
        return ""
    words = line.split()
    stops = ARTICLE.search(line) or line[-1] in ",;("
    if stops and len(words) > 1 and len(tail.split()) >= FEWEST_WORDS:
        return "ends in the middle of a clause"
    goes_on = SENTENCE_END.search(line) is not None
    if len(SENTENCE_END.findall(tail)) < FEWEST_SENTENCES and not (
        goes_on and len(words) >= LONG_LINE_WORDS
    ):
        return ""
    if DANGLING.search(line) or WORD_ALONE.match(line):
        return "ends in the middle of a clause"
    if goes_on or len(words) >= LONG_LINE_WORDS or is_odd_one_out(lines, tail):
        return "ends in the middle of a sentence"
    return ""


def has_cut_item(lines: list[str]) -> bool:
    """Whether the last line is an item without the full stop that all items before it have."""
    if not lines or not (last := ITEM.match(lines[-1])):
        return False
    body = lines[-1][last.end() :].rstrip("*_ ")
    if not body:
        return len(lines) > 1
    before = list(takewhile(ITEM.match, reversed(lines[:-1])))
    whole = [line for line in before if SENTENCE_END.search(line[-3:]) and len(line.split()) > 3]
    # lists in other sections show how this writer ends an item
    items = [line for line in lines[:-1] if ITEM.match(line)]
    phrases = any(MID_WORD_END.search(line) and len(line.split()) > 3 for line in items)
    if not MID_WORD_END.search(body):
        return False
    if not before and len(lines) > 1 and lines[-2].rstrip("*_ ").endswith(":"):
        return len(SENTENCE_END.findall("\n".join(lines[:-1]))) >= FEWEST_SENTENCES  # a list of one
    if before and len(whole) == len(before) and (not phrases or SENTENCE_END.search(body)):
        return True
    if body[-1] in ",(" and items and not any(line.endswith(body[-1]) for line in items):
        return True
    return len(lines) > 1 and len(body.split()) > 2 and DANGLING.search(body) is not None


def leads_to_nothing(lines: list[str], line: str) -> bool:
    """Whether the last line announces what is not there: a heading, or "In short:"."""
    if HEADING.match(line):
        return len(lines) > FEWEST_LINES and not CONCLUDES.search(line)
    return line.endswith(":") and len(" ".join(lines).split()) >= FEWEST_WORDS


def is_odd_one_out(lines: list[str], tail: str) -> bool:
    """Whether the last line alone is a sentence without its end."""
    *before, last = lines
    words = last.split()
    if is_turn(last, tail):
        return len(words) > 1 and all(SENTENCE_END.search(line[-3:]) for line in before[-4:])
    return bool(
        before
        and len(words) > 1
        and ":" not in last  # "Source: a guide"
        and words[-1].islower()
        and not CONCLUDES.search(last)
        and all(SENTENCE_END.search(line[-3:]) or line.endswith(":") for line in before)
    )


def has_open_emphasis(lines: list[str]) -> bool:
    """Whether the last line opens bold text and does not close it: "- **Johannes Guten"."""
    if not lines or lines[-1].count("**") % 2 == 0:
        return False
    return OPENS_BOLD.search(lines[-1]) is not None


def has_open_fence(text: str) -> bool:
    """Whether a Markdown code fence is opened and not closed (CommonMark, section 4.5)."""
    if "```" not in text and "~~~" not in text:
        return False
    opened = ""
    for match in FENCE.finditer(text):
        fence = match.group(1)
        if not opened:
            opened = fence
        elif fence.startswith(opened):
            opened = ""
    return bool(opened)


def has_open_formula(text: str) -> bool:
    """Whether the last LaTeX environment, `$$` or `\\[` is not closed."""
    at = text.rfind("\\begin{")
    if at >= 0:
        name = text[at + 7 : at + 40].partition("}")[0]
        return f"\\end{{{name}}}" not in text[at:]
    if text.count("$$") % 2:  # a shell's `$$` has no LaTeX behind it
        return "\\" in text[text.rfind("$$") :]
    at = text.rfind("\\[")
    return at >= 0 and "\\]" not in text[at:] and "\n" in text[max(0, at - 1) : at + 3]


def has_open_table(text: str) -> bool:
    """Whether a Markdown table ends in the middle of a row, or before its first one."""
    lines = text[-TAIL_CHARS:].rstrip().rsplit("\n", 2)
    if len(lines) < 2 or not lines[-1].startswith("|"):
        return False
    before, last = (line.strip() for line in lines[-2:])
    if DELIMITER_ROW.fullmatch(last):
        return True
    if not (before.startswith("|") and before.endswith("|")):
        return False
    # rows are as wide as the one before, so a narrower one stops within it
    return not last.endswith("|") or last.count("|") < before.count("|")


def has_open_box(text: str) -> bool:
    """Whether the last `\\boxed{` is not closed."""
    at = text.rfind("\\boxed{")
    rest = text[at : at + TAIL_CHARS] if at >= 0 else ""
    return rest.count("{") > rest.count("}")
