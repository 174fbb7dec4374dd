"""Hints about a recipe that is valid but may disappoint: for `synth check` and a run's start."""

from __future__ import annotations

from filters.verify.stage import Verify
from seeds.read import Read
from synth.engine.plan import Plan
from synth.errors import InputError
from synth.generate.distill import Distill
from synth.generate.prompting import asks_for_mark

ROWS = 200  # of the input that are looked at


def hints(plan: Plan) -> list[str]:
    """What a user may want to change, a sentence each."""
    hint = unmarked_answers(plan)
    return [hint] if hint else []


def unmarked_answers(plan: Plan) -> str | None:
    """That `maths` has gold answers, and nothing asks the teacher to mark its final answers.

    Examples are taken to show how an answer ends.
    """
    source = plan.stages[0]
    distills = [stage for stage in plan.stages if isinstance(stage, Distill)]
    checks = [
        entry.part.name
        for stage in plan.stages
        if isinstance(stage, Verify)
        for entry in stage.checks
    ]
    if not isinstance(source, Read) or not distills or "maths" not in checks:
        return None
    asking = distills[0]
    systems = (asking.system,) if isinstance(asking.system, str) else asking.system or ()
    marks = asking.formats is not None and asking.formats.marks_answers
    if marks or asking.examples or any(map(asks_for_mark, systems)):
        return None
    try:
        rows = next(source.shards(ROWS)).kept.select(["context", "reference"]).to_pylist()
    except (InputError, StopIteration):
        return None  # the run itself says what is wrong with the input
    gold = [row for row in rows if (row["reference"] or {}).get("answer")]
    unmarked = [row for row in gold if not asks_for_mark(row["context"][-1]["content"])]
    if not unmarked:
        return None
    return (
        f"{len(unmarked)} of the first {len(rows)} prompts have a gold answer, and nothing asks "
        "the teacher to mark its final answer, so `maths` may be unable to read it; "
        "`distill: {formats: {ask: [final_line], when: gold}}` asks for that"
    )
