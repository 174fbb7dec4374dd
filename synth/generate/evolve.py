"""Evolve: the teacher makes prompts harder (depth) or rarer (breadth), over several rounds.

After Evol-Instruct (arXiv:2304.12244, sections 3.1 to 3.3): each round draws an operation for each
prompt and makes a child with it. A child that survives is the next round's parent; a failed child
is eliminated with a reason, and its parent stays. Ours draws from the run's seed and the record's
id, keeps eliminated children as rejected rows, and learns between the rounds of a shard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import pyarrow as pa
from pydantic import BeforeValidator, Field, model_validator

from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate import improve as auto
from synth.generate.adapt import Adapt, Yield, count, draw, gains_nothing, total
from synth.generate.eliminate import eliminate
from synth.generate.gain import GainJudge
from synth.generate.improve import Failure, Improve, Versions
from synth.generate.lineage import Descendant, Lineage, lineages, outcome
from synth.generate.operations import (
    EVOL_INSTRUCT,
    Change,
    Checkable,
    Dice,
    Operation,
    Parent,
    dice_of,
    rules_of,
)
from synth.generate.screen import PromptLimits, PromptPool, Reason
from synth.generate.template import shipped
from synth.generate.trail import step
from synth.instructions.attached import write_attached
from synth.instructions.stated import carried_over
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import EMPTY_STEP, record_id
from synth.teacher.protocol import Need, Sampling
from synth.text.domain import domains
from synth.together import together

MOST_SHARED = 0.6  # of a child's new word 4-grams that are another lineage's: a near-duplicate
NO_LONGER = frozenset({"needs_attachment", "needs_context", "subject_lost"})  # used before 0.2


def _still_known(names: object) -> object:
    """Drops the names of reasons that no longer occur, so that old recipes stay valid."""
    if not isinstance(names, list | tuple):
        return names
    return [name for name in names if name not in NO_LONGER]


Weight = Annotated[float, Field(ge=0, le=1000)]
Temperature = Annotated[float, Field(ge=0, le=5)]


class Evolve(AskingStage):
    """Evolves each prompt over several rounds."""

    name = "evolve"
    takes = frozenset({Kind.PROMPTS})
    asks_teacher = True

    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    """How often each prompt is evolved; 2 to 4 in the literature."""
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = EVOL_INSTRUCT
    """The operations to draw from, one per prompt and round. Later versions do not change the
    default. Operations for code and maths apply only to such prompts."""
    keep: Literal["all", "latest"] = "all"
    """Whether to keep all generations of a prompt, or only the last survivor."""
    weights: dict[Operation, Weight] = Field(default_factory=dict)
    """The relative frequency of each operation; default: 1."""
    temperatures: dict[Operation, Temperature] = Field(default_factory=dict)
    """Sampling temperature per operation, instead of `sampling.temperature`."""
    checkable: Checkable = Checkable()
    max_words: Annotated[int, Field(ge=5)] = 400
    """Eliminates longer children, because longer prompts are not harder."""
    unchanged_ratio: Annotated[float, Field(ge=50, le=100)] = 95.0
    """Eliminates a child at least this similar to its parent (rapidfuzz ratio, 0 to 100) if fewer
    than 40 characters differ. A long prompt with one more demand is not the same prompt."""
    min_new_words: Annotated[int, Field(ge=0)] = 3
    """Eliminates a child with fewer new words than this, not counting function words. Only `judge`
    can tell whether the new words ask for more."""
    spare: Annotated[tuple[Reason, ...], BeforeValidator(_still_known)] = ()
    """Reasons that do not eliminate children, such as `list_like`."""
    judge: GainJudge | None = None
    """Lets the teacher judge whether each surviving child is a prompt, can be answered, and gained
    anything; one more request per child."""
    adapt: Adapt | None = None
    """Shifts weights to successful operations and stops evolution when it gains nothing; off by
    default."""
    improve: Improve | None = None
    """Auto-Evol: the teacher rewrites the instructions of operations that often fail."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1024)

    @model_validator(mode="after")
    def _of_operations_named(self) -> Self:
        for field in ("weights", "temperatures"):
            for name in getattr(self, field):
                if name not in self.operations:
                    raise ValueError(
                        f"`{field}` names {str(name)!r}, which is not among the operations: "
                        f"{', '.join(self.operations)}"
                    )
        if self.checkable.by == "program" and Operation.CHECKABLE not in self.operations:
            raise ValueError(
                "`checkable: {by: program}` has no effect: add `checkable` to the operations"
            )
        if not any(self.weights.get(one, 1.0) for one in self.operations):
            raise ValueError("all `weights` are 0, so no operation can be drawn")
        return self

    def needs(self) -> frozenset[Need]:
        """Replies that follow a schema, for the judge."""
        return super().needs() | ({Need.SCHEMA} if self.judge else set())

    def identity(self) -> dict[str, object]:
        """The prompt files in use."""
        used = [f"evolve/{name}" for name in self.operations]
        used += ["judge/gain"] * (self.judge is not None)
        used += [auto.TEMPLATE] * (self.improve is not None)
        return {f"prompt file {name}": shipped(name).digest for name in used}

    @property
    def learns(self) -> bool:
        """From the second round on: weights, instructions and duplicates depend on the shard."""
        return self.rounds > 1

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """Each prompt followed by its descendants, in order of rounds."""

        rounds = Rounds(self, table, place)
        await rounds.run()
        found = outcome(table, rounds.lineages, self.name, latest=self.keep == "latest")
        asked = [child for one in rounds.lineages for child in one.children if child.asked]
        return Outcome(
            found.kept,
            rounds.versions.added_to(found.rejected, self.name),
            tried=len(asked),
            survived=sum(child.reason is None for child in asked),
        )


class Rounds:
    """Runs the rounds of one shard in sequence, with all prompts of a round in parallel.

    All prompts wait between rounds. So weights, instructions and duplicates depend on the shard's
    replies and not on their order. Other shards keep the teacher busy meanwhile.
    """

    def __init__(self, settings: Evolve, table: pa.Table, place: Place) -> None:
        assert place.teacher is not None
        self.settings, self.place, self.teacher = settings, place, place.teacher
        self.rules = rules_of(settings.operations, settings.checkable, settings.temperatures)
        self.limits = PromptLimits(
            settings.max_words,
            settings.unchanged_ratio,
            settings.min_new_words,
            frozenset(settings.spare),
        )
        self.lineages = lineages(table)
        self.versions = Versions(settings.operations)
        self.yields: dict[Operation, Yield] = {}
        self._pool = PromptPool()
        for one in self.lineages:
            self._pool.add(one.row, one.prompt)
        self._done = 0

    async def run(self) -> None:
        """Runs all rounds, or stops early when a round gains nothing."""
        settings, first = self.settings, None
        for round_ in range(1, settings.rounds + 1):
            last = round_ == settings.rounds
            children = await together(
                self._attempt(one, round_, last=last) for one in self.lineages
            )
            for one, child in zip(self.lineages, children, strict=True):
                if child is not None:
                    self._add(one, child)
            found = count([child for child in children if child is not None])
            for operation, now in found.items():
                self.yields.setdefault(operation, Yield()).add(now)
            of_round = total(found)
            first = first or of_round
            if settings.adapt is not None and gains_nothing(of_round, first, settings.adapt):
                break
            if settings.improve is not None and not last:
                await self.versions.improve(
                    settings.improve,
                    self.teacher,
                    {one: now.survived / now.attempts for one, now in found.items()},
                    self._failures(round_),
                    round_=round_,
                    seed=self.place.seed,
                )
        self.place.done(len(self.lineages) - self._done)

    async def _attempt(self, lineage: Lineage, round_: int, *, last: bool) -> Descendant | None:
        """The lineage's judged child of this round; None if no operation fits the prompt."""
        parent, child = lineage.parent(), None
        drawn = self._drawn(parent, dice_of(self.place.seed, round_, lineage.id))
        if drawn is not None:
            operation, change = drawn
            if change.written is None:
                child = await self._asked(lineage, parent, operation, change, round_)
            else:
                child = self._written(lineage, parent, operation, change, change.written, round_)
        self._done += last
        self.place.done(int(last))
        return child

    def _drawn(self, parent: Parent, dice: Dice) -> tuple[Operation, Change] | None:
        """The operation of this round and its planned change to the parent."""
        here = domains(parent.prompt)
        changes = {
            operation: change
            for operation, rule in self.rules.items()
            if rule.domain in (None, *here) and (change := rule.change(parent, dice)) is not None
        }
        weights, adapt = self.settings.weights, self.settings.adapt
        among = tuple(one for one in self.settings.operations if one in changes)
        if not any(weights.get(one, 1.0) for one in among):
            return None
        sharpness = adapt.sharpness if adapt else 0.0
        operation = draw(among, weights, self.yields, sharpness, dice())
        return operation, changes[operation]

    async def _asked(
        self, lineage: Lineage, parent: Parent, operation: Operation, change: Change, round_: int
    ) -> Descendant:
        """The child that the teacher writes, judged by rules and, if set, by the teacher."""
        settings, seed, rule = self.settings, self.place.seed, self.rules[operation]
        version = self.versions[operation]
        values = {"prompt": parent.prompt, **change.values}
        own_seed = derive_seed(seed, "evolve", "sample", round_, lineage.id)
        sampling = rule.sampling(settings.sampling)
        reply = await version.template.ask(self.teacher, values, sampling, own_seed)
        found = eliminate(
            reply,
            parent.prompt,
            self.limits,
            instruction=version.template.system,
            rule=rule,
            change=change,
            answer=parent.reference.get("answer"),
            attached=parent.attached,
        )
        constraints = carried_over(
            parent.attached,
            change.adds,
            reply.text,
            parent.prompt,
            keeps_demands=rule.keeps_demands,
        )
        child = Descendant(
            parent=lineage.latest,
            prompt=reply.text,
            operation=operation,
            round=round_,
            step=step(
                "evolve",
                f"{operation}{version.label}",
                parent.id,
                self.teacher.identity,
                reply,
                round_=round_,
                template=version.template.digest,
            ),
            id=record_id(parent.id, "evolve", reply.key, reply.text, round_),
            raw=reply.raw,
            meta=write_attached(parent.meta, constraints),
            tokens=reply.tokens_in + reply.tokens_out,
            reason=found.reason,
            similarity=found.similarity,
            new_words=found.new_words,
        )
        if settings.judge is not None and child.reason is None:
            own_seed = derive_seed(seed, "evolve", "judge", round_, lineage.id)
            aim = auto.instruction(version.template)
            verdict, judgement = await settings.judge.ask(
                self.teacher, parent.prompt, reply.text, aim, own_seed
            )
            child.judged = verdict.key
            child.tokens += verdict.tokens_in + verdict.tokens_out
            if judgement is not None:
                child.gain, reason = float(judgement.gain), settings.judge.reason(judgement)
                spared = self.limits.spare | self.rules[operation].spare
                child.reason = None if reason in spared else reason
        self.place.judged(reply.text, child.reason, parent.prompt)
        return child

    def _written(
        self,
        lineage: Lineage,
        parent: Parent,
        operation: Operation,
        change: Change,
        prompt: str,
        round_: int,
    ) -> Descendant:
        """The child that the operation wrote itself, without the teacher; it cannot fail."""
        made = f"{operation}{change.label}"
        added = [change.adds] if change.adds is not None else []
        return Descendant(
            parent=lineage.latest,
            prompt=prompt,
            operation=operation,
            round=round_,
            step=EMPTY_STEP
            | {"stage": "evolve", "operation": made, "round": round_, "parent": parent.id},
            id=record_id(parent.id, "evolve", made, prompt, round_),
            raw="",
            meta=write_attached(parent.meta, [*parent.attached, *added]),
            tokens=0,
            reason=None,
            similarity=None,
            new_words=None,
            asked=False,
        )

    def _add(self, lineage: Lineage, child: Descendant) -> None:
        """Adds the child to its lineage, unless another lineage already had nearly the same."""
        spared = self.limits.spare | self.rules[child.operation].spare
        if child.reason is None and Reason.NEAR_DUPLICATE not in spared:
            shared = self._pool.shared(lineage.row, child.prompt, lineage.parent().prompt)
            if shared >= MOST_SHARED:
                child.reason = Reason.NEAR_DUPLICATE
        if child.reason is None:
            self._pool.add(lineage.row, child.prompt)
        lineage.add(child)

    def _failures(self, round_: int) -> Mapping[Operation, list[Failure]]:
        """This round's children that were eliminated for their content, in row order."""
        found: dict[Operation, list[Failure]] = {}
        for one in self.lineages:
            child = one.children[-1] if one.children else None
            if child and child.round == round_ and child.reason and child.prompt:
                parent = one.children[child.parent - 1].prompt if child.parent else one.prompt
                failure = Failure(child.id, parent, child.prompt, child.reason)
                found.setdefault(child.operation, []).append(failure)
        return found
