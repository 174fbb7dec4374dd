"""The code in an answer: its fenced blocks, or the whole text where nothing is fenced.

Here it is:⏎```python⏎def f(x): …⏎```⏎For example:⏎```⏎f(3)⏎```  ->  [def f(x): …]
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

FENCE: Final = re.compile(r"^([ \t]{0,32})(`{3,}|~{3,})", re.MULTILINE)  # deep in a list, too
BEHIND_LANGUAGE: Final = re.compile(r"[^\w+#.-]")
DEFINES: Final = re.compile(r"^(?:async def|def|class)\b", re.MULTILINE)
PYTHON: Final = frozenset({"python", "py", "python3"})


class Block(NamedTuple):
    """A fenced block; `language` is "" where it does not say one."""

    language: str
    code: str


class Program(NamedTuple):
    """What is to be run."""

    blocks: list[str]
    """At least one, in the order of the text."""
    marked: bool
    """Whether they are fenced."""

    @property
    def last(self) -> str:
        """The last block that defines something in Python, else the last one."""
        return ([block for block in self.blocks if DEFINES.search(block)] or self.blocks)[-1]


def program_in(text: str, languages: frozenset[str] | None = PYTHON) -> Program:
    """The blocks that name one of the languages (None: any), else those that name none.

    The whole text is the only block where there are none of either kind.
    """
    found = [
        block
        for block in blocks(text)
        if languages is None or block.language in languages or not block.language
    ]
    named = [block for block in found if block.language] or found
    if not named:
        return Program([text], marked=False)
    return Program([block.code for block in named], marked=True)


def blocks(text: str) -> list[Block]:
    """The fenced blocks, in order, without their fence's indent. An open one ends with the text."""
    found: list[Block] = []
    fence, language, indent, start = "", "", "", 0
    for match in FENCE.finditer(text):
        end = text.find("\n", match.end()) % (len(text) + 1)  # -1, no line behind: the text's end
        info = text[match.end() : end].strip()
        if not fence and not (match[2][0] == "`" and "`" in info):  # else it is `code` in a line
            indent, fence, start = match[1], match[2], end + 1
            language = BEHIND_LANGUAGE.split(info, maxsplit=1)[0].lower()
        elif fence and match[2].startswith(fence) and not info:
            found.append(Block(language, _dedented(text[start : match.start()], len(indent))))
            fence = ""
    if fence:
        found.append(Block(language, _dedented(f"{text[start:]}\n", len(indent))))
    return found


def _dedented(code: str, indent: int) -> str:
    return re.sub(rf"(?m)^[ \t]{{1,{indent}}}", "", code) if indent else code
