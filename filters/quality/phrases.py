"""Stock phrases: written in lower case with straight quotes, looked for in text made the same."""

import re


def any_of(*phrases: str) -> re.Pattern[str]:
    """One pattern for all the phrases, each a regular expression, the first that fits wins."""
    return re.compile("|".join(f"(?:{phrase})" for phrase in phrases))


def plain(text: str) -> str:
    """Lower case, straight quotes and dashes, runs of blanks made one; line breaks stay."""
    lowered = text.lower().replace("\u2019", "'").replace("\u2014", "-").replace("\u2013", "-")
    return re.sub(r"[^\S\n]+", " ", lowered)
