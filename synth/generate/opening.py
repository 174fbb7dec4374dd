"""How a rewrite begins: the line that the prompt demands, and no stock phrase behind it.

Source: Nemotron-CC (arXiv:2412.02595, appendix) demands a fixed first line, rejects replies without
it, and strips it. Cosmopedia's prompts ban stock openers; ours are the families that its authors
and later studies of model text name, and a reply that opens with one is rejected.
"""

from __future__ import annotations

import re

from synth.generate.control import restore
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
    rf"(?:hello|hi|hey|greetings|dear)[ ,!](?:\w+ ){{0,3}}?{GREETED}\b",
    r"as we all know,",
)
STOCK = re.compile("|".join(OPENERS))
PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-"})
SKIPPED = re.compile(r"\s*(?:#|\||[-=*_]{3,}\s*$|$)")
MARKUP = re.compile(r"^[\s>*_\"'\u201c\u2018(]+|^(?:Q|A|[A-Z][a-z]{1,20})\s*:[\s*_]*")


def read_rewrite(reply: Reply, name: str) -> tuple[str, str | None]:
    """The rewrite without its first line, and the reason to reject it, if any.

    The reply's own fault, `first_line_missing`, `reply_empty` or `stock_opening`.
    """
    if reply.fault:
        return reply.text, reply.fault
    first, _, rest = reply.text.partition("\n")
    if first.strip() != f"=== {name} ===":
        return reply.text, "first_line_missing"
    text = restore(rest.strip())
    if not text:
        return text, "reply_empty"
    return text, "stock_opening" if opens_with_stock(text) else None


def opens_with_stock(text: str) -> bool:
    """Whether the first line of prose, behind headings and tables, opens with a stock phrase."""
    for line in text[: 4 * READ_CHARS].split("\n"):
        if SKIPPED.match(line):
            continue
        plain = MARKUP.sub("", MARKUP.sub("", line[:READ_CHARS])).translate(PLAIN).lower()
        return STOCK.match(plain) is not None
    return False
