"""Whether a reply is a rewrite: the first line that the prompt demands, no stock phrase, an end.

Source: Nemotron-CC (arXiv:2412.02595, appendix) demands a fixed first line, rejects replies without
it, and strips it. Cosmopedia's prompts ban stock openers; ours are the families that its authors
and later studies of model text name, and a reply that opens with one is rejected.
"""

from __future__ import annotations

import re

from synth.generate.template import Template
from synth.teacher.protocol import Reply

READ_CHARS = 400
WORLD = r"(?:world|age|era|times?|landscape|society|environment|climate|day and age)"
BUSY = (
    r"(?:today|modern|fast|ever|rapid\w*|increasingly|constantly|digital|complex|busy|globali[sz]ed"
    r"|interconnected|competitive|contemporary|current|present|hectic|connected|changing|evolving"
    r"|growing|paced|moving|shifting|dynamic|vast|technolog\w+|data|driven)"
)
MODERN = (
    rf"in (?:today(?:'s)?|(?:the|our|this|an?)? ?{BUSY})[\s,'-](?:[\w'-]+[ ,]+){{0,4}}?{WORLD}\b"
)
GREETED = r"(?:readers?|students?|everyone|there|friends?|learners?|class|kids|children|all)"
AGREED = r"(?:no problem|all ?right|got it|understood|okay|ok|sure|certainly|of course|absolutely)"
OPENERS = (
    MODERN,
    r"in (?:today's|this modern) \w+,",
    r"in recent years,",
    r"(?:since|from) the dawn of|throughout (?:human )?history\b",
    r"have you ever (?:wondered|thought|asked yourself|stopped|noticed|considered|tried)",
    r"did you know\b",
    r"(?:imagine|picture) (?:this|for a moment|yourself|a world|that you|you're|you are)\b",
    r"once upon a time\b|in a (?:land|kingdom|galaxy) far",
    r"welcome (?:to|back|,)",
    r"(?:let's|let us|(?:in this \w+,? )?we(?:'ll| will)) (?:\w+ )?(?:delve|dive|embark|journey)",
    r"(?:buckle up|get ready|are you ready|join us|come along)\b",
    r"(?:it is|it's) (?:no secret|widely known|a truth universally|often said) that",
    r"when it comes to\b",
    rf"(?:hello|hi|hey|greetings|dear)[ ,!]+(?:\w+ ){{0,3}}?{GREETED}\b",
    r"as we all know,",
    r"in this day and age|in our (?:[\w-]+ )*?(?:lives|world|times?)\b",
    r"in the (?:realm|tapestry|annals|hustle and bustle|fast lane) of\b",
    # to the asker, in place of a text for readers
    rf"{AGREED}\b ?[,.!]",
    r"(?:output|response|answer|result|rewritten text|rewrite): ",
    r"[^.:\n]{0,40}\bthis is what i (?:came up with|have)|my (?:answer|suggestion|version) ",
)
STOCK = re.compile("|".join(OPENERS))
COPIED_CHARS = 60  # a line of the prompt as long as that is no coincidence
MOST = 0.7  # of the lines of a kind, before one that differs is the odd one out
ENDED = re.compile(r"[.!?:;|}\u2026\u3002\uff01\uff1f$][\"'\u201d\u2019)\]*_]*\s*$|```\s*$")
SENTENCE = re.compile(r"\w{3}[.!?][\"'\u201d\u2019)]* +[\"'\u201c\u2018(]?[A-Z]\w* \w+")
CODE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
KIND = re.compile(
    r"\s*(?:(?P<row>\|)|(?P<item>[-*+\u2022] |\d{1,2}[.)] )|(?P<head>#{1,6} )|(?P<quote>>))"
)
PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-"})
SKIPPED = re.compile(r"\s*(?:#|\||[-=*_]{3,}\s*$|$)")
MARKUP = re.compile(r"^[\s>*_\"'\u201c\u2018(]+|^(?:Q|A|[A-Z][a-z]{1,20})\s*:[\s*_]*")


def read_rewrite(reply: Reply, template: Template) -> tuple[str, str | None]:
    """The rewrite without its first line, and the reason to reject it, if any.

    The reply's own fault, `reply_truncated` (by its finish reason), `first_line_missing`,
    `reply_empty`, `instruction_copied`, `stock_opening`, or `reply_cut` (by the look of its end).
    """
    if reply.fault:
        return reply.text, reply.fault
    if reply.finish_reason == "length":
        return reply.text, "reply_truncated"
    first, _, rest = reply.text.partition("\n")
    if first.strip() != f"=== {template.first_line} ===":
        return reply.text, "first_line_missing"
    text = rest.strip()
    if not text:
        return text, "reply_empty"
    if any(len(line) >= COPIED_CHARS and line in text for line in template.system.split("\n")):
        return text, "instruction_copied"
    if opens_with_stock(text):
        return text, "stock_opening"
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


def opens_with_stock(text: str) -> bool:
    """Whether the first line of prose, behind headings and tables, opens with a stock phrase."""
    for line in text[: 4 * READ_CHARS].split("\n"):
        if SKIPPED.match(line):
            continue
        plain = MARKUP.sub("", MARKUP.sub("", line[:READ_CHARS])).translate(PLAIN).lower()
        return STOCK.match(plain) is not None
    return False
