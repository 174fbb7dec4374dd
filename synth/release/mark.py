"""Marks a release as synthetic for machines: in each data file, in the card, in `croissant.json`.

Article 50 of the EU's AI Act (2024/1689) asks for a mark that machines can read.
"""

from __future__ import annotations

from typing import Any

import orjson

from synth.store.manifest import Manifest

TOOL = "synth-pipeline"
KEY = b"synthetic"
"""The key in the metadata of a Parquet file's schema."""


def mark(history: list[Manifest], *, dated: bool) -> dict[str, Any] | None:
    """The mark: model, revision, tool and the day on which the run began. None if no model wrote.

    Data files are named by their content elsewhere, so their mark has no date.
    """
    teachers = [past.teacher for past in history if past.teacher]
    if not teachers:
        return None
    teacher = teachers[-1]
    found = {"generated_by": teacher.model, "revision": teacher.revision, "tool": TOOL}
    day = history[0].began_on
    return {**found, "date": day} if dated and day else found


def packed(history: list[Manifest]) -> dict[bytes, bytes]:
    """The mark as metadata of a data file's schema."""
    found = mark(history, dated=False)
    return {} if found is None else {KEY: orjson.dumps(found)}
