"""The code in an answer: its fenced blocks, or the whole text where nothing is fenced.

Here it is:⏎```python⏎def f(x): …⏎```⏎For example:⏎```⏎f(3)⏎```  ->  [def f(x): …]
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from synth.text.markdown import blocks

DEFINES: Final = re.compile(r"^(?:async def|def|class)\b", re.MULTILINE)
PYTHON: Final = frozenset({"python", "py", "python3"})


class ExtractedCode(NamedTuple):
    """What is to be run."""

    blocks: list[str]
    """At least one, in the order of the text."""
    marked: bool
    """Whether they are fenced."""

    @property
    def last(self) -> str:
        """The last block that defines something in Python, else the last one."""
        return ([block for block in self.blocks if DEFINES.search(block)] or self.blocks)[-1]


def program_in(text: str, languages: frozenset[str] | None = PYTHON) -> ExtractedCode:
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
        return ExtractedCode([text], marked=False)
    return ExtractedCode([block.code for block in named], marked=True)
