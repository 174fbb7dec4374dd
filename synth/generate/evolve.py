"""Evolve: the teacher makes prompts harder (depth) or rarer (breadth), over several rounds.

After Evol-Instruct (arXiv:2304.12244, sections 3.1 and 3.2): an operation is drawn per prompt and
round, the child takes its parent's place when it survives, and a child that fails is eliminated
with its reason while its parent stays in the pool. Ours draws from the run's seed and the record's
id, and keeps what was eliminated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.generate.template import shipped
from synth.kind import Kind
from synth.randomness import derive_random, derive_seed
from synth.teacher.protocol import Request, Sampling, Turn

if TYPE_CHECKING:
    import pyarrow as pa


class Operation(StrEnum):
    """How a prompt may be evolved. Source: arXiv:2304.12244, section 3.2 and appendix A-E."""

    CONSTRAIN = "constrain"
    """Adds one more requirement."""
    DEEPEN = "deepen"
    """Asks further into what the prompt asks about."""
    CONCRETIZE = "concretize"
    """Puts specific concepts in the place of general ones."""
    REASON = "reason"
    """Makes an answer take several steps of reasoning."""
    COMPLICATE = "complicate"
    """Adds data to work on: a table, code, a formula."""
    BROADEN = "broaden"
    """Breadth: a new, rarer prompt of the same domain."""


EVOL_INSTRUCT: Final = (
    Operation.CONSTRAIN,
    Operation.DEEPEN,
    Operation.CONCRETIZE,
    Operation.REASON,
    Operation.COMPLICATE,
    Operation.BROADEN,
)
"""The paper's six, for recipes that name none. A newer operation is not among them: a recipe opts
in by its name, and one that was written before draws what it always drew."""


@dataclass(frozen=True, slots=True)
class _Child:
    """One attempt. `parent` counts within the row: 0 is the row itself, n its n-th child."""

    row: int
    parent: int
    prompt: str
    step: dict[str, Any]
    id: str
    reason: str | None
    score: float | None
    raw: str


class Evolve(ShardStage):
    """Evolves each prompt for some rounds."""

    name = "evolve"
    takes = frozenset({Kind.PROMPTS})
    asks_teacher = True

    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    """How often each prompt is evolved; 2 to 4 in the literature."""
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = EVOL_INSTRUCT
    """One is drawn per prompt and round; the default stays as it is when others are added."""
    keep: Literal["all", "latest"] = "all"
    """All generations of a prompt go on, or only the last one that survived."""
    max_words: Annotated[int, Field(ge=5)] = 400
    """A longer child is eliminated: prompts that grow without end are not harder."""
    unchanged_ratio: Annotated[float, Field(ge=50, le=100)] = 95.0
    """A child at least this similar to its parent (rapidfuzz ratio, 0 to 100) is eliminated, if
    less than 40 characters differ: a long prompt with one more demand is not the same prompt."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1024)

    def identity(self) -> object:
        """The prompt files in use."""
        return [shipped(f"evolve/{name}").digest for name in self.operations]

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """Each prompt followed by its descendants, in order of rounds."""
        from synth.batch import Batch
        from synth.generate.rows import together

        prompts = Batch(table, "prompt").texts
        ids: list[str] = table["id"].to_pylist()
        families = await together(
            self._family(row, ids[row], prompts[row], place) for row in range(len(ids))
        )
        return self._gather(table, families)

    async def _family(self, row: int, record: str, prompt: str, place: Place) -> list[_Child]:
        """All attempts on one prompt, survivors and failures, in order of rounds."""
        from synth.generate.eliminate import eliminate
        from synth.generate.rows import step
        from synth.record import record_id

        teacher = place.teacher
        assert teacher is not None
        children: list[_Child] = []
        parent, parent_id, parent_prompt = 0, record, prompt
        for round_ in range(1, self.rounds + 1):
            draw = derive_random(place.seed, "evolve", round_, record)
            operation = draw.choice(self.operations)
            template = shipped(f"evolve/{operation}")
            seed = derive_seed(place.seed, "evolve", "sample", round_, record)
            request = Request(template.turns({"prompt": parent_prompt}), self.sampling, seed)
            reply = await teacher.reply(request)
            reason, score = eliminate(
                reply, parent_prompt, max_words=self.max_words, unchanged_ratio=self.unchanged_ratio
            )
            child = _Child(
                row,
                parent,
                reply.text,
                step(
                    self.name,
                    operation,
                    parent_id,
                    teacher.identity,
                    reply,
                    round_=round_,
                    template=template.digest,
                ),
                record_id(parent_id, self.name, reply.key, reply.text, round_),
                reason,
                score,
                reply.raw,
            )
            children.append(child)
            if reason is None:
                parent, parent_id, parent_prompt = len(children), child.id, child.prompt
        place.done(1)
        return children

    def _gather(self, table: pa.Table, families: list[list[_Child]]) -> Outcome:
        """Families as tables. Generation after generation, because a child's trail extends its
        parent's, which may itself be a child."""
        import numpy as np
        import pyarrow as pa

        from synth.record import RECORD, derive, rejects

        pool = table.select(RECORD.names)
        contexts: list[list[Turn]] = table["context"].to_pylist()
        place_of = {(row, 0): row for row in range(len(families))}  # (row, n-th child) -> pool row
        order = [(row, 0) for row in range(len(families))]
        made: list[_Child | None] = [None] * len(families)
        for round_ in range(self.rounds):
            generation = [family[round_] for family in families]
            if not generation:
                break
            parents = [place_of[child.row, child.parent] for child in generation]
            new_contexts = [
                [*contexts[child.row][:-1], Turn(role="user", content=child.prompt)]
                for child in generation
            ]
            born = derive(
                pool,
                parents,
                [child.step for child in generation],
                [child.id for child in generation],
                context=pa.array(new_contexts, RECORD.field("context").type),
                # the parent's gold answer and tests are not the child's: it asks something else
                reference=pa.nulls(len(generation), RECORD.field("reference").type),
            )
            for offset, child in enumerate(generation):
                place_of[child.row, round_ + 1] = len(pool) + offset
            order += [(child.row, round_ + 1) for child in generation]
            made += generation
            pool = pa.concat_tables([pool, born])

        superseded = set()
        if self.keep == "latest":
            superseded = {
                place_of[child.row, child.parent] for child in made if child and not child.reason
            }
        reasons = [
            (child.reason if child else None) or ("superseded" if index in superseded else None)
            for index, child in enumerate(made)
        ]
        family_order = np.array(sorted(range(len(order)), key=order.__getitem__), np.int64)
        kept = [int(i) for i in family_order if reasons[i] is None]
        left = [int(i) for i in family_order if reasons[i] is not None]
        attempts = [made[i] for i in left]
        return Outcome(
            pool.take(pa.array(kept, pa.int64())),
            rejects(
                pool.take(pa.array(left, pa.int64())),
                reason=[reasons[i] or "" for i in left],
                by=self.name,
                score=[child.score if child else None for child in attempts],
                raw=[child.raw if child and child.reason else None for child in attempts],
            ),
        )
