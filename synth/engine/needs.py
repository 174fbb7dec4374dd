"""What a plan wants of its teacher, held against what the teacher has, before a token is spent."""

from __future__ import annotations

from collections.abc import Callable

from synth.engine.plan import Plan
from synth.engine.stage import Stage
from synth.errors import TeacherFault
from synth.teacher.journal import ServedTeacher
from synth.teacher.protocol import Need, Sampling

MADE_UP_FOR = frozenset({Need.SEVERAL})
"""Where it is missing the run goes on, at a cost: each answer is a request of its own."""
WAY_OUT = {
    Need.SCHEMA: "serve the model with vLLM, or leave out `json_schema`",
    Need.LOGPROBS: "serve the model with vLLM, or leave out `logprobs`",
    Need.SEED: "serve the model with vLLM",
    Need.TEMPLATE: "serve the model with vLLM, or leave out `sampling.chat_template_kwargs`",
    Need.RAW: "serve the model with vLLM, which has /v1/completions",
    Need.SYSTEM: "set `system: fold` in the recipe's teacher, which puts them into the user turn",
    Need.PRIORITY: "start vLLM with `--scheduling-policy priority`, or leave out `priority`",
}


def needs_of(stage: Stage) -> frozenset[Need]:
    """What the stage wants of a server beyond plain chat completions."""
    options = any(sampling.chat_template_kwargs for sampling in _samplings(stage))
    return stage.needs() | ({Need.TEMPLATE} if options else frozenset())


def needs(plan: Plan) -> frozenset[Need]:
    """What the whole plan wants."""
    wanted = frozenset[Need]().union(*(needs_of(stage) for stage in plan.stages))
    if plan.teacher is not None and plan.teacher.priority is not None:
        wanted |= {Need.PRIORITY}
    return wanted


def check_needs(plan: Plan, served: ServedTeacher, say: Callable[[str], None]) -> None:
    """Says who the teacher is and what the plan uses of it, in a table.

    Raises `TeacherFault`, which names the stage and what to do, where the plan needs more.
    """
    say(f"teacher: {served.description}")
    wide = max(map(len, Need))
    for need, ability in served.abilities.items():
        made_up = "; each answer is asked for by itself" if need in MADE_UP_FOR else ""
        say(f"  {need:<{wide}}  {ability.detail}{'' if ability.has else made_up}")
    for index, stage in enumerate(plan.stages):
        where = f"{index:02d}-{stage.name}"
        for need in sorted(needs_of(stage) - MADE_UP_FOR):
            _hold(where, need, served)
        for sampling in _samplings(stage):
            if served.context is not None and sampling.most_tokens > served.context:
                raise TeacherFault(
                    f"{where} allows replies of {sampling.most_tokens:,} tokens, and the teacher's "
                    f"context has {served.context:,}, the prompt included: lower "
                    "`sampling.max_tokens` (and `retry_max_tokens`), or serve the model with a "
                    "longer `--max-model-len` (`embedded.context` for an embedded one)"
                )
    if Need.PRIORITY in served.abilities:
        _hold("the recipe's teacher", Need.PRIORITY, served)


def _hold(who: str, need: Need, served: ServedTeacher) -> None:
    ability = served.abilities[need]
    if not ability.has:
        raise TeacherFault(
            f"{who} needs {need}, and the teacher has none ({ability.detail}): {WAY_OUT[need]}"
        )


def _samplings(stage: Stage) -> list[Sampling]:
    return [value for _, value in stage if isinstance(value, Sampling)]
