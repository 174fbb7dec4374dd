"""What a rewrite's checks find of the defects planted in it: nearly all, and little else."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.recipe_file import load_recipe
from seeds.clean import cleaned
from synth.batch import Batch
from synth.generate.chunk import chunks
from synth.generate.read_rewrite import read_rewrite
from synth.generate.styles import Style, template
from synth.record import EMPTY_STEP, new_record, records_table
from synth.teacher.protocol import Reply
from synth.teacher.rehearsal.config import ANSWER_DEFECTS, REPLY_DEFECTS
from synth.teacher.rehearsal.defects import Case, plant
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.replies import compose, read_job

STARTER = Path(__file__).parents[2] / "seeds/starter/web_samples.jsonl"
LEAST = 0.95
SOURCES = 10
KINDS = [kind for kind in REPLY_DEFECTS if kind not in ANSWER_DEFECTS]
MISTAKES = 0.02  # of clean rewrites, for all reasons together


def sources() -> list[tuple[str, str]]:
    rows = [orjson.loads(line) for line in STARTER.read_bytes().splitlines()]
    found = [
        (chunk.text, row["title"]) for row in rows for chunk in chunks(cleaned(row["text"]), 300)
    ]
    long = [source for source in found if len(source[0].split()) > 120]
    return long[:: len(long) // SOURCES][:SOURCES]


def reply_to(source: str, title: str, style: str, kind: str | None) -> Reply | None:
    """A reply of the rehearsal teacher with the defect; None where it does not apply."""
    turns = template(style).turns({"audience": "college", "title": title, "source": source})
    job = read_job([(turn["role"], turn["content"]) for turn in turns], None)
    dice = Dice(f"{kind}/{style}/{source}".encode())
    draft = compose(job, dice.fork("reply"))
    if kind is None:
        return Reply(draft.text, draft.text, finish_reason="stop")
    flawed = plant(kind, Case(job, draft, dice.fork("defect")))
    if flawed is None:
        return None
    text = (flawed.text or "").strip()
    fault = None if text else "reply_empty"
    return Reply(text, text, finish_reason=flawed.finish_reason, fault=fault)


@cache
def judged() -> dict[str | None, Counter[str | None]]:
    """Per planted defect, None for clean rewrites, how many left for which reason."""
    rows: list[dict[str, Any]] = []
    told: list[tuple[str | None, str | None]] = []
    for number, (source, title) in enumerate(sources()):
        for at, kind in enumerate((None, *KINDS)):
            # the finer the check, the more rows
            every = 1 if kind in (None, "contradicted") else 3
            for style in list(Style)[(number + at) % every :: every]:
                reply = reply_to(source, title, style, kind)
                if reply is None:
                    continue
                text, reason = read_rewrite(reply, template(style))
                row = new_record(text=text, reference={"source": source}, meta={"title": title})
                step = {"operation": f"{style}/college", "finish_reason": reply.finish_reason}
                row["trail"].append({**EMPTY_STEP, "stage": "rewrite", **step})
                rows.append(row)
                told.append((kind, reason))
    *_, quality = (one for one in load_recipe("textbook").stages if one.name == "quality")
    batch = Batch(records_table(rows))
    reasons = [entry.part.judge(batch).reasons for entry in quality.filters]
    found: dict[str | None, Counter[str | None]] = {}
    for row, (kind, reason) in enumerate(told):
        left = [reason, *(one[row] for one in reasons)]  # the first reason counts
        found.setdefault(kind, Counter())[next(filter(None, left), None)] += 1
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_defect_of_a_rewrite_is_caught(kind: str) -> None:
    caught = judged()[kind]
    assert 1 - caught[None] / caught.total() >= LEAST, caught


def test_a_clean_rewrite_stays() -> None:
    clean = judged()[None]
    assert clean.total() >= 100
    assert 1 - clean[None] / clean.total() <= MISTAKES, clean
