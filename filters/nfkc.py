"""NFKC in bounded time."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

LONGEST_RUN = 30  # marks on one letter. Source: Unicode UAX #15, Stream-Safe Text Format


def nfkc(text: str) -> str:
    """The text in NFKC, of more than 30 combining marks on one letter the first 30.

    Sorting the marks of one letter takes quadratic time: of a million of them, minutes.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _long_runs().sub(r"\1", text))


@cache
def _long_runs() -> re.Pattern[str]:
    marks = "".join(
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))
    )
    return re.compile(f"([{re.escape(marks)}]{{{LONGEST_RUN}}})[{re.escape(marks)}]+")
