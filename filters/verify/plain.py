r"""Answers made comparable: Unicode and LaTeX ways of writing the same thing become one.

    $\left(1,2\right)$ -> (1,2)    −５ -> -5    3½ -> 3 1/2    \text{12 cm} -> 12 cm

No value changes: NFKC by itself would make 102 of 10² and 31/2 of 3½.
"""

from __future__ import annotations

import re
import unicodedata

SUPERSCRIPTS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-"
)
SUPERSCRIPT = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]+")
VULGAR = re.compile("(\\d?)([\u00bc-\u00be\u2150-\u215e])")
SIGNS = {
    "\u2212": "-", "\u2013": "-", "\u00d7": "\\times ", "\u00b7": "\\cdot ", "\u22c5": "\\cdot ",
    "\u00f7": "/", "\u03c0": "\\pi ", "\u221e": "\\infty ", "\u2264": "\\le ", "\u2265": "\\ge ",
    "\u00b0": " degrees ", "\u2044": "/", "\u221a": "\\sqrt ", "\u00b1": "\\pm ",
    "\u200b": "", "\u2060": "", "\ufeff": "", "\u200e": "", "\u200f": "",
}  # fmt: skip
SIGN = re.compile("|".join(map(re.escape, SIGNS)))
DROPPED = re.compile(r"\\left\b|\\right\b|\\displaystyle\b|\\[!,;: ]|\\quad\b|~")
TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname)\s*\{([^{}]*)\}")
WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"))


def plain(answer: str) -> str:
    """The answer in NFKC with ASCII signs, without the LaTeX that only sets type."""
    text = SUPERSCRIPT.sub(lambda found: "^" + found.group().translate(SUPERSCRIPTS), answer)
    text = VULGAR.sub(_spell_fraction, text)
    text = SIGN.sub(lambda found: SIGNS[found.group()], unicodedata.normalize("NFKC", text))
    text = unwrap(text.strip())
    text = DROPPED.sub(" ", text).replace("{,}", ",").replace("\\$", "$").replace("\\%", "%")
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)", " degrees ", text)
    text = TEXT.sub(r" \1 ", text)
    text = " ".join(text.split())
    return text.rstrip(".,;: ") if not text.endswith("...") else text


def unwrap(text: str) -> str:
    """Without the marks of mathematics or emphasis around the whole."""
    for opening, closing in WRAPPERS:
        inner = text[len(opening) : len(text) - len(closing)]
        long_enough = len(text) > len(opening) + len(closing)
        if long_enough and text.startswith(opening) and text.endswith(closing):
            if opening in inner or closing in inner:
                continue
            return unwrap(inner.strip())
    return text


def _spell_fraction(found: re.Match[str]) -> str:
    whole, sign = found.groups()
    fraction = unicodedata.normalize("NFKC", sign).replace("\u2044", "/")
    return f"{whole} {fraction}" if whole else fraction
