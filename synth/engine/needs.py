"""Compares the abilities that a plan needs with those of its teacher, before the first request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from synth.engine.plan import Plan
from synth.engine.stage import Stage
from synth.errors import TeacherFault
from synth.model import Model
from synth.store.manifest import stage_label
from synth.teacher.journaled import ServedTeacher
from synth.teacher.protocol import Need, Sampling

MADE_UP_FOR = frozenset({Need.SEVERAL})
"""Needs that the run can replace, at a cost: without them, each answer takes its own request."""
WAY_OUT = {
    Need.SCHEMA: "serve the model with vLLM, or leave out `json_schema`",
    Need.LOGPROBS: "serve the model with vLLM, or leave out `logprobs`",
    Need.SEED: "serve the model with vLLM",
    Need.TEMPLATE: "serve the model with vLLM, or leave out `sampling.chat_template_kwargs`",
    Need.RAW: "serve the model with vLLM, which has /v1/completions",
    Need.THINKING: "start vLLM with `--reasoning-parser` for the model (see `--reasoning-config`), "
    "or leave out `sampling.thinking_token_budget`",
    Need.SYSTEM: "set `system: fold` in the recipe's teacher to move them into the user turn",
    Need.PRIORITY: "start vLLM with `--scheduling-policy priority`, or leave out `priority`",
}


def needs_of(stage: Stage) -> frozenset[Need]:
    """The abilities that the stage needs beyond plain chat completions."""
    found = set(stage.needs())
    for sampling in _samplings(stage):
        if sampling.chat_template_kwargs:
            found.add(Need.TEMPLATE)
        if sampling.thinking_token_budget is not None:
            found.add(Need.THINKING)
    return frozenset(found)


def needs(plan: Plan, teacher: str = "") -> frozenset[Need]:
    """The abilities that the plan needs of this teacher."""
    wanted = frozenset[Need]().union(*(needs_of(stage) for _, stage in _asking(plan, teacher)))
    config = plan.asked().get(teacher)
    if config is not None and config.priority is not None:
        wanted |= {Need.PRIORITY}
    return wanted


def _asking(plan: Plan, teacher: str) -> Iterator[tuple[int, Stage]]:
    """The stages that ask this teacher, with their indices."""
    for index, stage in enumerate(plan.stages):
        if plan.teacher_of(index) == teacher:
            yield index, stage


def check_needs(
    plan: Plan, served: ServedTeacher, say: Callable[[str], None], teacher: str = ""
) -> None:
    """Reports who this teacher is, with a table of the abilities that the plan uses.

    If the plan needs more, raises a `TeacherFault` that names the stage and what to do.
    """
    say(f"teacher{teacher and f' {teacher}'}: {served.description}")
    wide = max(map(len, Need))
    for need, ability in served.abilities.items():
        made_up = "; each answer takes its own request" if need in MADE_UP_FOR else ""
        say(f"  {need:<{wide}}  {ability.detail}{'' if ability.has else made_up}")
    for index, stage in _asking(plan, teacher):
        where = stage_label(index, stage.name)
        for need in sorted(needs_of(stage) - MADE_UP_FOR):
            _require(where, need, served)
        for sampling in _samplings(stage):
            if served.context is not None and sampling.most_tokens > served.context:
                raise TeacherFault(
                    f"{where} allows replies of {sampling.most_tokens:,} tokens, but the teacher's "
                    f"context is {served.context:,} tokens, including the prompt: lower "
                    "`sampling.max_tokens` (and `retry_max_tokens`), or serve the model with a "
                    "longer `--max-model-len` (`embedded.context` for an embedded one)"
                )
    if Need.PRIORITY in served.abilities:
        who = f"the teacher `{teacher}`" if teacher else "the recipe's teacher"
        _require(who, Need.PRIORITY, served)


def _require(who: str, need: Need, served: ServedTeacher) -> None:
    ability = served.abilities[need]
    if not ability.has:
        raise TeacherFault(
            f"{who} needs {need}, which the teacher lacks ({ability.detail}): {WAY_OUT[need]}"
        )


def _samplings(settings: Model) -> Iterator[Sampling]:
    """The stage's sampling, and those of the models in its fields, such as a judge."""
    for _, value in settings:
        if isinstance(value, Sampling):
            yield value
        elif isinstance(value, Model):
            yield from _samplings(value)
