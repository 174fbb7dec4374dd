r"""Normalises answers, so that Unicode and LaTeX spellings of the same value are equal.

    $\left(1,2\right)$ -> (1,2)    −５ -> -5    3½ -> 3 1/2    \text{12 cm} -> 12 cm

Values stay the same. NFKC alone would turn 10² into 102 and 3½ into 31/2.
"""

from __future__ import annotations

import re
import unicodedata

from synth.text.numbers import NUMBER_WORDS, TENS

SUPERSCRIPTS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-"
)
SUPERSCRIPT = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]+")
VULGAR = re.compile("(\\d?)([\u00bc-\u00be\u2150-\u215e])")
SIGNS = {
    "\u2212": "-", "\u2013": "-", "\u00d7": "\\times ", "\u00b7": "\\cdot ", "\u22c5": "\\cdot ",
    "\u00f7": "/", "\u03c0": "\\pi ", "\u221e": "\\infty ", "\u2264": "\\le ", "\u2265": "\\ge ",
    "\u2260": "\\ne ", "\u2208": "\\in ", "\u222a": "\\cup ", "\u2229": "\\cap ",
    "\u2205": "\\emptyset ", "\u211d": "\\mathbb{R} ", "\u00b0": " degrees ", "\u2044": "/",
    "\u2248": "\\approx ", "\u221a": "\\sqrt ", "\u00b1": "\\pm ", "\u2236": ":",
}  # fmt: skip
# kept between two digits, where neither nothing nor a space would be right
INVISIBLE = re.compile(
    "(?<!\\d)[\u200b\u2060\ufeff\u200e\u200f]+|[\u200b\u2060\ufeff\u200e\u200f]+(?!\\d)"
)
SUBSCRIPT = re.compile("(?<![a-zA-Z])[\u2080-\u2089]+")
LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]")
SIGN = re.compile("|".join(map(re.escape, SIGNS)))
SAME = [  # LaTeX spellings and their plain form
    (re.compile(pattern), form)
    for pattern, form in (
        (
            r"(?<!\\)\$([^$\s](?:[^$]*[^$\s])?)(?<!\\)\$(?!\d)|\\[()]",
            lambda found: f" {found[1] or ''} ",
        ),
        (r"\\begin\{([bp]?)matrix\}(.{0,2000}?)\\end\{\1matrix\}", lambda found: matrix(found[2])),
        (r",\s*\\!\s*|\\!", lambda found: "," if "," in found[0] else ""),
        (r"(?<=\d)\{,\}(?=\d\d?(?!\d))", "."),
        (r"\{\s*([,:])\s*\}", r"\1"),
        (r"\\(?:text)?color\s*\{[^{}]*\}", ""),
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|quad|qquad)(?![a-zA-Z])", " "),
        (r"\\[,;: ]|(?<=[^~])~(?=[^~])", " "),  # ~5 is about 5, and ~~5~~ is struck out
        (r"\\not\s*=|=/=", r"\\ne "),
        (r"\\([$%])", r"\1"),
        (r"(?<=\d) x (?=\d)", r" \\times "),
        (r"\\therefore(?![a-z])", ""),
        (r"\\([lr])brace(?![a-z])", lambda found: "\\{" if found[1] == "l" else "\\}"),
        (r"\\(le|ge|ne)q(?:slant)?(?![a-z])", r"\\\1"),
        (r"\\([lg])t(?![a-z])", lambda found: "<" if found[1] == "l" else ">"),
        (r"\\(?:varnothing|empty)(?![a-z])", r"\\emptyset"),
        (r"\\(?:[lc]?dots|dots[a-z])(?![a-z])", "..."),
        (r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)|\\degree(?![a-z])", " degrees "),
        (r"(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi"),
        (r"(?<![\\a-zA-Z])infinity(?![a-zA-Z])", r"\\infty"),
        (r"\\sqrt\s+(\d+(?:\.\d+)?)", r"\\sqrt{\1}"),
        (
            r"(?<!\d)(\d{0,30})\.(\d{0,30})\\(?:overline|bar)\s*\{(\d{1,30})\}",
            lambda found: repeating(*found.groups()),
        ),
    )
]
TEXT = re.compile(
    r"\\(?:text[a-z]{0,2}|math(?:rm|bf|it|sf)|[mf]box|operatorname|underline|boxed|emph|bm|boldsymbol)"
    r"\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"
)
WRAPPERS = (
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ("{", "}"),
    ('"', '"'), ("'", "'"), ("\u201c", "\u201d"),
)  # fmt: skip
LARGE = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
ANY = "|".join([*NUMBER_WORDS, *LARGE])
SPELLED = re.compile(
    rf"\b(?:{'|'.join(NUMBER_WORDS)})\b(?:(?:[\s-]|\band\b){{1,5}}\b(?:{ANY})\b)*", re.IGNORECASE
)


def plain(answer: str) -> str:
    """The answer in NFKC with ASCII signs, without LaTeX that only changes its look."""
    text = SUPERSCRIPT.sub(lambda found: "^" + found.group().translate(SUPERSCRIPTS), answer)
    text = VULGAR.sub(_spell_fraction, text)
    text = SUBSCRIPT.sub(lambda found: "_" + unicodedata.normalize("NFKC", found[0]), text)
    text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    text = SIGN.sub(lambda found: SIGNS[found.group()], text)
    text = unwrap(text.strip())
    for pattern, form in SAME:
        text = pattern.sub(form, text)
    for _ in range(2):  # \textbf{\text{12}}
        text = TEXT.sub(r" \1 ", text)
    text = unwrap(" ".join(text.split())).removeprefix("=").strip()
    text = re.sub(r"(?<![\w)}])(?<![\w)}] )\+ ?(?=\\infty)", "", text)
    if found := SPELLED.fullmatch(re.sub(r"^(?:minus|negative) |[. ]+$", "", text)):
        text = text.replace(found[0], spelled(found))
    text = re.sub(r"^(?:minus|negative) (?=\d)", "-", text)
    exact, _, about = text.partition("\\approx")  # 1/6 ≈ 0.167, but not x ≈ 0.167
    if (
        re.fullmatch(r" ?[\d.,]+ ?%?", about)
        and re.search(r"\d", exact)
        and not LETTER.search(exact)
    ):
        text = exact.strip()
    text = re.sub(r"^([\[\]])([^\[\]]+[,;][^\[\]]+)([\[\]])$", _turned, text)
    text = re.sub(r"^(?:all )?(?:real numbers|reals)$", r"\\mathbb{R}", text)
    return text.rstrip(".,;: \u3002") if not text.endswith("...") else text


def spelled(found: re.Match[str]) -> str:
    """A number in words as digits; other words, such as "five six", unchanged."""
    total = group = 0
    least, scale = 1_000, 10**9  # the next must be smaller: "twenty five", not "five twenty"
    last = ""
    for word in re.findall(r"[a-z]+", found[0].lower()):
        size = LARGE.get(word, 0)
        if (
            (word == "and" and last not in LARGE)
            or (size and (not group or size >= scale or (size == 100 and group >= 100)))
            or (word in NUMBER_WORDS and (NUMBER_WORDS[word] >= least or (word == "zero" and last)))
        ):
            return found[0]
        if size == 100:
            group, least = 100 * group, 100
        elif size:
            total, group, least, scale = total + size * group, 0, 1_000, size
        elif word != "and":
            group += NUMBER_WORDS[word]
            least = 10 if word in TENS else 1
        last = word
    return str(total + group)


def unwrap(text: str) -> str:
    """Removes maths delimiters or emphasis around the whole text."""
    for opening, closing in WRAPPERS:
        inner = text[len(opening) : len(text) - len(closing)]
        long_enough = len(text) > len(opening) + len(closing)
        if long_enough and text.startswith(opening) and text.endswith(closing):
            if opening in inner or closing in inner:
                continue
            return unwrap(inner.strip())
    return text


def matrix(body: str) -> str:
    """A matrix as a list of lists; a column as one list."""
    rows = [[cell.strip() for cell in row.split("&")] for row in body.split("\\\\") if row.strip()]
    if all(len(row) == 1 for row in rows):
        return f"({', '.join(row[0] for row in rows)})"
    return f"[{', '.join('[' + ', '.join(row) + ']' for row in rows)}]"


def repeating(whole: str, fixed: str, again: str) -> str:
    """A repeating decimal as a fraction."""
    over = int(whole + fixed + again) - int(whole + fixed or 0)
    return rf"\frac{{{over}}}{{{(10 ** len(again) - 1) * 10 ** len(fixed)}}}"


def _turned(found: re.Match[str]) -> str:
    """The interval ]0,1[ as (0,1)."""
    return f"{'[' if found[1] == '[' else '('}{found[2]}{']' if found[3] == ']' else ')'}"


def _spell_fraction(found: re.Match[str]) -> str:
    whole, sign = found.groups()
    fraction = unicodedata.normalize("NFKC", sign).replace("\u2044", "/")
    return f"{whole} {fraction}" if whole else fraction
