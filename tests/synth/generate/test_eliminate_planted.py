"""Elimination against the flaws that the rehearsal teacher plants and labels.

The flaws are rich enough that no word gives them away: clean children speak of files, answers,
refusals and other languages in good faith, flawed ones come in many forms. The rules that first
come to mind are tried here too, and fail.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import orjson
import pytest

from synth.generate.eliminate import eliminate
from synth.generate.operations import Operation, fitting
from synth.generate.reasons import Limits
from synth.teacher.protocol import Reply
from synth.teacher.rehearsal.config import EVOLVED_DEFECTS
from synth.teacher.rehearsal.defects import Case, plant
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.flaws import FLAWS, plant_flaw
from synth.teacher.rehearsal.replies import Job, compose

# nothing in a prompt is boxed; of near-duplicates those that left their parent's subject are found
# here, and those of breadth by the pool of a shard
KINDS = [kind for kind in EVOLVED_DEFECTS if kind != "wrong_answer"]
ROUNDS = 3
STARTER = Path(__file__).parents[3] / "seeds/starter/prompts.jsonl"
# none for an empty reply, nor for a loop: there the plain rule is the right one
TRIVIAL: dict[str, Callable[[str, str], bool]] = {
    "refusal": lambda text, _: bool(
        re.search(r"sorry|cannot|can't|unable|decline", text, re.IGNORECASE)
    ),
    "preamble": lambda text, _: bool(
        re.match(r"sure|certainly|of course|here", text, re.IGNORECASE)
    ),
    "copy": lambda text, parent: text == parent,
    "truncation": lambda text, _: not text.endswith((".", "?", "!")),
    "malformed": lambda text, _: "<prompt>" in text or "</prompt>" in text,
    "near_duplicate": lambda text, parent: parent[:20] not in text,
    "no_gain": lambda text, parent: len(text) - len(parent) < 40,
    "unanswerable": lambda text, _: bool(
        re.search(r"attach|upload|image|photo|picture|file|link|https?:|above|below|earlier", text)
    ),
    "answer_leak": lambda text, _: bool(re.search(r"\banswer\b.{0,8}(:|is)", text, re.IGNORECASE)),
    "language_drift": lambda text, parent: not text.isascii() and parent.isascii(),
    "lost_constraint": lambda text, parent: parent not in text,
    "overgrown": lambda text, parent: len(text) > 2 * len(parent) + 200,
}


@dataclass
class Found:
    """What became of the children with one flaw, or with none ("")."""

    planted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    trivial: Counter[str] = field(default_factory=Counter)


@cache
def found() -> dict[str, Found]:
    """Children of the starter prompts, a third of them clean, and what elimination says of each."""
    lines = STARTER.read_bytes().splitlines()
    prompts: list[str] = [orjson.loads(line)["prompt"] for line in lines]
    results = {kind: Found() for kind in ("", *KINDS)}
    for number, parent in enumerate(prompts):
        for round_ in range(ROUNDS):
            dice = Dice(f"{number}/{round_}".encode())
            operation = dice.pick(fitting(tuple(Operation), parent))
            job = Job("evolve", parent, operation, "Task: evolve a prompt\nRules: a long text.")
            draft = compose(job, dice.fork("reply"))
            for kind in ("", dice.pick(KINDS), dice.pick(KINDS)):
                case = Case(job, draft, dice.fork(f"defect {kind}"))
                flawed = None
                if kind:
                    flawed = plant_flaw(kind, case) if kind in FLAWS else plant(kind, case)
                    if flawed is None or (kind == "near_duplicate" and operation == "broaden"):
                        continue
                text = ((flawed.text if flawed else draft.text) or "").strip()
                judge(
                    results[kind], text, parent, operation, flawed.finish_reason if flawed else ""
                )
            parent = draft.text
    return results


def judge(into: Found, text: str, parent: str, operation: Operation, finish: str) -> None:
    reply = Reply(text, text, finish_reason=finish, fault=None if text else "reply_empty")
    into.planted += 1
    into.reasons[eliminate(reply, parent, Limits(), operation=operation).reason or ""] += 1
    into.trivial.update(name for name, rule in TRIVIAL.items() if rule(text, parent))


def rates(kind: str) -> tuple[float, float]:
    """Recall, and the precision of the reasons by which the flaw was found."""
    results = found()
    rightly = sum((one.reasons for label, one in results.items() if label), Counter[str]())
    wrongly, caught = results[""].reasons, results[kind].reasons
    left = {reason: n for reason, n in caught.items() if reason}
    precision = sum(n * rightly[r] / (rightly[r] + wrongly[r]) for r, n in left.items())
    return sum(left.values()) / results[kind].planted, precision / sum(left.values())


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_all_that_is_planted_is_found_and_little_else(kind: str) -> None:
    assert found()[kind].planted >= 30
    recall, precision = rates(kind)
    assert recall >= 0.95
    assert precision >= 0.95


def test_clean_children_survive() -> None:
    clean = found()[""]
    assert clean.reasons[""] >= 0.98 * clean.planted


@pytest.mark.parametrize("kind", TRIVIAL)
def test_the_rule_that_first_comes_to_mind_does_not_tell_the_flaw(kind: str) -> None:
    results = found()
    right, wrong = results[kind].trivial[kind], results[""].trivial[kind]
    recall, precision = right / results[kind].planted, right / max(1, right + wrong)
    assert min(recall, precision) < 0.95


def test_clean_children_speak_of_what_flawed_ones_do() -> None:
    hits = found()[""].trivial
    for kind in ("refusal", "unanswerable", "answer_leak", "truncation", "lost_constraint"):
        assert hits[kind] >= 3, kind
