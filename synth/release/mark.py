"""Marks a release as synthetic for machines: in each data file, in the card, in `croissant.json`.

Article 50 of the EU's AI Act (2024/1689) asks for a mark that machines can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from synth.store.manifest import Manifest, TeacherRecord

TOOL = "synth-pipeline"
KEY = b"synthetic"
"""The key in the metadata of a Parquet file's schema."""
GRADING = frozenset({"judge", "decontaminate"})
"""Stages that ask a model about rows and write none."""


def writers(history: Sequence[Manifest]) -> list[TeacherRecord]:
    """The teachers that wrote text, stage by stage; if none did, those that graded it."""
    asked = [(past.stage, past.teacher) for past in history if past.teacher and not past.releases]
    wrote = [teacher for stage, teacher in asked if stage not in GRADING]
    return wrote or [teacher for _, teacher in asked]


def mark(history: list[Manifest], *, dated: bool) -> dict[str, Any] | None:
    """The mark: model, revision, tool and the day on which the run began. None if no model wrote.

    The model that wrote last stands first; the models of earlier stages are under `with`. Data
    files are named by their content elsewhere, so their mark has no date.
    """
    wrote = writers(history)
    if not wrote:
        return None
    teacher = wrote[-1]
    found = {"generated_by": teacher.model, "revision": teacher.revision, "tool": TOOL}
    others = [one.model for one in wrote if one.model != teacher.model]
    if others:
        found["with"] = ", ".join(dict.fromkeys(others))
    day = history[0].began_on
    return {**found, "date": day} if dated and day else found


def packed(history: list[Manifest]) -> dict[bytes, bytes]:
    """The mark as metadata of a data file's schema."""
    found = mark(history, dated=False)
    return {} if found is None else {KEY: orjson.dumps(found)}
