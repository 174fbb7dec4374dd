"""The Arrow schema of the records that every stage reads and writes, and how to derive new ones.

A prompt has `context` and an empty `text`. A document has `text` and no context. An answer has
both. A row after `distill`, shortened:

    {"id": "5d0c…", "context": [{"role": "user", "content": "What is 6 * 7?"}], "text": "… 42",
     "reasoning": None, "tool_calls": None, "rejected": None, "tools": None,
     "reference": {"answer": "42", …}, "meta": '{"kind":"maths"}', "scores": [], "logprobs": None,
     "trail": [{"stage": "read", …}, {"stage": "distill", "parent": "91aa…", …}]}
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Function(TypedDict):
    """The function that a tool call names."""

    name: str
    arguments: str
    """A JSON object, as text."""


class ToolCall(TypedDict):
    """One call of a tool, in the format of chat endpoints."""

    id: str
    type: str
    function: Function


class Turn(TypedDict):
    """One chat turn. Most turns have only a role and content."""

    role: str
    content: str
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
TOOL_CALL = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", FUNCTION)])
TURN = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("reasoning_content", pa.string()),
        ("tool_calls", pa.list_(TOOL_CALL)),
        ("tool_call_id", pa.string()),
        ("name", pa.string()),
    ]
)
REFERENCE = pa.struct([("answer", pa.string()), ("tests", pa.string()), ("source", pa.string())])
STEP = pa.struct(
    [
        ("stage", pa.string()),  # "read", "evolve", …
        ("operation", pa.string()),  # "jsonl", "constrain", "faq/college", "answer"
        ("round", pa.int32()),
        ("sample", pa.int32()),
        ("parent", pa.string()),  # id of the record this one came from; file#row for `read`
        ("template", pa.string()),  # sha256 of the prompt file, first 16 hex digits
        ("request", pa.string()),  # the journal's key of the request
        ("model", pa.string()),
        ("revision", pa.string()),
        ("finish_reason", pa.string()),
        ("tokens_in", pa.int32()),
        ("tokens_out", pa.int32()),
    ]
)
SCORE = pa.struct(
    [
        ("name", pa.string()),  # the filter or verifier: "repetition", "maths"
        ("verdict", pa.string()),  # keep, or one of `synth.verdicts.Verdict`
        ("value", pa.float64()),
        ("note", pa.string()),
    ]
)
RECORD = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("context", pa.list_(TURN), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("reasoning", pa.string()),
        pa.field("tool_calls", pa.list_(TOOL_CALL)),  # the answer's; its text may then be empty
        pa.field("rejected", pa.string()),
        pa.field("tools", pa.string()),  # a JSON list of the tools that the chat may call
        pa.field("reference", REFERENCE),
        pa.field("meta", pa.string(), nullable=False),  # a JSON object: the input's other columns
        pa.field("trail", pa.list_(STEP), nullable=False),
        pa.field("scores", pa.list_(SCORE), nullable=False),
        pa.field("logprobs", pa.list_(pa.float32())),  # one per token of the reply, if requested
    ]
)
REJECT = pa.schema(
    [
        *RECORD,
        pa.field("reason", pa.string(), nullable=False),
        pa.field(
            "by", pa.string(), nullable=False
        ),  # the stage, filter or verifier that rejected it
        pa.field("score", pa.float64()),
        pa.field("raw", pa.string()),  # the unchanged reply or input line, if there was one
    ]
)


def record_id(*parts: object) -> str:
    """The id of a record: 32 hex digits of the sha256 over its content and origin.

    A derived record passes its parent's id first, so its id depends on its whole trail.
    """
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


CONTENT_AT = 16
"""An id of 32 digits has its content's part from here on."""


def content_id(
    turns: Sequence[Mapping[str, Any]], text: str, calls: Sequence[ToolCall] | None = None
) -> str:
    """The id of the first record with this content. It depends only on turns, text and tool calls,
    not on file name, line number, metadata or gold answer."""
    return record_id("read", plain_turns(turns), text, *([calls] if calls else []))


def repeated_id(first: str, before: int) -> str:
    """The id of a record with `before` earlier copies of its content; `first` is a `content_id`.

    All copies have the same second half, so that `write` puts them into one split.
    """
    return record_id(first, before)[:CONTENT_AT] + first[CONTENT_AT:] if before else first


def plain_turns(turns: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """The turns without None fields, which Arrow adds to every turn."""
    return [
        cast("Turn", {name: value for name, value in turn.items() if value is not None})
        for turn in turns
    ]


def last_user(context: Sequence[Mapping[str, Any]]) -> int:
    """The index of the last user turn. After it, the assistant may have called tools. -1, the last
    turn, if no user speaks."""
    turns = range(len(context) - 1, -1, -1)
    return next((at for at in turns if context[at]["role"] == "user"), -1)


def last_user_text(context: Sequence[Mapping[str, Any]]) -> str:
    """The content of the last user turn; "" for a document."""
    return str(context[last_user(context)]["content"]) if context else ""


def with_asked(context: Sequence[Turn], *texts: str) -> list[Turn]:
    """The same turns; the last user turn has these paragraphs at its end."""
    turns, at = list(context), last_user(context)
    turns[at] = {**turns[at], "content": "\n\n".join([turns[at]["content"], *texts])}
    return turns


def new_record(
    *,
    prompt: str | None = None,
    text: str = "",
    tool_calls: Sequence[ToolCall] | None = None,
    context: Sequence[Mapping[str, Any]] | None = None,
    reference: Mapping[str, str | None] | None = None,
    meta: Mapping[str, Any] | None = None,
    operation: str = "given",
    source: str = "",
    before: int = 0,
) -> dict[str, Any]:
    """A record as `read` makes it, with one step in its trail. `prompt` becomes the last user turn.

    `before` is the number of earlier records with the same content. It makes ids unique.
    """
    turns = plain_turns(context or [])
    if prompt is not None:
        turns.append({"role": "user", "content": prompt})
    packed = orjson.dumps(meta or {}, option=orjson.OPT_SORT_KEYS).decode()
    step = {**EMPTY_STEP, "stage": "read", "operation": operation, "parent": source}
    full_reference = None
    if reference and any(reference.values()):
        full_reference = {"answer": None, "tests": None, "source": None, **reference}
    return {
        "id": repeated_id(content_id(turns, text, tool_calls), before),
        "context": turns,
        "text": text,
        "reasoning": None,
        "tool_calls": tool_calls or None,
        "rejected": None,
        "tools": None,
        "reference": full_reference,
        "meta": packed,
        "trail": [step],
        "scores": [],
        "logprobs": None,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record made in Python code: a prompt, a document, or a prompt with its answer.

    Record(prompt="What is 6 * 7?", text="42", answer="42")
    """

    prompt: str | None = None
    """The last user turn. None for a document."""
    text: str = ""
    """The answer or the document; empty for a prompt."""
    context: Sequence[Mapping[str, Any]] = ()
    """The turns before the prompt, each with `role` and `content`."""
    answer: str | None = None
    """The gold answer."""
    tests: str | None = None
    """Tests that code must pass."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Other values, which must fit in JSON."""

    def row(self, before: int = 0) -> dict[str, Any]:
        """The record as a row of `RECORD`. `before` is the number of equal records before it."""
        return new_record(
            prompt=self.prompt,
            text=self.text,
            context=self.context,
            reference={"answer": self.answer, "tests": self.tests},
            meta=self.meta,
            before=before,
        )

    @staticmethod
    def table(records: Iterable[Record]) -> pa.Table:
        """The records as a table of `RECORD`, in order, each with a unique id."""
        seen: Counter[str] = Counter()
        rows = []
        for record in records:
            first = record.row()["id"]
            rows.append(record.row(seen[first]))
            seen[first] += 1
        return records_table(rows)


EMPTY_STEP: dict[str, Any] = {
    field.name: (0 if pa.types.is_integer(field.type) else "") for field in STEP
}


def records_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows as a table of `RECORD`."""
    return pa.Table.from_pylist(list(rows), schema=RECORD)


def append_to_lists(
    lists: pa.ListArray, items: pa.StructArray, counts: NDArray[np.int64] | None = None
) -> pa.ListArray:
    """Appends new items to each list, in row order, without a Python object per row.

    `counts` says how many of `items` each row gets. The default is one each.
    """
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    rows = len(lists)
    added = np.ones(rows, np.int64) if counts is None else counts
    starts = lists.offsets.to_numpy()[:-1].astype(np.int64)
    lengths = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths + added, out=offsets[1:])
    # `take` from [old values | new items]: each list is its old values, then its new items
    row_of = np.repeat(np.arange(rows), lengths + added)
    within = np.arange(offsets[-1]) - offsets[row_of]
    item_starts = np.cumsum(added) - added
    old = within < lengths[row_of]
    new_slots = len(lists.values) + item_starts[row_of] + within - lengths[row_of]
    index = np.where(old, starts[row_of] + within, new_slots)
    pool = pa.concat_arrays([lists.values, items])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pool.take(pa.array(index)))


def derive(
    parents: pa.Table,
    rows: Sequence[int] | NDArray[np.int64],
    steps: Sequence[Mapping[str, Any]],
    ids: Sequence[str],
    **columns: pa.Array,
) -> pa.Table:
    """One child of row `rows[i]` of `parents` for each i, with one more step and new `columns`.

    Children get no scores or log probabilities, since these describe the parent's text.
    """
    new = {"id": pa.array(ids, pa.string()), **columns}
    # Copy no column that is replaced: a long document has thousands of children.
    own = {*new, "scores", "logprobs"}
    carried = [name for name in RECORD.names if name not in own]
    children = parents.select(carried).take(pa.array(rows, pa.int64()))
    new["trail"] = append_to_lists(children["trail"], pa.array(steps, type=STEP))
    new["scores"] = pa.ListArray.from_arrays(
        pa.array(np.zeros(len(rows) + 1, np.int32)), pa.array([], type=SCORE)
    )
    new.setdefault("logprobs", pa.nulls(len(rows), RECORD.field("logprobs").type))
    arrays = [new[name] if name in new else children[name] for name in RECORD.names]
    return pa.Table.from_arrays(arrays, schema=RECORD)


def derive_through(
    parents: pa.Table,
    rows: Sequence[int],
    trails: Sequence[Sequence[Mapping[str, Any]]],
    ids: Sequence[str],
    **columns: pa.Array,
) -> pa.Table:
    """Like `derive`, for children that took several requests: adds all their steps, in order."""
    children = derive(parents, rows, [steps[-1] for steps in trails], ids, **columns)
    whole = append_to_lists(
        parents["trail"].take(pa.array(rows, pa.int64())),
        pa.array([step for steps in trails for step in steps], type=STEP),
        np.array([len(steps) for steps in trails], np.int64),
    )
    at = RECORD.get_field_index("trail")
    return children.set_column(at, RECORD.field(at), whole)


def with_texts(
    table: pa.Table, texts: Sequence[str], *, stage: str, operation: str = ""
) -> pa.Table:
    """The table with `texts`, one per row. A row whose text changes becomes a new row.

    It has a new id, one more step in its trail, and no scores; other rows stay as they are.
    """
    ids, before = table["id"].to_pylist(), table["text"].to_pylist()
    changed = [row for row, text in enumerate(texts) if text != before[row]]
    step = {**EMPTY_STEP, "stage": stage, "operation": operation}
    new = derive(
        table,
        changed,
        [{**step, "parent": ids[row]} for row in changed],
        [record_id(ids[row], stage, texts[row]) for row in changed],
        text=pa.array([texts[row] for row in changed], pa.string()),
    )
    return replace_rows(table, changed, new)


def with_meta(table: pa.Table, values: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The table with further values in each row's `meta`. Rows keep their ids."""
    metas = [
        orjson.dumps({**orjson.loads(meta), **more}, option=orjson.OPT_SORT_KEYS).decode()
        for meta, more in zip(table["meta"].to_pylist(), values, strict=True)
    ]
    at = RECORD.get_field_index("meta")
    return table.set_column(at, RECORD.field(at), pa.array(metas, pa.string()))


def replace_rows(table: pa.Table, rows: Sequence[int], new: pa.Table) -> pa.Table:
    """The table with row `rows[i]` replaced by `new[i]`."""
    order = np.arange(len(table))
    order[list(rows)] = len(table) + np.arange(len(rows))
    whole = pa.concat_tables([table.select(RECORD.names), new]).take(pa.array(order))
    return whole.combine_chunks()


def add_scores(
    table: pa.Table,
    scores: Sequence[Mapping[str, Any]] | pa.StructArray,
    counts: NDArray[np.int64] | None = None,
) -> pa.Table:
    """Appends new scores to each row's list; `counts` as in `append_to_lists`."""
    items = scores if isinstance(scores, pa.StructArray) else pa.array(scores, type=SCORE)
    column = append_to_lists(table["scores"], items, counts)
    return table.set_column(RECORD.get_field_index("scores"), RECORD.field("scores"), column)


def last_steps(table: pa.Table) -> pa.StructArray:
    """The last step of each row's trail, in row order."""
    trail = table["trail"].combine_chunks()
    return trail.values.take(pc.subtract(trail.offsets[1:], 1))


def making_steps(table: pa.Table) -> pa.StructArray:
    """The step that made each row's text: the last one that asked the teacher, or else the first.

    Later steps changed a part of the text, as `trim`, `redact` or a stage of the user's own does.
    """
    trail = table["trail"].combine_chunks()
    offsets = trail.offsets.to_numpy()
    first, at = offsets[:-1], offsets[1:] - 1
    asked = pc.not_equal(trail.values.field("request"), "").to_numpy(zero_copy_only=False)
    while (earlier := ~asked[at] & (at > first)).any():
        at = at - earlier
    return trail.values.take(pa.array(at))


def last_step(table: pa.Table, field: str) -> list[str]:
    """A field of the last step of each row's trail, in row order."""
    values: list[str] = pc.struct_field(last_steps(table), field).to_pylist()
    return values


def rejects(
    table: pa.Table,
    *,
    reason: Sequence[str],
    by: Sequence[str] | str,
    score: Sequence[float | None] | None = None,
    raw: Sequence[str | None] | None = None,
) -> pa.Table:
    """The rows of `table` as rejected records, with the reason, who rejected them and raw reply."""
    rows = len(table)
    return pa.Table.from_arrays(
        [
            *table.select(RECORD.names).columns,
            pa.array(reason, pa.string()),
            pa.array([by] * rows if isinstance(by, str) else by, pa.string()),
            pa.array(score if score is not None else [None] * rows, pa.float64()),
            pa.array(raw if raw is not None else [None] * rows, pa.string()),
        ],
        schema=REJECT,
    )


def split(
    table: pa.Table,
    reason: Sequence[str | None],
    *,
    by: str,
    score: Sequence[float | None] | None = None,
    raw: Sequence[str | None] | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Splits a table into the rows without a reason and the rejected rows, as `rejects` makes them.

    `reason`, `score` and `raw` have one value for each row of `table`.
    """
    rejected = [row for row, one in enumerate(reason) if one is not None]
    return (
        table.filter(pa.array([one is None for one in reason], pa.bool_())),
        rejects(
            table.take(pa.array(rejected, pa.int64())),
            reason=[reason[row] or "" for row in rejected],
            by=by,
            score=score and [score[row] for row in rejected],
            raw=raw and [raw[row] for row in rejected],
        ),
    )
