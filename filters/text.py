"""What dedup and decontamination see of a text: NFKC in bounded time, and words of any script."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # Thai, Kana, Han, Hangul
WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
"""A word; in a script without spaces a character."""
SHORT_CHARS = 5_000  # of nothing but marks: 20 ms
LONGEST_RUN = 30  # marks on one letter. Source: Unicode UAX #15, Stream-Safe Text Format


def nfkc(text: str) -> str:
    """The text in NFKC; in a long text, of combining marks on one letter only the first 30.

    Sorting the marks of one letter takes quadratic time: of a million of them, minutes.
    """
    if text.isascii():
        return text
    if len(text) > SHORT_CHARS:
        text = _long_runs().sub(r"\1", text)
    return unicodedata.normalize("NFKC", text)


@cache
def _long_runs() -> re.Pattern[str]:
    marks = "".join(
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))
    )
    return re.compile(f"([{re.escape(marks)}]{{{LONGEST_RUN}}})[{re.escape(marks)}]+")
