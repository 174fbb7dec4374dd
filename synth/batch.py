"""A batch of records, with views that filters share.

Each view is computed on first use and cached. Compiled filters use the flat arrays `hashed_words`,
`pieces`, `lines` and `characters`; other filters use the Python lists `texts` and `words`.
The judged text is a prompt's last user turn, or else the text that the student would learn. Tool
calls are part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.record import making_steps, new_record, records_table
from synth.text.lines import Lines, lines
from synth.text.tokens import Characters, Pieces, Words, characters, pieces, words
from synth.text.words import words_of
from synth.tool_calls import answers, calls_in_rows

Subject = Literal["prompt", "text"]


class Batch:
    """A table of records, and which of their texts to judge.

    `subject` is "prompt" (the last user turn) or "text". The table is never changed.
    """

    def __init__(self, table: pa.Table, subject: Subject = "text") -> None:
        self.table = table.combine_chunks()
        self.subject = subject

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Batch:
        """A batch of documents, for tests and for trying out a filter."""
        rows = [new_record(text=text, source=str(i)) for i, text in enumerate(texts)]
        return cls(records_table(rows))

    @classmethod
    def of_prompts(cls, prompts: Sequence[str]) -> Batch:
        """A batch of prompts, for tests and for trying out a filter."""
        rows = [new_record(prompt=text, source=str(i)) for i, text in enumerate(prompts)]
        return cls(records_table(rows), "prompt")

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def column(self) -> pa.LargeStringArray:
        """The judged text of each row, as one Arrow array. Nulls become empty strings."""
        column = answers(self.table) if self.subject == "text" else last_user_turn(self.table)
        filled = pc.fill_null(column.cast(pa.large_string()), "")
        return filled.combine_chunks() if isinstance(filled, pa.ChunkedArray) else filled

    @cached_property
    def texts(self) -> list[str]:
        """The judged text of each row, in row order."""
        texts: list[str] = self.column.to_pylist()
        return texts

    @cached_property
    def hashed_words(self) -> Words:
        """The words of all texts as one flat array of hashes."""
        return words(self.column)

    @cached_property
    def pieces(self) -> Pieces:
        """The pieces between white space in all texts, as flat arrays of hashes and lengths."""
        return pieces(self.characters)

    @cached_property
    def characters(self) -> Characters:
        """The characters of all texts as one flat array of code points."""
        return characters(self.column)

    @cached_property
    def lines(self) -> Lines:
        """The end of each line among `characters`, and its hash, for all texts."""
        return lines(self.characters)

    @cached_property
    def words(self) -> list[list[str]]:
        """The Unicode words of each text in lower case, in order: `hashed_words` without hashes.

        In scripts without spaces between words, each character is a word.
        """
        return [words_of(text) for text in self.texts]

    @cached_property
    def prompts(self) -> list[str]:
        """The last user turn that each text answers; "" if the prompt itself is judged."""
        if self.subject == "prompt":
            return [""] * len(self)
        turns: list[str] = last_user_turn(self.table).to_pylist()
        return turns

    @cached_property
    def calls_tool(self) -> list[bool]:
        """Whether each judged text has tool calls."""
        if self.subject == "prompt" or not calls_in_rows(self.table):
            return [False] * len(self)
        valid: list[bool] = self.table["tool_calls"].is_valid().to_pylist()
        return valid

    @cached_property
    def finish_reasons(self) -> list[str]:
        """The finish reason of the reply that made each text ("" where no teacher was asked)."""
        reasons: list[str] = making_steps(self.table).field("finish_reason").to_pylist()
        return reasons

    @cached_property
    def references(self) -> list[dict[str, Any] | None]:
        """The gold answer, tests and source text of each row; None if it has none of them."""
        values: list[dict[str, Any] | None] = self.table["reference"].to_pylist()
        return values


def last_user_turn(table: pa.Table) -> pa.Array:
    """The `last_user_text` of each row."""
    context = table["context"].combine_chunks()
    offsets = context.offsets.to_numpy()
    start, end = offsets[:-1], offsets[1:]
    by_user = pc.equal(context.values.field("role"), "user").to_numpy(zero_copy_only=False)
    users = np.where(by_user, np.arange(len(by_user)), -1)
    last = np.maximum.accumulate(np.concatenate([[-1], users]))[end]  # the last one before the end
    last = np.where(last < start, end - 1, last)
    found = context.values.field("content").take(pa.array(last, mask=start == end))
    return pc.fill_null(found, "")
