"""Detects prompts about code or maths."""

from __future__ import annotations

import re
from enum import StrEnum


class Domain(StrEnum):
    """The domains of prompts. Most prompts belong to neither."""

    CODE = "code"
    MATHS = "maths"


CODE = re.compile(
    r"```|^[ \t]*(?:def|class|import|function|public|SELECT|#include)\b"
    r"|\w{1,80}\([^()\n]{0,400}\)\s*->"
    r"|\b(?:python|java(?:script)?|typescript|rust|golang|sql|bash|regex|c\+\+|unit tests?)\b"
    r"|\b(?:function|method|class|script|program|algorithm|code)\b(?=[^.?!]{0,40}"
    r"\b(?:that|which|returns?|takes?|called|named|prints?|in)\b)",
    re.IGNORECASE | re.MULTILINE,
)
MATHS = re.compile(
    r"\d\s*[-+*/×÷^=%]\s*\(*\d|\\(?:frac|sqrt|int|sum)\b"
    r"|\b(?:how (?:many|much|long|far|old)|calculate|compute|evaluate|solve|prove|equation|"
    r"probability|percent(?:age)?|fraction|average|total|perimeter|area|volume|integral|"
    r"derivative|ratio)\b",
    re.IGNORECASE,
)
DIGIT = re.compile(r"\d")


def domains(prompt: str) -> frozenset[Domain]:
    """The domain that the prompt seems to belong to, often none. Code takes precedence."""
    if CODE.search(prompt):
        return frozenset({Domain.CODE})
    if MATHS.search(prompt) and DIGIT.search(prompt):
        return frozenset({Domain.MATHS})
    return frozenset()
