"""Stock phrases: written in lower case with straight quotes, looked for in text made the same."""

import re

QUOTATION = re.compile(r'"[^"\n]*"|\u201c[^\u201d\n]*(?:\u201d|\Z)|\u00ab[^\u00bb\n]*\u00bb')
BLANKS = re.compile(r"[^\S\n]+")
TURN = re.compile(r"[*_>\s]*(\w[\w.' -]{0,30}?)[*_]*:")


def any_of(*phrases: str) -> re.Pattern[str]:
    """One pattern for all the phrases, each a regular expression, the first that fits wins."""
    return re.compile("|".join(f"(?:{phrase})" for phrase in phrases))


def plain(text: str) -> str:
    """Lower case, straight quotes and dashes, runs of blanks made one; line breaks stay."""
    lowered = text.lower().replace("\u2019", "'").replace("\u2014", "-").replace("\u2013", "-")
    return BLANKS.sub(" ", lowered)


def unquoted(text: str) -> str:
    """The text with "…" in place of each quotation: a clerk's "I cannot" is not the writer's.

    A text that begins with a quotation mark and has nothing behind the quotation stays as it is.
    """
    said = QUOTATION.sub('"\u2026"', text)
    return said if said.strip('"\u2026 \n') else text


def is_turn(line: str, text: str) -> bool:
    """Whether the line is somebody's turn in a dialogue: others in the text begin as it does."""
    label = TURN.match(line)
    return label is not None and len(re.findall(rf"(?m)^{re.escape(label[0])}", text)) > 1
