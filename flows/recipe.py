"""A recipe: lists the pipeline's stages in order. It is validated before anything runs.

name: quickstart
teacher: embedded
stages:
  - read: {prompts: seeds/starter/prompts.jsonl}
  - distill: {samples: 2}
  - write: {}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from inspect import isabstract, iscoroutinefunction
from typing import Annotated, Any, Self, get_args

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from filters.contamination.stage import Decontaminate
from filters.dedup.stage import Dedup
from filters.entry import OWN
from filters.pii.push import Push
from filters.pii.stage import Redact
from filters.quality.stage import Quality
from filters.samples.prefer import Prefer
from filters.samples.select import VERDICT, Select
from filters.trim import Trim
from filters.verify.stage import Verify
from seeds.clean import Clean
from seeds.read import Read
from synth.engine.guards import Guards
from synth.engine.plan import Plan
from synth.engine.stage import AskingStage, ShardStage, Source, Stage
from synth.errors import did_you_mean
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.follow_up import FollowUp
from synth.generate.invent import Invent
from synth.generate.judge import Judge
from synth.generate.questions import Questions
from synth.generate.resample import Resample
from synth.generate.reverse import Reverse
from synth.generate.revise import Revise
from synth.generate.rewrite import Rewrite
from synth.generate.round_trip import RoundTrip
from synth.generate.use_tools import UseTools
from synth.kind import Kind
from synth.model import Model
from synth.own import load, make
from synth.release.mix import Mix
from synth.release.write import FORMATS_OF, Write
from synth.samples import PASS_RATE
from synth.teacher.caps import BudgetConfig
from synth.teacher.config import TeacherConfig

STAGE_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""A stage's name is also part of a folder name."""


class StageEntry(Model):
    """One entry of `stages`: exactly one of these keys, with the stage's settings. Load your own
    stage with `use: package.module:Class` and put its settings under `with`."""

    read: Read | None = None
    """Reads prompts, web samples or answers."""
    clean: Clean | None = None
    """Removes menus, markup and other boilerplate from web samples."""
    evolve: Evolve | None = None
    """Makes prompts harder and more diverse."""
    rewrite: Rewrite | None = None
    """Rewrites documents as educational text."""
    questions: Questions | None = None
    """Writes questions about documents, with answers and evidence from them."""
    distill: Distill | None = None
    """Answers prompts."""
    use_tools: UseTools | None = None
    """Answers prompts with tools."""
    resample: Resample | None = None
    """Samples more answers for prompts whose samples disagree."""
    revise: Revise | None = None
    """Critiques answers against written principles and revises them."""
    round_trip: RoundTrip | None = None
    """Guesses the prompt from each answer and compares it with the real one."""
    judge: Judge | None = None
    """Grades rows by a rubric, or compares the two answers of a pair."""
    invent: Invent | None = None
    """Adds new prompts from examples, from personas, or from scratch."""
    reverse: Reverse | None = None
    """Writes prompts that the documents answer."""
    follow_up: FollowUp | None = None
    """Writes the next user turn after each answer."""
    trim: Trim | None = None
    """Trims courtesies from the start and end of answers."""
    redact: Redact | None = None
    """Replaces personal data and secrets with placeholders."""
    dedup: Dedup | None = None
    """Rejects duplicates and near-duplicates."""
    decontaminate: Decontaminate | None = None
    """Rejects rows that contain benchmark items."""
    quality: Quality | None = None
    """Rejects rows that fail a quality filter."""
    verify: Verify | None = None
    """Verifies answers."""
    select: Select | None = None
    """Keeps the best samples of each prompt."""
    prefer: Prefer | None = None
    """Builds preference pairs from the samples of each prompt."""
    mix: Mix | None = None
    """Adds the originals to their rewrites, by share."""
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
                f"a stage has exactly one key: indent the settings of `{name}` below it, or write "
                f"`- {name}: {{…}}`"
            )
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(
                f"a stage has exactly one key, with its settings, such as `- {_EXAMPLE}`"
            )
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
        """The stage that this entry sets."""
        return self._own or next(value for _, value in self if isinstance(value, Stage))


STAGES: dict[str, type[Stage]] = {
    name: next(stage for stage in get_args(field.annotation) if issubclass(stage, Stage))
    for name, field in StageEntry.model_fields.items()
    if name not in ("use", "with_")
}
"""All built-in stages by name."""


def own_stage(path: str, settings: Mapping[str, Any]) -> Stage:
    """Loads the user's own stage with its settings. Raises ValueError if it is unsuitable."""
    what = "a stage class, such as a ShardStage (filters go into `quality`, checks into `verify`)"
    stage = make(path, load(path, _is_stage, what), settings)
    name = getattr(stage, "name", None)
    if not isinstance(name, str) or not STAGE_NAME.fullmatch(name) or name in STAGES:
        raise ValueError(
            f"use {path!r}: the stage's `name` is {name!r}, expected a lowercase word such as "
            "'shout' that no built-in stage uses"
        )
    if not isinstance(getattr(stage, "takes", None), frozenset):
        raise ValueError(  # noqa: TRY004  pydantic reports only a ValueError
            f"use {path!r}: the stage has no `takes`, the kinds of records that it accepts; set it "
            f"to a frozenset of {', '.join(f'Kind.{kind.name}' for kind in Kind)}"
        )
    if isinstance(stage, ShardStage) and not iscoroutinefunction(stage.apply):
        raise ValueError(f"use {path!r}: its `apply` must be `async def apply(self, table, place)`")
    found: Stage = stage
    return found


def line_of(stage: Stage) -> dict[str, Any]:
    """Returns the stage as a recipe entry, with all of its settings."""
    settings = stage.model_dump(mode="json")
    own = type(stage)
    if STAGES.get(stage.name) is own:
        return {stage.name: settings}
    return {"use": f"{own.__module__}:{own.__qualname__}", "with": settings}


def _is_stage(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Stage) and not isabstract(value)


_EXAMPLE = "distill: {samples: 2}"
NOT_SHOWN = frozenset({"budget", "guards", "runner", "workers"})


class Machines(Model):
    """Where the work on shards is done, if not in the process of the run."""

    dask: Annotated[str, Field(pattern=r"^(tcp|tls|ucx)://.")]
    """Address of a Dask scheduler, such as `tcp://10.0.0.5:8786`; see
    [Beyond one machine](cluster.md)."""


class Recipe(Model):
    """A pipeline from seeds to a dataset."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Names the run folder, `outputs/<name>`, and the dataset."""
    description: str = ""
    """One sentence that helps users choose a recipe."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """Seed of all randomness in the run."""
    shard_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Records per shard. A shard is the unit of tasks, of resuming and of memory use."""
    incremental: bool = False
    """Makes each run an increment: it reads only rows of the input that are new, and adds its
    rows to the release without changing the earlier data files."""
    teacher: TeacherConfig | None = None
    """The model that answers. Optional if no stage needs a teacher, or each names one."""
    teachers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], TeacherConfig] = Field({})
    """Further teachers by name, with the same settings. A stage chooses one: `evolve: {teacher:
    small}`."""
    budget: BudgetConfig | None = None
    """Caps on the run's tokens, hours and cost, and a deadline."""
    guards: Guards = Guards()
    """What to watch while a stage asks the teacher, and when to warn or stop."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes that filter, verify and deduplicate shards side by side, each with one shard in
    memory; default: one for each core."""
    runner: Machines | None = None
    """Other machines that do the work on shards. By default, the process of the run does it."""
    stages: Annotated[list[StageEntry], Field(min_length=1)]
    """The stages in order, from `read` to `write` or `push`."""

    @field_validator("stages")
    @classmethod
    def _in_order(cls, entries: list[StageEntry], info: ValidationInfo) -> list[StageEntry]:
        kind = Kind.NOTHING
        for position, entry in enumerate(entries):
            stage = entry.stage
            if kind not in stage.takes:
                raise _misplaced(position, stage, kind)
            if "teachers" in info.data:  # else they are a mistake of their own
                _check_teacher(position, stage, info.data["teachers"])
            if isinstance(stage, Write):
                _check_formats(position, stage, kind)
            if isinstance(stage, Write) and stage.quotas and stage.quotas.stage is not None:
                _check_stage(position, stage.quotas.stage, [one.stage.name for one in entries])
            if isinstance(stage, Mix):
                _check_originals(position, stage, [one.stage for one in entries[:position]])
            if isinstance(stage, Quality | Select | Prefer):
                _check_scores(position, stage, [one.stage for one in entries[:position]])
            kind = stage.makes(kind)
        return entries

    @model_validator(mode="after")
    def _has_teacher(self) -> Recipe:
        unnamed = [
            entry.stage.name
            for entry in self.stages
            if entry.stage.asks_teacher and teacher_name(entry.stage) is None
        ]
        if unnamed and self.teacher is None:
            raise ValueError(
                f"`{unnamed[0]}` needs a teacher, but the recipe has none; add "
                "`teacher: http://HOST:PORT/v1` for a served model, `teacher: {model: …}` to "
                "launch one with vLLM on a GPU, or `teacher: embedded` for a small CPU model"
            )
        return self

    @model_validator(mode="after")
    def _can_be_shared(self) -> Recipe:
        known = {"": self.teacher, **self.teachers}
        asking = [entry.stage for entry in self.stages if entry.stage.asks_teacher]
        asked = [known.get(teacher_name(stage) or "") for stage in asking]
        if self.runner is None or not asked:
            return self
        if any(teacher is not None and teacher.starts for teacher in asked):
            raise ValueError(
                "with `runner: {dask: …}`, workers on other machines ask the teacher, and one that "
                "the run starts serves this machine only: serve the model and give its address, "
                "`teacher: {url: http://HOST:PORT/v1}`"
            )
        if self.budget is not None and (counted := self.budget.counted):
            caps = " and ".join(f"`budget.{cap}`" for cap in counted)
            raise ValueError(
                f"{caps} is counted in one process, and with `runner: {{dask: …}}` many processes "
                f"ask the teacher: remove {caps} or `runner`; a deadline, `budget.until`, may stay"
            )
        return self

    @model_validator(mode="after")
    def _has_an_index_once(self) -> Recipe:
        stages = [entry.stage for entry in self.stages]
        indexes = [one.index for one in stages if isinstance(one, Dedup) and one.index is not None]
        for index in indexes:
            if indexes.count(index) > 1:
                raise ValueError(
                    f"two `dedup` stages have the index {index}, and an index has the rows of one: "
                    "give each its own"
                )
        return self

    @model_validator(mode="after")
    def _can_be_incremental(self) -> Recipe:
        for entry in self.stages if self.incremental else ():
            stage = entry.stage
            if isinstance(stage, Write) and (stage.target_rows or stage.quotas):
                raise ValueError(
                    "`incremental: true` releases all new rows, so it cannot have "
                    "`write: {target_rows}` or `quotas`: remove them, or limit the new rows of "
                    "each run with `read: {limit}`"
                )
            if isinstance(stage, Dedup) and stage.index is not None:
                raise ValueError(
                    "`incremental: true` compares with its earlier increments itself, and an "
                    "`index` would keep rows that a rollback withdraws: remove `dedup: {index}`"
                )
            if isinstance(stage, Push) and stage.tag and "{release}" not in stage.tag:
                raise ValueError(
                    f"the tag {stage.tag!r} marks one release and is never moved, and "
                    "`incremental: true` makes many: remove `push: {tag}`, or put `{release}` into "
                    "the tag"
                )
        if self.incremental and not any(isinstance(one.stage, Write) for one in self.stages):
            raise ValueError("`incremental: true` adds to a release: end the stages with `write`")
        return self

    def plan(self, written: dict[str, Any]) -> Plan:
        """Returns the plan that the engine runs."""
        stages = tuple(entry.stage for entry in self.stages)
        # these affect no row, so a run that goes on with other ones gets the same card
        shown = {key: value for key, value in written.items() if key not in NOT_SHOWN}
        return Plan(
            self.name,
            self.seed,
            self.shard_rows,
            self.teacher,
            stages,
            recipe=shown,
            budget=self.budget,
            guards=self.guards,
            incremental=self.incremental,
            teachers=self.teachers,
            workers=self.workers,
            dask=self.runner.dask if self.runner else None,
        )


class Misplaced(ValueError):  # noqa: N818  internal: carries a position to the error message
    def __init__(self, position: int, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.position = position
        self.advice = advice
        """What to change in the recipe. Not shown by commands that have no recipe."""


def teacher_name(stage: Stage) -> str | None:
    """The name of the teacher that a stage chooses; None for the recipe's `teacher`."""
    return stage.teacher if isinstance(stage, AskingStage) else None


def _check_teacher(position: int, stage: Stage, teachers: Mapping[str, TeacherConfig]) -> None:
    """Raises `Misplaced` for the name of a teacher that the recipe does not have."""
    name = teacher_name(stage)
    if name is not None and name not in teachers:
        known = ", ".join(teachers) or "none, since the recipe has no `teachers`"
        raise Misplaced(
            position,
            f"`{stage.name}: {{teacher: {name}}}` names no teacher; known: {known}"
            f"{did_you_mean(name, teachers)}",
        )


def _check_stage(position: int, by: str, names: list[str]) -> None:
    if by not in names[:position]:
        raise Misplaced(
            position,
            f"`quotas: {{by: {by}}}` names no stage before it; known: "
            f"{', '.join(names[:position])}, or `meta.COLUMN`, `scores.NAME`"
            f"{did_you_mean(by, names[:position])}",
        )


def _check_formats(position: int, write: Write, kind: Kind) -> None:
    for one in write.format:
        if one not in FORMATS_OF[kind]:
            raise Misplaced(
                position,
                f"`format: {one}` does not fit {kind}; choose one of {', '.join(FORMATS_OF[kind])}",
            )


def _check_originals(position: int, stage: Mix, before: list[Stage]) -> None:
    """Raises `Misplaced` if the stage that the originals are read before is not there, or did not
    get documents."""
    names = [one.name for one in before]
    if stage.before not in names[1:]:
        raise Misplaced(
            position,
            f"`mix: {{before: {stage.before}}}` names no stage before it; known: "
            f"{', '.join(names[1:])}{did_you_mean(stage.before, names[1:])}",
        )
    kind = Kind.NOTHING
    for one in before[: names.index(stage.before)]:
        kind = one.makes(kind)
    if kind is not Kind.DOCUMENTS:
        raise Misplaced(
            position, f"`mix` mixes documents, and `{stage.before}` gets {kind} as its originals"
        )


def _check_scores(position: int, stage: Quality | Select | Prefer, before: list[Stage]) -> None:
    """Raises `Misplaced` for a score that no stage before it gives."""
    if any(STAGES.get(one.name) is not type(one) for one in before):
        return  # a stage of the user's own may give scores of any name
    known = {VERDICT}.union(*map(_scores_of, before))
    key = "spare" if isinstance(stage, Quality) else "by"
    named: str | Iterable[str] = getattr(stage, key)
    for by in (named,) if isinstance(named, str) else named:
        name = by.removeprefix("-") if isinstance(stage, Select) else by
        if name not in known:
            raise Misplaced(
                position,
                f"`{stage.name}: {{{key}: {by}}}` names no score of a stage before it; known: "
                f"{', '.join(sorted(known))}{did_you_mean(name, known)}",
            )


def _scores_of(stage: Stage) -> set[str]:
    """The names of the scores that a stage gives, or may give."""
    match stage:
        case Quality():
            return {entry.part.name for entry in stage.filters}
        case Verify():
            return {PASS_RATE, *(entry.part.name for entry in stage.checks)}
        case Judge():
            return {stage.score}
        case Dedup():
            return {method.name for method in stage.methods}
        case Evolve():
            return {"novelty", "gain"}
        case Invent():
            return {"rouge_l"}
        case Reverse():
            return {"copied"}
        case Clean() | RoundTrip() | Trim() | Redact() | Decontaminate() | Prefer():
            return {stage.name}
        case _:
            return set()


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
        Kind.ANSWERS: "`read: {answers: …}`, `questions` or `distill`",
        Kind.RELEASE: "`write`",
    }
    wanted = " or ".join(makers[kind] for kind in makers if kind in stage.takes)
    needs = " or ".join(sorted(stage.takes))
    return Misplaced(
        position,
        f"`{stage.name}` needs {needs}, but the stage before it makes {kind}",
        f"put {wanted} before it",
    )
