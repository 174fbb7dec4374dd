"""The `trim` stage cuts courtesies off the start and the end of answers.

- trim

"Sure! Here is a haiku:\\n\\nRain …" becomes "Rain …". The changed row gets a new id and this step:
{"stage": "trim", "operation": '{"opener":"Sure! Here is a haiku:"}', "parent": …}
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import orjson
import pyarrow as pa
from pydantic import Field

from filters.verify.instructions.verifier import check_text
from synth.batch import last_user_turn
from synth.engine.stage import Outcome, Place, ShardStage
from synth.instructions.stated import instructions_of
from synth.kind import Kind
from synth.record import (
    EMPTY_STEP,
    RECORD,
    REJECT,
    add_scores,
    derive,
    record_id,
    replace_rows,
)
from synth.text.courtesies import ends
from synth.text.sentences import sentences_and_lines
from synth.verdicts import Verdict

COLUMNS = ("text", "rejected")
"""Both sides of a pair are trimmed, so that the pair does not teach courtesy or its absence."""
SHORTEST_PHRASE = 12  # characters of a sentence that a prompt may ask for verbatim
BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+(?:[ \t]+(?=\w))?|\A[ \t]+")  # ASCII art keeps its indent
DIVIDER = re.compile(r"[-*_]{3,}[ \t]*")


class Trimmed(NamedTuple):
    """The trimmed text and the parts that were cut ("" for none)."""

    text: str
    opener: str = ""
    sign_off: str = ""


class Trim(ShardStage):
    """Cuts courtesies off the start and the end of answers and rewritten texts; rejects no row.

    Cuts "Certainly! Here is …:" and "Let me know if …". Keeps a bare "Here is a list:", a letter's
    own closing, lists, code, quotations, role-play and any phrase that the prompt asks for. A
    changed row gets a new id, and its trail records what was cut. It loses its earlier scores, so
    put `trim` before the stages whose scores you want to keep.
    """

    name: ClassVar[str] = "trim"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.DOCUMENTS, Kind.ANSWERS})
    openers: bool = Field(True, description="cut openers at the start")
    sign_offs: bool = Field(True, description="cut sign-offs at the end")

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  no randomness
        """The outcome of one shard, computed in a thread."""
        return await asyncio.to_thread(self.trim, table)

    def trim(self, table: pa.Table) -> Outcome:
        """All rows in order; the score is the number of characters cut."""

        prompts, metas = last_user_turn(table).to_pylist(), table["meta"].to_pylist()
        calls = table["tool_calls"].to_pylist()
        after: dict[str, list[str | None]] = {}
        cuts: list[dict[str, str]] = [{} for _ in prompts]
        for name in COLUMNS:
            after[name] = table[name].to_pylist()
            for row, (text, prompt, meta) in enumerate(
                zip(after[name], prompts, metas, strict=True)
            ):
                # the text before a tool call announces the call: it is not a courtesy
                whole = not text or (name == "text" and calls[row] is not None)
                done = Trimmed(text or "") if whole else self.trimmed(text or "", prompt, meta)
                if text and done.text != text:
                    after[name][row] = done.text
                    of = "" if name == "text" else f"{name}_"
                    cut = {f"{of}opener": done.opener, f"{of}sign_off": done.sign_off}
                    cuts[row] |= {end: said for end, said in cut.items() if said}
        changed = [row for row, cut in enumerate(cuts) if cut]
        made = _derived(table, changed, cuts, after)
        scores = [
            {
                "name": self.name,
                "verdict": "keep",
                "value": float(sum(map(len, cut.values()))),
                "note": ", ".join(cut),
            }
            for cut in cuts
        ]
        return Outcome(add_scores(replace_rows(table, changed, made), scores), REJECT.empty_table())

    def trimmed(self, text: str, prompt: str = "", meta: str = "{}") -> Trimmed:
        """The text without courtesies, except those that an instruction asks for."""
        start, end = ends(text, prompt)
        start, end = start if self.openers else 0, end if self.sign_offs else len(text)
        if start and _demanded(text[:start], text, text[start:], prompt, meta):
            start = 0
        if end < len(text) and _demanded(text[end:], text[start:], text[start:end], prompt, meta):
            end = len(text)
        if start == 0 and end == len(text):
            return Trimmed(text)
        lines = BLANK_LINES.sub("", text[start:end], count=1).rstrip().split("\n")
        if start and DIVIDER.fullmatch(lines[0]):
            lines[0] = ""
        if end < len(text) and DIVIDER.fullmatch(lines[-1]):
            lines[-1] = ""
        rest = "\n".join(lines).lstrip("\n").rstrip()
        if start and text[start - 1] == ",":  # keeps the second half of "Sure, here is …, a …:"
            rest = rest[:1].upper() + rest[1:]
        return Trimmed(rest, text[:start].strip(), text[end:].strip())


def _demanded(part: str, before: str, after: str, prompt: str, meta: str) -> bool:
    """Whether the prompt asks for the part: verbatim, or by an instruction that the text follows
    only with this part (an end phrase, a postscript, a number of words)."""
    wanted = prompt.lower()
    said = sentences_and_lines(part.lower())
    if any(len(one) >= SHORTEST_PHRASE and one in wanted for one in said):
        return True
    return any(
        check_text(before, [one]).verdict is Verdict.PASS
        and check_text(after, [one]).verdict is not Verdict.PASS
        for one in instructions_of(orjson.loads(meta), prompt, read_prompt=True)
    )


def _derived(
    table: pa.Table,
    changed: Sequence[int],
    cuts: Sequence[dict[str, str]],
    after: dict[str, list[str | None]],
) -> pa.Table:
    """The changed rows with a new step."""

    ids = table["id"].to_pylist()
    steps = [
        {
            **EMPTY_STEP,
            "stage": Trim.name,
            "operation": orjson.dumps(cuts[row]).decode(),
            "parent": ids[row],
        }
        for row in changed
    ]
    columns = {name: [after[name][row] for row in changed] for name in COLUMNS}
    return derive(
        table,
        changed,
        steps,
        [
            record_id(ids[row], Trim.name, *texts)
            for row, *texts in zip(changed, *columns.values(), strict=True)
        ],
        **{name: pa.array(texts, RECORD.field(name).type) for name, texts in columns.items()},
    )
