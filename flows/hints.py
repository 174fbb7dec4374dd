"""Hints about valid recipes that may give poor results; shown by `synth check` and each run."""

from __future__ import annotations

from filters.verify.stage import Verify
from seeds.read import Read
from synth.engine.plan import Plan
from synth.engine.waves import goals
from synth.errors import InputError
from synth.generate.distill import Distill
from synth.generate.prompting import asks_for_mark
from synth.record import last_user_text

ROWS = 200  # of the input to inspect
SHARDS = 5  # with fewer for a target, the last one may be a fifth too much
SMALL = 10  # rows in a shard; fewer would save little


def hints(plan: Plan) -> list[str]:
    """Returns suggested changes to the recipe, one sentence each."""
    found = (unmarked_answers(plan), large_shards(plan), unseen_originals(plan))
    return [hint for hint in found if hint]


def large_shards(plan: Plan) -> str | None:
    """Suggests smaller shards if the target is small compared with a shard of seeds."""
    wanted = sum(goal.wanted for goal in goals(plan))
    if not wanted or plan.shard_rows <= SMALL or wanted >= SHARDS * plan.shard_rows:
        return None
    return (
        f"{wanted:,} rows are wanted, and seeds are drawn in shards of {plan.shard_rows:,}: "
        f"`shard_rows: {max(SMALL, wanted // (2 * SHARDS))}` at the top of the recipe may ask the "
        "teacher for fewer answers"
    )


def unseen_originals(plan: Plan) -> str | None:
    """Warns if a stage that cleans what is released does not see the originals of `mix`."""
    for index in range(len(plan.stages)):
        source = plan.originals(index)
        if source is None:
            continue
        names = [stage.name for stage in plan.stages]
        seen, unseen = {*names[: source + 1], *names[index:]}, names[source + 1 : index]
        for name in ("decontaminate", "redact"):
            if name in unseen and name not in seen:
                return (
                    f"`{name}` does not see the originals that `{names[index]}` adds; move it "
                    f"before `{names[source + 1]}` or after `{names[index]}`"
                )
    return None


def unmarked_answers(plan: Plan) -> str | None:
    """Warns if `maths` has gold answers but no prompt asks the teacher to mark its final answer.

    Assumes that examples, if given, already show how an answer ends.
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
        return None  # the run itself reports unusable input
    gold = [row for row in rows if (row["reference"] or {}).get("answer")]
    unmarked = [row for row in gold if not asks_for_mark(last_user_text(row["context"]))]
    if not unmarked:
        return None
    return (
        f"{len(unmarked)} of the first {len(rows)} prompts have a gold answer, but nothing asks "
        "the teacher to mark its final answer, so `maths` may not find it; "
        "add `distill: {formats: {ask: [final_line], when: gold}}`"
    )
