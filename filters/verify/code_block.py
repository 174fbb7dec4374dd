"""The program in an answer: what it marks as code, or all of it.

Here it is:⏎```python⏎def f(x): …⏎```⏎For example:⏎```⏎f(3)⏎```  ->  def f(x): …
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

FENCE: Final = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`\n]*$")
DEFINES: Final = re.compile(r"^(?:async def|def|class)\b", re.MULTILINE)
PYTHON: Final = frozenset({"python", "py", "python3"})


class Block(NamedTuple):
    """A fenced block; `language` is "" where it does not say one."""

    language: str
    code: str


class Program(NamedTuple):
    """What is to be run."""

    code: str
    marked: bool
    """Whether it stood in a fence."""


def program_in(text: str, languages: frozenset[str] | None = PYTHON) -> Program:
    """The last block that defines something, else the last one; the whole text if it has none.

    Blocks that name one of the languages (None: any) go before those that name none; others do not
    count.
    """
    found = [
        block
        for block in blocks(text)
        if languages is None or block.language in languages or not block.language
    ]
    named = [block for block in found if block.language] or found
    if not named:
        return Program(text, marked=False)
    defining = [block for block in named if DEFINES.search(block.code)]
    return Program((defining or named)[-1].code, marked=True)


def blocks(text: str) -> list[Block]:
    """The fenced blocks, in order. One that is not closed ends with the text."""
    found: list[Block] = []
    fence, language = "", ""
    lines: list[str] = []
    for line in text.split("\n"):
        match = FENCE.match(line) if line.lstrip(" \t")[:3] in ("```", "~~~") else None
        if not fence and match:
            fence, language, lines = match[1], match[2].lower(), []
        elif fence and match and match[1].startswith(fence) and not match[2]:
            found.append(Block(language, "\n".join([*lines, ""])))
            fence = ""
        else:
            lines.append(line)
    if fence:
        found.append(Block(language, "\n".join([*lines, ""])))
    return found
