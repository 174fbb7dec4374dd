"""Converts records to the columns that a student's trainer expects.

Every format also has the columns in `BESIDE`, after its own.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.batch import last_user_turn
from synth.record import RECORD, append_to_lists

RELEASED_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
"""Tool calls are not released yet, since no stage makes any."""
TURNS = pa.list_(RELEASED_TURN)
BESIDE = ("id", "reasoning", "reference", "meta", "trail", "scores", "logprobs")


class Format(StrEnum):
    """The usual column names in this field. Source: TRL's dataset formats."""

    PROMPT = "prompt"
    """`prompt`: prompts without answers."""
    TEXT = "text"
    """`text`: documents, for language modelling."""
    MESSAGES = "messages"
    """`messages`: conversations that end in the answer."""
    PROMPT_COMPLETION = "prompt_completion"
    """`prompt` and `completion`, both lists of turns."""
    PREFERENCE = "preference"
    """`prompt`, `chosen` and `rejected`, lists of turns."""


class _Shape(NamedTuple):
    needs: str
    """The column that must not be empty."""
    missing: str
    """The reason to reject a row in which it is empty."""
    columns: Callable[[pa.Table], dict[str, pa.Array]]


def schema(format_: Format) -> pa.Schema:
    """The columns of a release in this format."""
    empty = _SHAPES[format_].columns(RECORD.empty_table())
    return pa.schema(
        [*(pa.field(name, column.type) for name, column in empty.items())]
        + [RECORD.field(name) for name in BESIDE]
    )


def fits(table: pa.Table, format_: Format) -> pa.Array:
    """Marks the rows that have the content that the format needs."""
    column = table[_SHAPES[format_].needs].combine_chunks()
    if pa.types.is_list(column.type):
        column = last_user_turn(table)
    return pc.fill_null(pc.greater(pc.utf8_length(column), 0), False)


def missing(format_: Format) -> str:
    """The reason to reject a row that does not fit the format."""
    return _SHAPES[format_].missing


def export(table: pa.Table, format_: Format) -> pa.Table:
    """The records converted to the format's columns, in row order."""
    columns = _SHAPES[format_].columns(table)
    arrays = [*columns.values(), *(table[name] for name in BESIDE)]
    return pa.Table.from_arrays(arrays, schema=schema(format_))


def _turns(context: pa.ChunkedArray) -> pa.ListArray:
    lists = context.combine_chunks()
    turns = [lists.values.field(field.name) for field in RELEASED_TURN]
    released = pa.StructArray.from_arrays(turns, fields=list(RELEASED_TURN))
    return pa.ListArray.from_arrays(lists.offsets, released, type=TURNS)


def _answers(column: pa.ChunkedArray) -> pa.StructArray:
    content = column.combine_chunks()
    roles = pa.array(["assistant"] * len(content), pa.string())
    return pa.StructArray.from_arrays([roles, content], fields=list(RELEASED_TURN))


def _one_turn(column: pa.ChunkedArray) -> pa.ListArray:
    offsets = pa.array(np.arange(len(column) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, _answers(column), type=TURNS)


_SHAPES = {
    Format.PROMPT: _Shape("context", "empty_prompt", lambda t: {"prompt": last_user_turn(t)}),
    Format.TEXT: _Shape("text", "empty_text", lambda t: {"text": t["text"]}),
    Format.MESSAGES: _Shape(
        "text",
        "empty_text",
        lambda t: {
            "messages": append_to_lists(_turns(t["context"]), _answers(t["text"])).cast(TURNS)
        },
    ),
    Format.PROMPT_COMPLETION: _Shape(
        "text",
        "empty_text",
        lambda t: {"prompt": _turns(t["context"]), "completion": _one_turn(t["text"])},
    ),
    Format.PREFERENCE: _Shape(
        "rejected",
        "no_rejected_answer",
        lambda t: {
            "prompt": _turns(t["context"]),
            "chosen": _one_turn(t["text"]),
            "rejected": _one_turn(t["rejected"]),
        },
    ),
}
