"""`synth calibrate`: compares a judge's grades with human grades.

{"prompt": "Why is the sky blue?", "text": "Because …", "score": 4}       grades, 0 to 5
{"prompt": "Why is the sky blue?", "chosen": "Because …", "rejected": "It is."}      or pairs
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from flows import loop
from flows.terminal import print_measures
from synth.engine.stage import Place
from synth.errors import ExitCode, InputError
from synth.generate.judge import HIGHEST, LOWEST, Judge
from synth.kind import Kind
from synth.record import new_record, records_table
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher


def calibrate(arguments: Namespace) -> int:
    """Measures how well a judge agrees with people."""
    gold = read_gold(arguments.gold)
    try:
        settings = {"rubric": arguments.rubric} if gold.scores else {"pairs": True}
        judge = Judge.model_validate(settings)
        teacher = TeacherConfig.model_validate(arguments.teacher)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    folder = Path("outputs") / f"calibrate-{arguments.gold.stem}"
    values = loop.run(judged(gold, judge, teacher, folder, arguments.seed))
    print_measures(agreement(gold, values) if gold.scores else pair_agreement(gold, values))
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class Gold:
    """Graded rows."""

    table: pa.Table
    kind: Kind
    scores: list[float]
    """Human grades; empty for pairs."""


def read_gold(path: Path) -> Gold:
    """Reads the rows of a JSONL file. Raises `InputError` with the line and the problem."""

    rows = [
        _row(line, f"{path}, line {n}") for n, line in enumerate(_lines(path), 1) if line.strip()
    ]
    if not rows:
        raise InputError(f"{path} is empty; expected a JSON object per line")
    pairs = ["chosen" in row for row in rows]
    if any(pairs) != all(pairs):
        raise InputError(f"{path} holds both pairs and grades; split them into two files")
    records = []
    for number, row in enumerate(rows):
        record = new_record(
            prompt=row.get("prompt"),
            text=row.get("chosen", row.get("text", "")),
            reference={"answer": row.get("reference")},
            source=f"{path.name}#{number + 1}",
            before=number,  # lines that differ only in `rejected` need their own ids
        )
        records.append({**record, "rejected": row.get("rejected")})
    shapes = {_kind(row) for row in rows}
    if len(shapes) > 1:
        raise InputError(
            f"{path} holds {' and '.join(sorted(shapes))}; split them into separate files"
        )
    scores = [] if all(pairs) else [float(row["score"]) for row in rows]
    return Gold(records_table(records), shapes.pop(), scores)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object, as in {{'text': …, 'score': 4}}")
    texts = [key for key in ("prompt", "text", "chosen", "rejected", "reference") if key in row]
    if wrong := next((key for key in texts if not isinstance(row[key], str)), None):
        raise InputError(f"{where}: {wrong} is {row[wrong]!r}; expected text")
    if "chosen" in row:
        if missing := next((key for key in ("prompt", "rejected") if key not in row), None):
            raise InputError(
                f"{where}: {missing} is missing; a pair needs prompt, chosen and rejected"
            )
        return row
    score = row.get("score")
    if (
        isinstance(score, bool)
        or not isinstance(score, int | float)
        or not LOWEST <= score <= HIGHEST
    ):
        raise InputError(
            f"{where}: score is {score!r}; expected a number from {LOWEST} to {HIGHEST}"
        )
    if "prompt" not in row and "text" not in row:
        raise InputError(f"{where}: add the graded `prompt` or `text`; the row has neither")
    return row


def _kind(row: dict[str, Any]) -> Kind:
    if "prompt" not in row:
        return Kind.DOCUMENTS
    return Kind.ANSWERS if "text" in row or "chosen" in row else Kind.PROMPTS


async def judged(
    gold: Gold, judge: Judge, teacher: TeacherConfig, folder: Path, seed: int
) -> list[float | None]:
    """Returns the judge's value for each row, in order. Reuses replies from earlier calls."""

    async with open_teacher(teacher, needs=judge.needs()) as served:
        journal = await Journal.open(folder / "journal.sqlite")
        try:
            place = Place(seed, gold.kind, teacher=JournaledTeacher(served, journal))
            outcome = await judge.apply(gold.table, place)
        finally:
            await journal.close()
    found = {
        row["id"]: row["scores"][-1]["value"]
        for table in (outcome.kept, outcome.rejected)
        for row in table.select(["id", "scores"]).to_pylist()
    }
    return [found[one] for one in gold.table["id"].to_pylist()]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge compared with people. None if the rows are too few or too alike to measure."""

    rows: int
    judged: int
    spearman: float | None
    """Rank correlation with human grades, -1 to 1."""
    kappa: float | None
    """Quadratic weighted kappa of rounded grades: 1 is full agreement, 0 is chance."""
    mean_error: float | None
    """Mean absolute difference between the grades."""
    bias: float | None
    """Mean of the judge's grade minus the human grade."""
    length_pull: float | None
    """Rank correlation of text length with judge minus human grade; 0 is ideal."""


def agreement(gold: Gold, values: Sequence[float | None]) -> Agreement:
    """Compares grades with human grades, over the rows that were judged."""
    texts = gold.table["text" if gold.kind is not Kind.PROMPTS else "context"].to_pylist()
    lengths = [len(text) if isinstance(text, str) else len(text[-1]["content"]) for text in texts]
    both = [
        (score, value, length)
        for score, value, length in zip(gold.scores, values, lengths, strict=True)
        if value is not None
    ]
    people, grades = [one[0] for one in both], [one[1] for one in both]
    gaps = [grade - score for score, grade, _ in both]
    return Agreement(
        rows=len(gold.scores),
        judged=len(both),
        spearman=spearman(people, grades),
        kappa=weighted_kappa(people, grades),
        mean_error=sum(map(abs, gaps)) / len(gaps) if gaps else None,
        bias=sum(gaps) / len(gaps) if gaps else None,
        length_pull=spearman([float(one[2]) for one in both], gaps),
    )


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """A pair judge compared with people. None if there was nothing to measure."""

    rows: int
    judged: int
    right: float | None
    """Share of pairs whose chosen answer wins in both orders."""
    undecided: float | None
    """Share of pairs judged equal, or whose winner changes with the order."""
    right_when_shorter: float | None
    """`right` over the pairs whose chosen answer is the shorter one. Low if the judge prefers
    longer answers."""


def pair_agreement(gold: Gold, values: Sequence[float | None]) -> PairAgreement:
    """Compares verdicts with human choices, over the pairs that were judged."""
    rows = gold.table.select(["text", "rejected"]).to_pylist()
    found = [
        (value, len(row["text"]) < len(row["rejected"]))
        for value, row in zip(values, rows, strict=True)
        if value is not None
    ]
    shorter = [value for value, is_shorter in found if is_shorter]
    return PairAgreement(
        rows=len(rows),
        judged=len(found),
        right=_share([value == 1 for value, _ in found]),
        undecided=_share([0 < value < 1 for value, _ in found]),
        right_when_shorter=_share([value == 1 for value in shorter]),
    )


def _share(which: list[bool]) -> float | None:
    return sum(which) / len(which) if which else None


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Rank correlation; ties get their mean rank. None if a side has only one distinct value."""

    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:

    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(count) - (count + 1) / 2)[place]
    return ranks


def weighted_kappa(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Cohen's kappa with quadratic weights over the grades 0 to 5 (Cohen 1968).

    None if chance alone would give full agreement.
    """

    size = HIGHEST + 1
    seen = np.zeros((size, size))
    for a, b in zip(one, other, strict=True):
        seen[round(a), round(b)] += 1
    if not seen.sum():
        return None
    weights = np.subtract.outer(np.arange(size), np.arange(size)) ** 2
    by_chance = np.outer(seen.sum(1), seen.sum(0)) / seen.sum()
    worst = float((weights * by_chance).sum())
    return 1 - float((weights * seen).sum()) / worst if worst else None
