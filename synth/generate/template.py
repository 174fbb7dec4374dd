"""Prompt files: instructions, a line `---`, then a row's values, and last a cue.

The instructions are the same for every row, so that vLLM's prefix cache hits. `{{name}}` is
replaced by a value, in one pass. Values are not searched for placeholders, so a page that contains
`{{prompt}}` reaches the teacher unchanged. There are no conditions, loops or calls, so a file
cannot execute anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.record import Turn
from synth.teacher.protocol import Reply, Request, Sampling, Teacher

PROMPTS = Path(__file__).parent / "prompts"
PLACE = re.compile(r"\{\{(\w+)\}\}")
ALMOST = re.compile(r"\{\{(?!\w+\}\})[^{}\n]{0,80}\}\}|\{%[^\n]{0,80}?%\}")
FIRST_LINE = re.compile(r"`=== (\w{1,60}) ===`")
DIVIDER = "\n---\n"
TAG = re.compile(r"^<(\w+)>$", re.MULTILINE)
MAX_BYTES = 64 << 10  # a place for a page may occur once, so a rendered prompt is bounded too


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt file. Every row's trail has its `digest`, so edits can be detected."""

    system: str
    user: str
    digest: str

    def turns(self, values: Mapping[str, str]) -> list[Turn]:
        """The chat turns with the values in place. Raises `KeyError` for a missing value.

        Values stay as they are; control tokens in them are escaped where the turns are sent
        (`synth.teacher.control`).
        """
        return [
            Turn(role="system", content=_fill(self.system, values)),
            Turn(role="user", content=_fill(self.user, values)),
        ]

    async def ask(
        self,
        teacher: Teacher,
        values: Mapping[str, str],
        sampling: Sampling,
        seed: int,
        schema: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Asks the teacher with the values filled in; returns the reply without the file's marks.

        JSON that a schema requires stays unchanged, and so does a reply of only marks.
        """
        request = Request(self.turns(values), sampling, seed, schema=schema)
        reply = await teacher.reply(request)
        text = reply.text if schema is not None else self.unmarked(reply.text, values)
        return replace(reply, text=text or reply.text)

    def unmarked(self, text: str, values: Mapping[str, str]) -> str:
        """The text without the cue at its front, and without the file's tags around its lines.

        A tag that a value contains stays: the text may be about it.
        """
        cue = self.user.rpartition("\n")[2]
        if cue.endswith(":"):
            pattern = rf"\A[#\s]*([*_]*){re.escape(cue[:-1])}\s*(?::\s*\1|\1\s*:)\s*"
            text = re.sub(pattern, "", text, flags=re.IGNORECASE)
        given = "\n".join(values.values())
        tags = "|".join(tag for tag in TAG.findall(self.user) if f"{tag}>" not in given)
        if tags:
            mark = rf"</?(?:{tags})>"
            text = re.sub(rf"^[ \t]*{mark}|{mark}[ \t]*$", "", text, flags=re.MULTILINE)
        return text.strip()

    @property
    def first_line(self) -> str | None:
        """The name in the first line that the file demands of replies, `` `=== name ===` ``.

        Source: Nemotron-CC (arXiv:2412.02595, appendix): a fixed first line shows that a reply
        follows the prompt; it is checked and stripped.
        """
        found = FIRST_LINE.search(self.system)
        return found[1] if found else None


def _fill(text: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda place: values[place[1]], text)


@cache
def shipped(name: str) -> Template:
    """The shipped template, say `evolve/constrain`."""
    return parse((PROMPTS / f"{name}.md").read_text(encoding="utf-8"))


def load(path: Path, *, once: str, system: frozenset[str], user: frozenset[str]) -> Template:
    """Loads a user's own template; the shipped ones are a good start.

    It must have the placeholder `once` exactly once, below the divider. Above the divider it may
    use the placeholders in `system`, and below it also those in `user`. Raises `InputError` if it
    is invalid.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"the prompt file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the prompt file {path} is not UTF-8 ({error.reason})") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"the prompt file {path} has {len(content):,} bytes of {MAX_BYTES:,}")
    template = parse(text)
    if text.count(DIVIDER) != 1 or not template.system or not template.user:
        raise InputError(
            f"the prompt file {path} needs one line `---`: the instructions stand above it, the "
            "values of a row below it"
        )
    if almost := ALMOST.search(text):
        raise InputError(
            f"the prompt file {path} holds {almost[0]!r}, but a place is written "
            f"{{{{{once}}}}}, and there is nothing else to write"
        )
    for part, where, known in (
        (template.system, "before the line `---`", system),
        (template.user, "behind the line `---`", system | user | {once}),
    ):
        for place in PLACE.findall(part):
            if place not in known:
                names = ", ".join(f"{{{{{name}}}}}" for name in sorted(known))
                raise InputError(
                    f"the prompt file {path} has the place {{{{{place}}}}} {where}; known there: "
                    f"{names}"
                )
    if PLACE.findall(template.user).count(once) != 1:
        raise InputError(
            f"the prompt file {path} must have {{{{{once}}}}} once, behind the line `---`"
        )
    return template


def parse(text: str) -> Template:
    """The template in the text of a prompt file."""
    system, _, user = text.partition(DIVIDER)
    return Template(system.strip(), user.strip(), sha256(text.encode()).hexdigest()[:16])
