"""What kind of text a row is, so that rules made for web pages do not judge a formula."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.batch import Batch
from synth.record import making_steps


class TextKind(StrEnum):
    """Each rule knows for which of these it has no meaning."""

    PAGE = "page"
    """A web page, or other running text: judged by every rule, to the source's letter."""
    LESSON = "lesson"
    """Headings, lists, questions and answers: FAQ, tutorial, textbook."""
    TABLE = "table"
    """Mostly rows of cells."""
    CODE = "code"
    """Mostly a program."""
    MATHS = "maths"
    """Mostly formulas and steps of a calculation."""
    CHAT = "chat"
    """A prompt, or the answer to one; may be as short as "42"."""


WHICH: Final = (
    "what the texts are; left out: prompts and answers are `chat`, rewrites what their style says, "
    "other documents a `page`"
)
KINDS: Final = tuple(TextKind)
ALL: Final = frozenset(TextKind)
NOT_PAGE: Final = ALL - {TextKind.PAGE}
OF_STYLE: Final = {kind.value: kind for kind in (TextKind.TABLE, TextKind.CODE, TextKind.MATHS)}


def kinds_of(batch: Batch, given: TextKind | None) -> NDArray[np.int64]:
    """The place in `KINDS` of each row's kind: the given one, or what the row's trail says.

    A row with a conversation is `chat`; a rewritten document is what its style says, or a lesson;
    any other document is a page.
    """

    if given is not None:
        return np.full(len(batch), KINDS.index(given))
    if batch.subject == "prompt":
        return np.full(len(batch), KINDS.index(TextKind.CHAT))

    steps = making_steps(batch.table)
    operations = pc.if_else(pc.equal(steps.field("stage"), "rewrite"), steps.field("operation"), "")
    encoded = operations.dictionary_encode()
    kinds = [_of_operation(operation) for operation in encoded.dictionary.to_pylist()]
    of_documents = np.array([KINDS.index(kind) for kind in kinds], np.int64)
    found: NDArray[np.int64] = of_documents[encoded.indices.to_numpy()]
    turns = pc.list_value_length(batch.table["context"]).to_numpy()
    return np.where(turns > 0, KINDS.index(TextKind.CHAT), found)


def _of_operation(operation: str) -> TextKind:
    """Of a rewrite's, such as "faq/college"; of another stage's it is empty."""
    style = operation.partition("/")[0]
    return OF_STYLE.get(style, TextKind.LESSON) if style else TextKind.PAGE
