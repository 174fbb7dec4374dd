"""The families of a shard while they evolve: rounds one after the other, prompts together.

Between two rounds everybody waits, so that what is learnt there (weights, instructions, duplicates)
depends on the shard's replies alone and not on their order. Other shards keep the teacher busy.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from synth.batch import Batch
from synth.engine.stage import Place
from synth.generate import improve as auto
from synth.generate.eliminate import eliminate
from synth.generate.elimination.pool import Pool
from synth.generate.evolution import NAME, Evolution
from synth.generate.family import Child, Family
from synth.generate.improve import Improve, Version
from synth.generate.operations import Operation, fitting, trait
from synth.generate.reasons import Reason
from synth.generate.template import shipped
from synth.generate.trail import step
from synth.generate.yields import Adapt, Yield, count, draw, total
from synth.instructions.attached import Instruction, held, holding
from synth.instructions.carried import carried
from synth.instructions.draw import draw as draw_constraint
from synth.instructions.draw import followed_by
from synth.instructions.families import Drawn
from synth.randomness import derive_random, derive_seed
from synth.record import EMPTY_STEP, record_id, records_table, rejects
from synth.together import together

MOST_SHARED = 0.6  # of a child's word 4-grams that are new and another family's: a near-duplicate


class Grove:
    """All families of one shard, and what is known of the operations so far."""

    def __init__(self, settings: Evolution, table: pa.Table, place: Place) -> None:

        assert place.teacher is not None
        self.settings, self.place, self.teacher = settings, place, place.teacher
        self.limits = settings.limits()
        batch = Batch(table, "prompt")
        rows = zip(
            table["id"].to_pylist(),
            batch.texts,
            table["meta"].to_pylist(),
            batch.references,
            strict=True,
        )
        self.families: list[Family] = [
            Family(row, record, prompt, meta, reference)
            for row, (record, prompt, meta, reference) in enumerate(rows)
        ]
        self.yields: dict[Operation, Yield] = {}
        self.versions = {one: Version(0, shipped(f"evolve/{one}")) for one in settings.operations}
        self.rewritten: list[dict[str, Any]] = []
        self._pool: Pool = Pool()
        for family in self.families:
            self._pool.add(family.row, family.prompt)
        self._done = 0

    async def grow(self) -> None:
        """All rounds, or as many as gain something."""
        first: Yield | None = None
        for round_ in range(1, self.settings.rounds + 1):
            last = round_ == self.settings.rounds
            children = await together(
                self._attempt(family, round_, last=last) for family in self.families
            )
            for family, child in zip(self.families, children, strict=True):
                if child is not None:
                    self._settle(family, child)
            found = count(child for child in children if child is not None)
            for operation, one in found.items():
                self.yields.setdefault(operation, Yield()).add(one)
            now = total(found)
            first = first or now
            if self.settings.adapt is not None and _gains_nothing(now, first, self.settings.adapt):
                break
            if self.settings.improve is not None and not last:
                await self._improve(self.settings.improve, round_, found)
        self.place.done(len(self.families) - self._done)

    async def _attempt(self, family: Family, round_: int, *, last: bool) -> Child | None:
        """The family's child of this round, judged, or None where no operation fits its prompt."""
        settings, seed, parent = self.settings, self.place.seed, family.head_prompt
        before = held(family.head_meta)
        drawn = self._drawn(family, before, round_)
        if drawn is None:
            self._tell(last)
            return None
        operation, added = drawn
        if added is not None and self._by_program:
            self._tell(last)
            return self._attached(family, before, added, round_)
        version = self.versions[operation]
        sampling = settings.sampling
        if operation in settings.temperatures:
            sampling = sampling.model_copy(update={"temperature": settings.temperatures[operation]})
        values = {"prompt": parent}
        constraint = added.instruction if added is not None else None
        if added is not None:
            values["constraint"] = added.sentence
        own_seed = derive_seed(seed, "evolve", "sample", round_, family.id)
        reply = await version.template.ask(self.teacher, values, sampling, own_seed)
        finding = eliminate(
            reply,
            parent,
            self.limits,
            told=version.template.system,
            operation=operation,
            answer=family.head_reference.get("answer"),
            held=before,
            constraint=constraint,
        )
        keeps = trait(operation).keeps_demands
        now = carried(before, constraint, reply.text, parent, keeps_demands=keeps)
        child = Child(
            parent=family.head,
            prompt=reply.text,
            operation=operation,
            round=round_,
            step=step(
                NAME,
                f"{operation}{version.label}",
                family.head_id,
                self.teacher.identity,
                reply,
                round_=round_,
                template=version.template.digest,
            ),
            id=record_id(family.head_id, NAME, reply.key, reply.text, round_),
            raw=reply.raw,
            meta=holding(family.head_meta, now),
            tokens=reply.tokens_in + reply.tokens_out,
            reason=finding.reason,
            similarity=finding.similarity,
            new_words=finding.new_words,
        )
        if settings.judge is not None and child.reason is None:
            own_seed = derive_seed(seed, "evolve", "judge", round_, family.id)
            said, judgement = await settings.judge.ask(
                self.teacher, parent, reply.text, auto.instruction(version.template), own_seed
            )
            child.judged = said.key
            child.tokens += said.tokens_in + said.tokens_out
            if judgement is not None:
                child.gain, reason = float(judgement.gain), settings.judge.reason(judgement)
                child.reason = None if reason in self.limits.spare else reason
        self._tell(last)
        return child

    def _drawn(
        self, family: Family, before: Sequence[Instruction], round_: int
    ) -> tuple[Operation, Drawn | None] | None:
        """The operation of this round, with the constraint that it adds if it adds one."""
        settings, seed, constraint = self.settings, self.place.seed, None
        among = fitting(settings.operations, family.head_prompt)
        if Operation.CHECKABLE in among:
            chance = derive_random(seed, "evolve", "constraint", round_, family.id)
            constraint = self._constraint(family, before, chance)
            if constraint is None:
                among = tuple(one for one in among if one is not Operation.CHECKABLE)
        if not any(settings.weights.get(one, 1.0) for one in among):
            return None
        sharpness = settings.adapt.sharpness if settings.adapt else 0.0
        chance = derive_random(seed, "evolve", round_, family.id)
        operation = draw(among, settings.weights, self.yields, sharpness, chance)
        return operation, constraint if operation is Operation.CHECKABLE else None

    @property
    def _by_program(self) -> bool:
        return self.settings.checkable.by == "program"

    def _constraint(
        self, family: Family, before: Sequence[Instruction], chance: random.Random
    ) -> Drawn | None:
        """One for the family's prompt, or None where none suits it."""
        if not self._by_program:
            return draw_constraint(family.head_prompt, before, chance)
        reference = family.head_reference
        if reference.get("tests"):
            return None  # all of an answer without a code block is the program that is tested
        gold = reference.get("answer") or None
        return draw_constraint(family.head_prompt, before, chance, short=True, gold=gold)

    def _attached(
        self, family: Family, before: Sequence[Instruction], added: Drawn, round_: int
    ) -> Child:
        """The child whose constraint the program appended: nobody was asked, nothing can fail."""
        name, prompt = NAME, followed_by(family.head_prompt, added.sentence)
        operation = f"{Operation.CHECKABLE}/{added.instruction.id}"
        return Child(
            parent=family.head,
            prompt=prompt,
            operation=Operation.CHECKABLE,
            round=round_,
            step=EMPTY_STEP
            | {"stage": name, "operation": operation, "round": round_, "parent": family.head_id},
            id=record_id(family.head_id, name, operation, prompt, round_),
            raw="",
            meta=holding(family.head_meta, [*before, added.instruction]),
            tokens=0,
            reason=None,
            similarity=None,
            new_words=None,
            asked=False,
        )

    def _tell(self, last: bool) -> None:
        self._done += last
        self.place.done(int(last))

    def _settle(self, family: Family, child: Child) -> None:
        """Takes the child into its family, unless another family had nearly the same before."""
        parent = family.head_prompt
        # the same constraint may be added to many prompts, in the same words
        told_apart = child.operation is not Operation.CHECKABLE
        told_apart &= Reason.NEAR_DUPLICATE not in self.limits.spare
        if child.reason is None and told_apart:
            shared = self._pool.shared(family.row, child.prompt, parent)
            if shared >= MOST_SHARED:
                child.reason = Reason.NEAR_DUPLICATE
        if child.reason is None:
            self._pool.add(family.row, child.prompt)
        family.settle(child)

    async def _improve(self, settings: Improve, round_: int, found: dict[Operation, Yield]) -> None:
        """New instructions for the operations that failed often, from this round's failures."""

        async def one(operation: Operation) -> None:
            now = found[operation]
            version = auto.settled(self.versions[operation], now.survived / now.attempts)
            self.versions[operation] = version
            failed = self._failures(operation, round_)
            often = now.survived / now.attempts <= settings.max_survival
            if not often or len(failed) < settings.failures:
                return
            seed = derive_seed(
                self.place.seed, "evolve", "improve", round_, operation, failed[0][0]
            )
            reply, new = await auto.improved(
                settings,
                self.teacher,
                version,
                [failure for _, failure in failed],
                number=round_,
                seed=seed,
            )
            if new is not None:
                self.versions[operation] = new
            self.rewritten.append(
                auto.row(operation, new, failed[0][0], self.teacher.identity, reply, round_)
            )

        await together(one(operation) for operation in sorted(found))
        self.rewritten.sort(
            key=lambda row: (row["trail"][0]["round"], row["trail"][0]["operation"])
        )

    def _failures(self, operation: Operation, round_: int) -> list[tuple[str, auto.Failure]]:
        """The children of this round that were eliminated by what they say, in row order."""
        found = []
        for family in self.families:
            child = family.children[-1] if family.children else None
            if child and child.round == round_ and child.operation is operation and child.reason:
                parent = family.children[child.parent - 1].prompt if child.parent else family.prompt
                if child.prompt:
                    found.append((child.id, auto.Failure(parent, child.prompt, child.reason)))
        return found

    def with_versions(self, rejected: pa.Table, by: str) -> pa.Table:
        """The rejected rows, and behind them the instructions that the teacher wrote."""

        if not self.rewritten:
            return rejected
        rows = records_table(self.rewritten)
        reason = [
            "instruction_rewritten" if row["text"] else "no_instruction" for row in self.rewritten
        ]
        return pa.concat_tables([rejected, rejects(rows, reason=reason, by=by)])


def _gains_nothing(now: Yield, first: Yield, adapt: Adapt) -> bool:
    """Whether a round gained nothing, or its duplicates rose."""
    if not now.survived or (now.judged and now.judged_gain <= 0):
        return True
    rise = now.duplicates / now.attempts - first.duplicates / first.attempts
    return rise > adapt.max_duplicate_rise
