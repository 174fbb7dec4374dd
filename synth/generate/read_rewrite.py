"""Whether a reply is a rewrite: the first line that the prompt demands, and an end.

Source: Nemotron-CC (arXiv:2412.02595, appendix) demands a fixed first line, rejects replies without
it, and strips it. Ours takes the line in any case and dress: `**=== Wiki ===**:`.
"""

from __future__ import annotations

import re

from synth.generate.template import Template
from synth.teacher.protocol import Reply

COPIED_CHARS = 60  # a line of the prompt as long as that is no coincidence
MOST = 0.7  # of the lines of a kind, before one that differs is the odd one out
ENDED = re.compile(r"[.!?:;|}\u2026\u3002\uff01\uff1f$][\"'\u201d\u2019)\]*_]*\s*$|```\s*$")
SENTENCE = re.compile(r"\w{3}[.!?][\"'\u201d\u2019)]* +[\"'\u201c\u2018(]?[A-Z]\w* \w+")
# the line in bold, in quotes, as a heading or with a colon is the line
FIRST_LINE = re.compile(r"[\s*_#>\"'`\u201c]*={2,}\s*(?P<name>\w+?)\s*={2,}[\s*_\"'`\u201d:.]*")
CODE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
KIND = re.compile(
    r"\s*(?:(?P<row>\|)|(?P<item>[-*+\u2022] |\d{1,2}[.)] )|(?P<head>#{1,6} )|(?P<quote>>))"
)


def read_rewrite(reply: Reply, template: Template) -> tuple[str, str | None]:
    """The rewrite without its first line, and the reason to reject it, if any.

    The reply's own fault, `reply_truncated` (by its finish reason), `first_line_missing`,
    `reply_empty`, `instruction_copied`, or `reply_cut` (by the look of its end).
    """
    if reply.fault:
        return reply.text, reply.fault
    if reply.finish_reason == "length":
        return reply.text, "reply_truncated"
    first, _, rest = reply.text.strip().partition("\n")
    said = FIRST_LINE.fullmatch(first)
    if said is None or said["name"].lower() != (template.first_line or "").lower():
        return reply.text, "first_line_missing"
    text = rest.strip()
    if not text:
        return text, "reply_empty"
    if any(len(line) >= COPIED_CHARS and line in text for line in template.system.split("\n")):
        return text, "instruction_copied"
    return text, "reply_cut" if ends_unlike_its_lines(text) else None


def ends_unlike_its_lines(text: str) -> bool:
    """Whether the last line has no end where the lines of its kind have one: a row without its
    last bar, a step without its full stop. Short lines, and formulas, say nothing."""
    *before, last = text.rstrip().split("\n")
    if CODE.search(text) or len(last.split()) < 4 or ENDED.search(last):
        return False
    kind = _kind(last)
    if kind != "row" and SENTENCE.search(last):
        return True
    alike = [line for line in before if _kind(line) == kind and len(line.split()) >= 4]
    ended = sum(ENDED.search(line) is not None for line in alike)
    return bool(alike) and ended >= MOST * len(alike)


def _kind(line: str) -> str:
    """Table row, list item, heading or prose."""
    found = KIND.match(line)
    return (found.lastgroup or "prose") if found else "prose"
