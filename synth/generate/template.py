"""Prompt files: what the teacher is told, a line `---`, then what it is given.

What it is told comes first and is the same for every row, so that vLLM's prefix cache hits.
`{{name}}` is replaced by a value, once: values are data and are never looked into again, so a page
that holds `{{prompt}}` reaches the teacher as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from synth.teacher.protocol import Turn

PROMPTS = Path(__file__).parent / "prompts"
PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt file. `digest` stands in every row's trail: an edited file is another template."""

    system: str
    user: str
    digest: str

    def turns(self, values: Mapping[str, str]) -> list[Turn]:
        """The chat turns with the values in place. Raises `KeyError` for a missing value."""
        return [
            Turn(role="system", content=_fill(self.system, values)),
            Turn(role="user", content=_fill(self.user, values)),
        ]


def _fill(text: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda place: values[place[1]], text)


@cache
def shipped(name: str) -> Template:
    """The shipped template, say `evolve/constrain`."""
    content = (PROMPTS / f"{name}.md").read_text(encoding="utf-8")
    system, _, user = content.partition("\n---\n")
    return Template(system.strip(), user.strip(), sha256(content.encode()).hexdigest()[:16])
