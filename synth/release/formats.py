"""Converts records to the columns that a student's trainer expects, and to provenance beside them.

A release has two tables with the same rows in the same order. `data/` has the trainer's columns and
`id`; `provenance/` has `id` and everything else that is known about the row:

    data        {"id": "5d0c…", "messages": [{"role": "user", "content": "What is 6 * 7?"}, …]}
    provenance  {"id": "5d0c…", "trail": [{"stage": "read", …}, …], "scores": […], "meta": "{}", …}
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from synth.batch import last_user_turn
from synth.record import RECORD, append_to_lists
from synth.release.features import with_features
from synth.samples import overall
from synth.verdicts import Verdict

BESIDE = ("id", "reasoning", "reference", "meta", "trail", "scores", "logprobs")
"""The columns of the provenance."""
TOOL_FIELDS = ("tool_calls", "tool_call_id", "name")
"""Fields of turns that chat templates look for by name, so that a null would mislead them."""
SOLUTION, TOOLS, THOUGHTS = "solution", "tools", "reasoning_content"


class Format(StrEnum):
    """The usual column names in this field. Source: TRL 1.16, dataset formats and types."""

    PROMPT = "prompt"
    """`prompt`: conversations to be answered, and `solution` where there is a gold answer."""
    TEXT = "text"
    """`text`: documents, for language modelling."""
    MESSAGES = "messages"
    """`messages`: conversations that end in the answer."""
    PROMPT_COMPLETION = "prompt_completion"
    """`prompt` and `completion`, both lists of turns."""
    PREFERENCE = "preference"
    """`prompt`, `chosen` and `rejected`, lists of turns."""
    UNPAIRED = "unpaired"
    """`prompt`, `completion` and `label`: whether the answer passed its checks."""


class Reasoning(StrEnum):
    """Where the teacher's reasoning goes."""

    FIELD = "field"
    """`reasoning_content` of the assistant's turn, as the templates of most models read it."""
    THINKING = "thinking"
    """`thinking` of the assistant's turn, as the templates of gpt-oss and LFM2.5 read it."""
    INLINE = "inline"
    """`<think>…</think>` at the start of the turn's content."""
    DROP = "drop"
    """Only in the provenance."""


ANSWERED = frozenset({Format.MESSAGES, Format.PROMPT_COMPLETION, Format.UNPAIRED})
"""Formats whose answer may have reasoning. In a preference pair only one answer's reasoning is
known, and a trainer would take its presence for the difference."""
CALLED = ANSWERED | {Format.PREFERENCE}
"""Formats whose answer may be tool calls."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of one release."""

    format: Format
    reasoning: Reasoning = Reasoning.FIELD
    used: frozenset[str] = frozenset()
    """What its rows have beyond roles and contents: fields of turns, `tools`, `solution`."""

    def with_room_for(self, table: pa.Table) -> Shape:
        """This shape, with the columns and fields that the rows of the table need too."""
        if self.format is Format.TEXT:
            return self
        turns = table["context"].combine_chunks().flatten()
        used = {
            name for name in (*TOOL_FIELDS, THOUGHTS) if turns.field(name).null_count < len(turns)
        }
        if self.format in CALLED and table["tool_calls"].null_count < len(table):
            used.add("tool_calls")
        if self._keeps_reasoning and table["reasoning"].null_count < len(table):
            used.add(THOUGHTS)
        if table["tools"].null_count < len(table):
            used.add(TOOLS)
        if self.format is Format.PROMPT and _gold(table).null_count < len(table):
            used.add(SOLUTION)
        return Shape(self.format, self.reasoning, self.used | used)

    def with_room_as(self, other: Shape) -> Shape:
        """This shape, with what the other one has room for."""
        return Shape(self.format, self.reasoning, self.used | other.used)

    def with_room_of(self, schema: pa.Schema) -> Shape:
        """This shape, with the columns and fields of a data file that was released before."""
        used = {name for name in (SOLUTION, TOOLS) if name in schema.names}
        for type_ in schema.types:
            if pa.types.is_list(type_) and pa.types.is_struct(turn := type_.value_type):
                fields = {turn.field(at).name for at in range(turn.num_fields)}
                used |= {THOUGHTS} if fields.intersection((THOUGHTS, "thinking")) else set()
            elif pa.types.is_list(type_):
                used |= {THOUGHTS, *TOOL_FIELDS}  # turns are objects, which have no fixed fields
        return Shape(self.format, self.reasoning, self.used | used)

    @property
    def _keeps_reasoning(self) -> bool:
        """Whether the trainer's columns have the reasoning of the answer."""
        return self.format in ANSWERED and self.reasoning is not Reasoning.DROP

    @property
    def _fields(self) -> tuple[str, ...]:
        """The fields of a turn, apart from those of tool calls."""
        names = {Reasoning.FIELD: THOUGHTS, Reasoning.THINKING: "thinking"}
        own = names.get(self.reasoning) if THOUGHTS in self.used else None
        return ("role", "content", *([own] if own else []))

    @property
    def as_objects(self) -> bool:
        """Whether turns are JSON objects. If so, a turn without a field has no null there, which
        templates such as gpt-oss's and Llama's would take for a tool call or for reasoning."""
        thinks = self.reasoning is Reasoning.THINKING and THOUGHTS in self.used
        return thinks or not self.used.isdisjoint(TOOL_FIELDS)

    @property
    def schema(self) -> pa.Schema:
        """The columns of `data/`, with the features that `datasets` declares."""
        return self._table(RECORD.empty_table()).schema

    @property
    def provenance_schema(self) -> pa.Schema:
        """The columns of `provenance/`."""
        return with_features(pa.schema([RECORD.field(name) for name in BESIDE]))

    def data(self, table: pa.Table) -> pa.Table:
        """The trainer's columns of the records, in row order."""
        return self._table(table.combine_chunks())

    def provenance(self, table: pa.Table) -> pa.Table:
        """Everything else, in row order. `reasoning` is null where `data` has it."""
        columns = {name: table[name] for name in BESIDE}
        if self._keeps_reasoning:
            columns["reasoning"] = pa.nulls(len(table), pa.string())
        return pa.Table.from_arrays(list(columns.values()), schema=self.provenance_schema)

    def _table(self, table: pa.Table) -> pa.Table:
        columns: dict[str, pa.Array] = {"id": table["id"]}
        match self.format:
            case Format.TEXT:
                columns["text"] = table["text"]
            case Format.MESSAGES:
                turns = self._context(table)
                lists = append_to_lists(turns, self._answers(table)).cast(turns.type)
                columns["messages"] = lists
            case Format.PREFERENCE:
                columns["prompt"] = self._context(table)
                columns["chosen"] = _one_each(self._answers(table))
                columns["rejected"] = _one_each(self._turns(table["rejected"]))
            case Format.PROMPT:
                columns["prompt"] = self._context(table)
            case Format.PROMPT_COMPLETION | Format.UNPAIRED:
                columns["prompt"] = self._context(table)
                columns["completion"] = _one_each(self._answers(table))
        if self.format is Format.UNPAIRED:
            columns["label"] = _labels(table)
        if SOLUTION in self.used:
            columns[SOLUTION] = _gold(table)
        if TOOLS in self.used:
            columns[TOOLS] = table["tools"].cast(pa.json_())
        built = pa.table(columns)
        return built.replace_schema_metadata(with_features(built.schema).metadata)

    def _context(self, table: pa.Table) -> pa.ListArray:
        """The turns before the answer."""
        lists = table["context"].combine_chunks()
        lists = lists if isinstance(lists, pa.ListArray) else pa.concat_arrays(lists.chunks)
        return pa.ListArray.from_arrays(lists.offsets, self._released(lists.values))

    def _answers(self, table: pa.Table) -> pa.Array:
        """The answer of each row as a turn."""
        reasoning = {THOUGHTS: table["reasoning"]} if self._keeps_reasoning else {}
        return self._turns(table["text"], tool_calls=table["tool_calls"], **reasoning)

    def _turns(self, content: pa.ChunkedArray, **others: pa.ChunkedArray) -> pa.Array:
        """One assistant turn per row, with other fields too."""
        rows, type_ = len(content), RECORD.field("context").type.value_type
        known = {"role": pa.array(["assistant"] * rows, pa.string()), "content": content, **others}
        columns = [
            known[field.name].combine_chunks()
            if isinstance(known.get(field.name), pa.ChunkedArray)
            else known.get(field.name, pa.nulls(rows, field.type))
            for field in type_
        ]
        return self._released(pa.StructArray.from_arrays(columns, fields=list(type_)))

    def _released(self, turns: pa.StructArray) -> pa.Array:
        """The turns with the fields of this shape, or as JSON objects."""
        columns = {field.name: turns.field(field.name) for field in turns.type}
        if self.reasoning is Reasoning.INLINE:
            columns["content"] = _inline(columns[THOUGHTS], columns["content"])
        if self.as_objects:
            columns["thinking"] = columns[THOUGHTS]
            return _objects({name: columns[name] for name in (*self._fields, *TOOL_FIELDS)})
        return pa.StructArray.from_arrays([columns[name] for name in self._fields], self._fields)


def unfit(table: pa.Table, format_: Format) -> pa.Array:
    """Per row, the reason why it cannot be released in the format. Null if it can.

    In a table without the column `text`, each row has a text.
    """
    if format_ is Format.PROMPT:
        return _reasons(last_user_turn(table), "empty_prompt")
    if format_ is Format.PREFERENCE:
        return _reasons(table["rejected"], "no_rejected_answer")
    if "text" in table.column_names:
        empty = _reasons(table["text"], "empty_text")
        reasons = pc.if_else(table["tool_calls"].combine_chunks().is_valid(), None, empty)
    else:
        reasons = pa.nulls(len(table), pa.string())
    if format_ is Format.UNPAIRED:
        reason = "no_verdict"
        unlabeled = _labels(table).is_null()
        return pc.coalesce(reasons, pc.if_else(unlabeled, reason, pa.scalar(None, pa.string())))
    return reasons


def _reasons(column: pa.Array | pa.ChunkedArray, reason: str) -> pa.Array:
    """The reason for each empty value."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    empty = pc.equal(pc.fill_null(pc.binary_length(column), 0), 0)
    return pc.if_else(empty, reason, pa.scalar(None, pa.string()))


def _labels(table: pa.Table) -> pa.Array:
    """True for an answer that passed its checks, False for one that failed, null for others."""
    known = {Verdict.PASS: True, Verdict.FAIL: False}
    return pa.array([known.get(overall(one)) for one in table["scores"].to_pylist()], pa.bool_())


def _gold(table: pa.Table) -> pa.Array:
    column = table["reference"].combine_chunks()
    return pc.struct_field(column, "answer")


def _inline(reasoning: pa.Array, content: pa.Array) -> pa.Array:
    """The contents with the reasoning before them, as Qwen3's and DeepSeek's templates write it."""
    both = pc.binary_join_element_wise("<think>\n", reasoning, "\n</think>\n\n", content, "")
    return pc.coalesce(both, content)


def _objects(columns: dict[str, pa.Array]) -> pa.Array:
    """The turns as JSON, each with the fields that it has; arguments of calls as objects."""
    objects = []
    for values in zip(*(column.to_pylist() for column in columns.values()), strict=True):
        turn = {name: one for name, one in zip(columns, values, strict=True) if one is not None}
        if calls := turn.get("tool_calls"):
            turn["tool_calls"] = [_call(call) for call in calls]
        objects.append(orjson.dumps(turn).decode())
    return pa.array(objects, pa.json_())


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """The call without nulls, its arguments parsed: templates print them as JSON."""
    function = call["function"]
    try:
        arguments = orjson.loads(function["arguments"])
    except (orjson.JSONDecodeError, TypeError):
        arguments = function["arguments"]
    kept = {name: one for name, one in call.items() if one is not None}
    return {**kept, "function": {**function, "arguments": arguments}}


def _one_each(turns: pa.Array) -> pa.ListArray:
    """Lists of one turn."""
    return pa.ListArray.from_arrays(pa.array(np.arange(len(turns) + 1, dtype=np.int32)), turns)
