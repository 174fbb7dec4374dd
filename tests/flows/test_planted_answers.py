"""What an answer's checks find of the defects planted in it: nearly all, and nothing else."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from filters.verify.extract import final_answer
from flows.recipe_file import load_recipe
from flows.rehearsed import Clusters
from synth.batch import Batch
from synth.record import EMPTY_STEP, new_record, records_table
from synth.teacher.rehearsal.config import REPLY_DEFECTS, REWRITE_DEFECTS
from synth.teacher.rehearsal.defects import Case, Flawed, plant
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.replies import Job, compose
from synth.verdicts import Verdict

STARTER = Path(__file__).parents[2] / "seeds/starter/prompts.jsonl"
LEAST = 0.95
KINDS = [
    kind
    for kind in REPLY_DEFECTS
    if kind not in (*REWRITE_DEFECTS, "near_duplicate")  # what is alike, a corpus stage decides
]


def answered(prompt: str, kind: str | None) -> tuple[str, Flawed] | None:
    """The right reply of the rehearsal teacher, and the one with the defect; None: has none."""
    job = Job("answer", prompt)
    dice = Dice(f"{kind}/{prompt}".encode())
    draft = compose(job, dice.fork("reply"))
    if kind is None:
        return draft.text, Flawed(draft.text, None)
    flawed = plant(kind, Case(job, draft, dice.fork("defect")))
    return None if flawed is None else (draft.text, flawed)


@cache
def judged() -> dict[str | None, Counter[str | None]]:
    """Per planted defect, None for clean answers, how many left for which reason."""
    found: dict[str | None, Counter[str | None]] = {}
    rows: list[dict[str, Any]] = []
    told: list[str | None] = []
    prompts = [orjson.loads(line)["prompt"] for line in STARTER.read_bytes().splitlines()]
    for prompt in prompts:
        for kind in (None, *KINDS):
            pair = answered(prompt, kind)
            if pair is None:
                continue
            right, flawed = pair
            if not (flawed.text or "").strip():  # told apart before a row is made of it
                found.setdefault(kind, Counter())["reply_empty"] += 1
                continue
            row = new_record(
                prompt=prompt,
                text=flawed.text,
                reference={"answer": final_answer(right)} if "\\boxed" in right else None,
            )
            step = {"operation": "answer", "finish_reason": flawed.finish_reason}
            row["trail"].append({**EMPTY_STEP, "stage": "distill", **step})
            rows.append(row)
            told.append(kind)
    stages = {stage.name: stage for stage in load_recipe("distill-answers").stages}
    batch = Batch(records_table(rows))
    verdicts = [entry.part.judge(batch) for entry in stages["quality"].filters]
    checks = [entry.part.check(batch) for entry in stages["verify"].checks]
    for row, kind in enumerate(told):
        reason = next((one.reasons[row] for one in verdicts if one.reasons[row]), None)
        if reason is None and any(one[row].verdict is Verdict.FAIL for one in checks):
            reason = "answer_wrong"
        found.setdefault(kind, Counter())[reason] += 1
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_defect_of_an_answer_is_caught(kind: str) -> None:
    caught = judged()[kind]
    assert caught.total() >= 10
    assert 1 - caught[None] / caught.total() >= LEAST, caught


def test_a_clean_answer_stays() -> None:
    clean = judged()[None]
    assert clean.total() >= 200
    assert clean[None] == clean.total(), clean


def test_of_a_cluster_of_near_duplicates_one_is_to_stay() -> None:
    clusters = Clusters()
    one = "The ferry leaves the northern quay at nine and comes back before the tide turns."
    for text, left in ((one, False), (one.replace("nine", "ten"), True), (one, True)):
        clusters.add(text, left=left)
    clusters.add("Bees need water on hot days, and a shallow dish will do.", left=True)
    assert (clusters.redundant, clusters.left) == (2, 2)
    clusters.add(one, left=False)
    assert (clusters.redundant, clusters.left) == (3, 2)
