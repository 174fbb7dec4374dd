"""Tiny batches for tests of filters, verifiers and stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from filters.catalogue import FILTERS
from synth.batch import Batch
from synth.engine.stage import Outcome
from synth.record import RECORD, REJECT, new_record, records_table
from synth.verdicts import Filter

HOSTILE = [
    "x" * 5_000_000,
    "word " * 1_000_000,
    "=" * 5_000_000,
    "\n" * 100_000 + "a. " * 100_000,
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467" * 1_000,
    "nul \x00 inside. \x00",
    "\u202e\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645.",
    "```" * 50_000,
    "(((((" * 100_000,
]


PARAMETERS = {"toxicity": {"words": Path(__file__).with_name("blocked.txt")}}


def made(name: str) -> Any:
    """The filter of the catalogue with its defaults, and with what has none."""
    return FILTERS[name](**PARAMETERS.get(name, {}))


def answers(pairs: Sequence[tuple[str, str]], **fields: Any) -> pa.Table:
    """Answered prompts, from (prompt, text)."""
    return records_table(
        [
            new_record(prompt=prompt, text=text, source=str(i), before=i, **fields)
            for i, (prompt, text) in enumerate(pairs)
        ]
    )


def finished(text: str, finish_reason: str) -> Batch:
    """One answer whose reply ended for this reason."""
    row = new_record(prompt="Why?", text=text)
    row["trail"].append(
        {**row["trail"][-1], "stage": "distill", "request": "a", "finish_reason": finish_reason}
    )
    return Batch(records_table([row]))


def reason(one: Filter, text: str) -> str | None:
    """The verdict about one text."""
    return one.judge(Batch.of_texts([text])).reasons[0]


def assert_whole(outcome: Outcome, table: pa.Table) -> None:
    """Schemas are the project's and every row is somewhere, once, in order."""
    assert outcome.kept.schema.equals(RECORD)
    assert outcome.rejected.schema.equals(REJECT)
    kept, rejected = outcome.kept["id"].to_pylist(), outcome.rejected["id"].to_pylist()
    order = {one: at for at, one in enumerate(table["id"].to_pylist())}
    assert sorted(kept + rejected, key=order.__getitem__) == table["id"].to_pylist()
    assert kept == sorted(kept, key=order.__getitem__)
