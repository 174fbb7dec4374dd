"""A recipe: the pipeline read from top to bottom, checked as a whole before anything runs.

name: quickstart
teacher: embedded
stages:
  - read: {prompts: seeds/starter/prompts.jsonl}
  - distill: {samples: 2}
  - write: {}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import isabstract
from typing import Annotated, Any, Self, get_args

from pydantic import Field, PrivateAttr, field_validator, model_validator

from filters.contamination.stage import Decontaminate
from filters.dedup.stage import Dedup
from filters.entry import OWN
from filters.pii.stage import Redact
from filters.quality.stage import Quality
from filters.samples.prefer import Prefer
from filters.samples.select import Select
from filters.trim import Trim
from filters.verify.stage import Verify
from seeds.clean import Clean
from seeds.read import Read
from synth.engine.plan import Plan
from synth.engine.stage import Source, Stage
from synth.errors import did_you_mean
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.follow_up import FollowUp
from synth.generate.invent import Invent
from synth.generate.judge import Judge
from synth.generate.resample import Resample
from synth.generate.reverse import Reverse
from synth.generate.revise import Revise
from synth.generate.rewrite import Rewrite
from synth.generate.round_trip import RoundTrip
from synth.generate.use_tools import UseTools
from synth.kind import Kind
from synth.model import Model
from synth.own import load, make
from synth.release.push import Push
from synth.release.write import FORMATS_OF, Write
from synth.teacher.config import TeacherConfig


class StageEntry(Model):
    """One line of `stages`: exactly one of these keys, with the stage's settings. A stage of your
    own is `use: package.module:Class`, with its settings under `with`."""

    read: Read | None = None
    """Reads prompts, web samples or answers."""
    clean: Clean | None = None
    """Takes menus, markup and the like out of web samples."""
    evolve: Evolve | None = None
    """Makes prompts harder and more diverse."""
    rewrite: Rewrite | None = None
    """Rewrites documents so that they teach."""
    distill: Distill | None = None
    """Answers prompts."""
    use_tools: UseTools | None = None
    """Answers prompts with tools."""
    resample: Resample | None = None
    """Answers again the prompts on which samples disagree."""
    revise: Revise | None = None
    """Criticizes answers after written principles, and mends them."""
    round_trip: RoundTrip | None = None
    """Guesses each answer's prompt, and compares."""
    judge: Judge | None = None
    """Grades rows by a rubric, or compares the answers of a pair."""
    invent: Invent | None = None
    """Adds new prompts: from examples, as persons would ask, or from nothing."""
    reverse: Reverse | None = None
    """Makes of documents the prompts that they answer."""
    follow_up: FollowUp | None = None
    """Makes of answers the next turn of a conversation."""
    trim: Trim | None = None
    """Cuts courtesies off the front and the end of answers."""
    redact: Redact | None = None
    """Replaces personal data and secrets by placeholders."""
    dedup: Dedup | None = None
    """Drops duplicates and near-duplicates."""
    decontaminate: Decontaminate | None = None
    """Drops rows that hold benchmark items."""
    quality: Quality | None = None
    """Drops what rules find bad."""
    verify: Verify | None = None
    """Checks answers."""
    select: Select | None = None
    """Keeps the best samples of each prompt."""
    prefer: Prefer | None = None
    """Makes preference pairs of the samples of each prompt."""
    write: Write | None = None
    """Writes the dataset folder."""
    push: Push | None = None
    """Publishes the dataset folder on the Hub."""
    use: str | None = None
    """A stage of your own, as 'package.module:Class'."""
    with_: dict[str, Any] = Field({}, alias="with")
    """The settings of `use`."""
    _own: Stage | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: {}}
        if isinstance(value, dict) and "use" in value and set(value) <= set(OWN):
            return {
                name: {} if part is None and name == "with" else part
                for name, part in value.items()
            }
        if isinstance(value, dict) and len(value) > 1 and next(iter(value)) in STAGES:
            name = next(iter(value))
            raise ValueError(
                f"a stage is one key: indent the settings of `{name}` below it, or write them as "
                f"`- {name}: {{…}}`"
            )
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"a stage is one key with its settings, like `- {_EXAMPLE}`")
        [(name, settings)] = value.items()
        if name not in STAGES:
            meant = did_you_mean(name, STAGES)
            raise ValueError(f"unknown stage {name!r}; known: {', '.join(STAGES)}{meant}")
        return {name: {} if settings is None else settings}

    @model_validator(mode="after")
    def _load_own(self) -> Self:
        if self.use is not None:
            self._own = own_stage(self.use, self.with_)
        return self

    @property
    def stage(self) -> Stage:
        """The one stage that is given."""
        return self._own or next(value for _, value in self if isinstance(value, Stage))


STAGES: dict[str, type[Stage]] = {
    name: next(stage for stage in get_args(field.annotation) if issubclass(stage, Stage))
    for name, field in StageEntry.model_fields.items()
    if name not in ("use", "with_")
}
"""Every stage that a recipe may name."""


def own_stage(path: str, settings: Mapping[str, Any]) -> Stage:
    """The user's own stage with its settings; a ValueError says what is wrong."""
    stage = make(path, load(path, _is_stage, "a class of a stage, such as a ShardStage"), settings)
    name = getattr(stage, "name", None)
    if not isinstance(name, str) or not STAGE_NAME.fullmatch(name) or name in STAGES:
        raise ValueError(
            f"use {path!r}: the stage's `name` is {name!r}, expected a word such as 'shout' that "
            "no other stage has"
        )
    if not isinstance(getattr(stage, "takes", None), frozenset):
        raise ValueError(  # noqa: TRY004  pydantic takes a ValueError as the message of the field
            f"use {path!r}: the stage has no `takes`, the kinds of records that it can follow: "
            f"frozenset({{Kind.PROMPTS}}), with {', '.join(f'Kind.{kind.name}' for kind in Kind)}"
        )
    found: Stage = stage
    return found


def line_of(stage: Stage) -> dict[str, Any]:
    """The stage as a line of a recipe, with all of its settings."""
    settings = stage.model_dump(mode="json")
    own = type(stage)
    if STAGES.get(stage.name) is own:
        return {stage.name: settings}
    return {"use": f"{own.__module__}:{own.__qualname__}", "with": settings}


def _is_stage(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Stage) and not isabstract(value)


STAGE_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""It is also the name of a folder."""
_EXAMPLE = "distill: {samples: 2}"


class Recipe(Model):
    """A pipeline from seeds to a dataset."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Names the run folder, `outputs/<name>`, and the dataset."""
    description: str = ""
    """One sentence for those who choose a recipe."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """All of the run's randomness derives from it."""
    shard_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Records per shard inside the run: the unit of a task, of resume and of memory."""
    teacher: TeacherConfig | None = None
    """Who answers. May be left out where no stage asks a teacher."""
    stages: Annotated[list[StageEntry], Field(min_length=1)]
    """The line, from `read` to `write` or `push`."""

    @field_validator("stages")
    @classmethod
    def _in_order(cls, entries: list[StageEntry]) -> list[StageEntry]:
        kind = Kind.NOTHING
        for position, entry in enumerate(entries):
            stage = entry.stage
            if kind not in stage.takes:
                raise _misplaced(position, stage, kind)
            if isinstance(stage, Write) and stage.format not in (None, *FORMATS_OF[kind]):
                raise Misplaced(
                    position,
                    f"`format: {stage.format}` does not fit {kind}; choose one of "
                    f"{', '.join(FORMATS_OF[kind])}",
                )
            kind = stage.makes(kind)
        return entries

    @model_validator(mode="after")
    def _has_teacher(self) -> Recipe:
        asking = [entry.stage.name for entry in self.stages if entry.stage.asks_teacher]
        if asking and self.teacher is None:
            raise ValueError(
                f"`{asking[0]}` asks a teacher, and the recipe names none; add "
                "`teacher: http://HOST:PORT/v1` for a served model, `teacher: {model: …}` for one "
                "that the run launches with vLLM on a GPU, or the small `teacher: embedded`"
            )
        return self

    def plan(self, written: dict[str, Any]) -> Plan:
        """The recipe as the engine runs it."""
        stages = tuple(entry.stage for entry in self.stages)
        return Plan(self.name, self.seed, self.shard_rows, self.teacher, stages, written)


class Misplaced(ValueError):  # noqa: N818  carries a place to the message, is not raised to users
    def __init__(self, position: int, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.position = position
        self.advice = advice
        """What to change in a recipe; a command without one has other ways."""


def _misplaced(position: int, stage: Stage, kind: Kind) -> Misplaced:
    if isinstance(stage, Source):
        return Misplaced(position, f"`{stage.name}` can only be the first stage")
    if kind is Kind.NOTHING:
        return Misplaced(position, f"`{stage.name}` is the first stage, expected `read`")
    if kind is Kind.RELEASE:
        return Misplaced(position, f"`{stage.name}` cannot follow `write`; only `push` can")
    makers = {
        Kind.PROMPTS: "`read: {prompts: …}`",
        Kind.DOCUMENTS: "`read: {web: …}` or `rewrite`",
        Kind.ANSWERS: "`read: {answers: …}` or `distill`",
        Kind.RELEASE: "`write`",
    }
    wanted = " or ".join(makers[kind] for kind in makers if kind in stage.takes)
    needs = " or ".join(sorted(stage.takes))
    return Misplaced(
        position, f"`{stage.name}` needs {needs}, but here are {kind}", f"put {wanted} before it"
    )
