"""Questions: the teacher asks about documents and answers from them, with a quotation as evidence.

One request per chunk asks for several pairs. The evidence comes before the answer, so that the
answer follows from it, and must be in the chunk. A row after `questions`, shortened:

    {"context": [{"role": "user", "content": "Why does the Moon change shape?"}],
     "text": "The part of its lit half that faces us changes.",
     "reference": {"source": "# Why does the Moon change shape? …", "answer": null, …},
     "meta": "{\"evidence\":\"What changes through the month is how much …\",\"file\":\"moon.md\"}"}

Source: SQuAD (arXiv:1606.05250), where the answer is a span of the passage. Ours writes a full
answer, and checks a separate quotation, so the student learns sentences and not spans.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any, ClassVar

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field, model_validator

from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate.chunk import Part, check_sizes, document_title, parts
from synth.generate.template import shipped
from synth.generate.trail import step
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import RECORD, REFERENCE, Turn, derive, record_id, rejects, split
from synth.teacher.protocol import Need, Reply, Sampling
from synth.text.words import nfkc, words_of
from synth.together import together

TEMPLATE = "questions/grounded"
OPERATION = "grounded"
LONGEST = {"question": 400, "evidence": 800, "answer": 1500}
"""Characters of each text. Constrained replies end there, so a text of that length is cut."""
LINK_TARGET = re.compile(r"(?<=\])\([^)\n]{0,500}\)")
LEFT_OUT = re.compile(r"\[?\.(?:\s?\.){2,}\]?")  # "…", in NFKC
LEAST_PART = 3  # words on each side of an ellipsis
UNQUOTED = re.compile(  # numbers of a list and notes, which a quotation may leave out
    r"^[ \t]*(?:\d{1,3}|[a-z])[.)][ \t]|\((?:\d{1,3}|[a-z])\)|\[(?:\d{1,3}|[a-z])\]", re.MULTILINE
)
LABELS = {  # "Q1:", "**Answer:**", "3."; an answer may be a numbered list
    "question": re.compile(r"(?i)\W{0,3}(?:q(?:uestion)? ?\d{0,2}:|\d{1,2}[.)](?=\s))[\s*]*"),
    "answer": re.compile(r"(?i)\W{0,3}a(?:nswer)? ?\d{0,2}:[\s*]*"),
}
SPEAKS_OF_SOURCE = re.compile(  # "the passage of a law" is none
    r"\b(?P<by>according to )?(?:the|this) (?:given |provided )?"
    r"(?P<noun>text|passage|article|document|excerpt|source)\b(?! of\b| \d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with its answer, or what came in place of one."""

    part: Part
    reply: Reply
    question: str = ""
    evidence: str = ""
    answer: str = ""
    number: int = 0
    """Its number among the pairs of its chunk."""
    reason: str | None = None
    """Why it is rejected, if it is."""


class Questions(AskingStage):
    """Writes question-answer rows from documents. Each answer is based on its chunk and quotes
    evidence, which must be in the chunk."""

    name: ClassVar[str] = "questions"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.DOCUMENTS})
    asks_teacher: ClassVar[bool] = True

    per_chunk: Annotated[int, Field(ge=1, le=20)] = 3
    """The most questions about each chunk. The teacher may write fewer."""
    chunk_tokens: Annotated[int, Field(ge=50, le=8000)] = 600
    """Longest chunk, in estimated tokens: 1.3 a word."""
    min_chunk_tokens: Annotated[int, Field(ge=0)] = 50
    """Rejects a shorter chunk as `chunk_too_short`, unless it is the whole document. Also rejects a
    chunk of mostly labels and notices."""
    min_evidence_words: Annotated[int, Field(ge=1, le=50)] = 5
    """Rejects evidence with fewer words, which could occur in any text."""
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2000)

    @model_validator(mode="after")
    def _leaves_chunks(self) -> Questions:
        check_sizes(self.min_chunk_tokens, self.chunk_tokens)
        return self

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  always the same
        """Questions with their answers."""
        return Kind.ANSWERS

    def identity(self) -> dict[str, object]:
        """The prompt file."""
        return {f"prompt file {TEMPLATE}": shipped(TEMPLATE).digest}

    def needs(self) -> frozenset[Need]:
        """Replies that follow a schema."""
        return super().needs() | {Need.SCHEMA}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The pairs of each document, in order of its chunks."""
        ids: list[str] = table["id"].to_pylist()
        found = [
            list(parts(row, text, meta, self.chunk_tokens, self.min_chunk_tokens))
            for row, (text, meta) in enumerate(
                zip(table["text"].to_pylist(), table["meta"].to_pylist(), strict=True)
            )
        ]
        blank = [row for row, own in enumerate(found) if not own]
        place.done(len(blank))
        left = [len(own) for own in found]

        async def ask(part: Part) -> list[Pair]:
            pairs = await self._ask(part, ids[part.row], place)
            left[part.row] -= 1
            if not left[part.row]:
                place.done(1)
            return pairs

        asked = await together(ask(part) for own in found for part in own)
        return self._outcome(table, blank, _without_repeats(asked), place)

    async def _ask(self, part: Part, record: str, place: Place) -> list[Pair]:
        """The pairs of a chunk, or one in their place that says what went wrong."""
        teacher, template = place.teacher, shipped(TEMPLATE)
        assert teacher is not None
        if part.scrap:
            return [Pair(part, Reply("", ""), reason="chunk_too_short")]
        seed = derive_seed(place.seed, self.name, record, part.number)
        values = {"count": str(self.per_chunk), "title": part.title, "source": part.source}
        schema = pairs_schema(self.per_chunk)
        reply = await template.ask(teacher, values, self.sampling, seed, schema)
        if reply.fault or reply.finish_reason == "length":
            reason = reply.fault or "reply_truncated"
            place.judged("", reason, part.source)
            return [Pair(part, reply, reason=reason)]
        pairs = []
        for number, one in enumerate(orjson.loads(reply.text)["questions"]):
            texts = {name: one[name].strip() for name in LONGEST}
            texts |= {name: _unlabelled(texts[name], label) for name, label in LABELS.items()}
            why = self._reason(part, **texts)
            place.judged(texts["answer"], why, part.source)
            pairs.append(Pair(part, reply, **texts, number=number, reason=why))
        return pairs

    def _reason(self, part: Part, question: str, evidence: str, answer: str) -> str | None:
        """Why a pair is rejected, if it is."""
        if not question or not answer:
            return "reply_empty"
        if any(
            len(text) >= LONGEST[name]
            for name, text in (("question", question), ("answer", answer))
        ):
            return "reply_truncated"
        if len(words_of(evidence)) < self.min_evidence_words and not is_row(evidence, part.source):
            return "evidence_too_short"
        if not is_in(evidence, part.source):
            return "evidence_not_found"
        if speaks_of_source(f"{question}\n{answer}", f"{part.title}\n{part.source}"):
            return "source_mentioned"
        return None

    def _outcome(
        self, table: pa.Table, blank: Sequence[int], pairs: Sequence[Pair], place: Place
    ) -> Outcome:
        """The kept and the rejected pairs, both in the order of the documents."""
        assert place.teacher is not None
        ids: list[str] = table["id"].to_pylist()
        rows = [pair.part.row for pair in pairs]
        identity, digest = place.teacher.identity, shipped(TEMPLATE).digest
        turns = [
            [Turn(role="user", content=pair.question)] if pair.question else [] for pair in pairs
        ]
        made = derive(
            table,
            rows,
            [
                step(
                    self.name,
                    OPERATION,
                    ids[pair.part.row],
                    identity,
                    pair.reply,
                    sample=pair.part.number,
                    template=digest,
                )
                for pair in pairs
            ],
            [
                record_id(
                    ids[pair.part.row],
                    self.name,
                    pair.reply.key,
                    [pair.question, pair.evidence, pair.answer],
                    [pair.part.number, pair.number],
                )
                for pair in pairs
            ],
            context=pa.array(turns, RECORD.field("context").type),
            text=pa.array([pair.answer for pair in pairs], pa.string()),
            reasoning=pa.array([pair.reply.reasoning for pair in pairs], pa.string()),
            reference=pa.array(
                [{"answer": None, "tests": None, "source": pair.part.source} for pair in pairs],
                REFERENCE,
            ),
            meta=pa.array(_metas(table, pairs), pa.string()),
        )
        kept, failed = split(
            made,
            [pair.reason for pair in pairs],
            by=self.name,
            raw=[pair.reply.raw for pair in pairs],
        )
        empty = rejects(
            table.take(pa.array(blank, pa.int64())),
            reason=["empty_text"] * len(blank),
            by=self.name,
        )
        bad = [row for row, pair in zip(rows, pairs, strict=True) if pair.reason is not None]
        in_order = pa.array(np.argsort(np.array([*blank, *bad], np.int64), kind="stable"))
        return Outcome(kept, pa.concat_tables([empty, failed]).take(in_order))


def pairs_schema(count: int) -> dict[str, Any]:
    """The JSON schema of a reply with up to `count` pairs."""
    pair = {
        "type": "object",
        "properties": {
            name: {"type": "string", "minLength": 1, "maxLength": most}
            for name, most in LONGEST.items()
        },
        "required": list(LONGEST),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "questions": {"type": "array", "minItems": 1, "maxItems": count, "items": pair}
        },
        "required": ["questions"],
        "additionalProperties": False,
    }


def is_in(quotation: str, source: str) -> bool:
    """Whether the quotation's words are in the source, in a row.

    White space, case, punctuation, markup and the kind of quotation marks do not matter. The
    quotation may leave out the numbers of a list, the numbers of notes, and what an ellipsis stands
    for; the parts around the ellipsis must follow each other in the source.
    """
    texts = [f" {_plain(source)} ", f" {_plain(UNQUOTED.sub(' ', nfkc(source)))} "]
    parts = [_plain(part) for part in LEFT_OUT.split(nfkc(quotation))]
    parts = [part for part in parts if part]
    whole = [_plain(quotation)]
    if any(_follow(whole, text) for text in texts):
        return True
    long = all(part.count(" ") + 1 >= LEAST_PART for part in parts)
    return len(parts) > 1 and long and any(_follow(parts, text) for text in texts)


def is_row(quotation: str, source: str) -> bool:
    """Whether the quotation is a whole row of a table in the source: few words say enough there."""
    row = _plain(quotation)
    return any("|" in line and _plain(line) == row for line in source.split("\n")) and " " in row


def speaks_of_source(text: str, source: str) -> bool:
    """Whether the text speaks of "the article", which a reader without the source does not see.

    A source about articles may be asked about them, so then only "according to the article" counts.
    """
    words = frozenset(words_of(source))
    return any(
        said["by"] or not words & {noun := said["noun"].lower(), f"{noun}s"}
        for said in SPEAKS_OF_SOURCE.finditer(text)
        if said[0].lower() not in source.lower()
    )


def _unlabelled(text: str, label: re.Pattern[str]) -> str:
    found = label.match(text)
    return text[found.end() :] if found else text


def _follow(parts: Sequence[str], text: str) -> bool:
    """Whether the parts are in the text, one after the other."""
    at = 0
    for part in parts:
        found = text.find(f" {part} ", at)
        if found < 0:
            return False
        at = found + len(part) + 1
    return True


def _plain(text: str) -> str:
    # an underscore is markup, or as good as a space
    text = LINK_TARGET.sub(" ", nfkc(text)).replace("\u2019", "'").replace("_", " ")
    return " ".join(words_of(text))


def _without_repeats(asked: Sequence[Sequence[Pair]]) -> list[Pair]:
    """All pairs in order. Rejects a question that the same document has had before."""
    known: set[tuple[int, str]] = set()
    pairs = []
    for pair in chain.from_iterable(asked):
        key = (pair.part.row, _plain(pair.question))
        if pair.reason is None and key in known:
            pairs.append(replace(pair, reason="question_repeated"))
            continue
        if pair.reason is None:
            known.add(key)
        pairs.append(pair)
    return pairs


def _metas(table: pa.Table, pairs: Sequence[Pair]) -> list[str]:
    """The documents' `meta`, with the title, file, section and evidence of each pair."""
    texts: list[str] = table["text"].to_pylist()
    metas: list[str] = table["meta"].to_pylist()
    places: list[str] = [trail[0]["parent"] for trail in table["trail"].to_pylist()]
    found = []
    for pair in pairs:
        row = pair.part.row
        own = {
            "title": document_title(texts[row], metas[row]),
            "file": places[row].rpartition("#")[0],
            **orjson.loads(metas[row]),
            "section": pair.part.section,
            "evidence": pair.evidence,
        }
        given = {name: value for name, value in own.items() if value != ""}
        found.append(orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode())
    return found
