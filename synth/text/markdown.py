"""Finds code and quotations in Markdown, for every stage and filter.

    Here it is:⏎```python⏎def f(x): …⏎```⏎For example:⏎```⏎f(3)⏎```  ->  [def f(x): …], [f(3)]

A fence is a line of three or more backticks or tildes, as in CommonMark (section 4.5). We allow
deeper indents, since models write code inside lists. An open fence extends to the end of the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FENCED = re.compile(
    r"^(?P<indent>[ \t]{0,32})(?P<fence>`{3,}+(?![^\n]*`)|~{3,}+)(?P<info>[^\n]*)(?:\n|\Z)"
    r"(?P<code>.*?)(?:^[ \t]{0,32}(?P<closed>(?P=fence)[`~]*)[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
CODE_SPAN = re.compile(r"`{1,3}[^`\n]+`{1,3}")
QUOTED = re.compile(
    r"\"[^\"\n]*\"|“[^“”\n]*”|„[^„“”\n]*[“”]|«[^«»\n]*»|《[^《》\n]*》|「[^「」\n]*」"
    r"|(?<!\w)'[^'\n]*'(?!\w)"
)
"""A quotation within a line, including its marks."""
LANGUAGE_END = re.compile(r"[^\w+#.-]")


class CodeBlock(NamedTuple):
    """A fenced block."""

    language: str
    """The language in lower case; "" if the fence names none."""
    code: str
    """The code, without the indent of its fence."""
    closed: bool


def blocks(text: str) -> list[CodeBlock]:
    """The fenced blocks of a text, in order."""
    return [_block(found) for found in FENCED.finditer(text)] if _has_fence(text) else []


def is_fence(line: str) -> bool:
    """Whether a line opens or closes a fenced block."""
    return line.lstrip().startswith(("```", "~~~"))


def open_fence(text: str) -> bool:
    """Whether a code fence is opened and not closed."""
    *_, last = [True, *(block.closed for block in blocks(text))]
    return not last


def without_blocks(text: str, instead: str = "") -> str:
    """The text without its fenced blocks."""
    return FENCED.sub(instead, text) if _has_fence(text) else text


def without_code(text: str, instead: str = "") -> str:
    """The text without its fenced blocks and code spans."""
    text = without_blocks(text, instead)
    return CODE_SPAN.sub(instead, text) if "`" in text else text


def unfenced(text: str) -> str:
    """The code, if the whole text is one fenced block; otherwise the stripped text."""
    text = text.strip()
    found = FENCED.fullmatch(text)
    return found["code"].strip() if found and found["closed"] else text


def _has_fence(text: str) -> bool:
    return "```" in text or "~~~" in text


def _block(found: re.Match[str]) -> CodeBlock:
    code = found["code"]
    if not found["closed"]:
        code = f"{code}\n"
    if indent := len(found["indent"]):
        code = re.sub(rf"(?m)^[ \t]{{1,{indent}}}", "", code)
    language = LANGUAGE_END.split(found["info"].strip(), maxsplit=1)[0].lower()
    return CodeBlock(language, code, found["closed"] is not None)
