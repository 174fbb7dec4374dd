"""Evolve: the teacher makes prompts harder (depth) or rarer (breadth), over several rounds.

After Evol-Instruct (arXiv:2304.12244, sections 3.1 to 3.3): an operation is drawn per prompt and
round, the child takes its parent's place when it survives, and a child that fails is eliminated
with its reason while its parent stays in the pool. Ours draws from the run's seed and the record's
id, keeps what was eliminated, and learns between the rounds of a shard what works.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from synth.engine.stage import Outcome, Place, ShardStage
from synth.generate import improve as auto
from synth.generate.evolution import NAME, Evolution
from synth.generate.family import outcome
from synth.generate.grove import Grove
from synth.generate.template import shipped
from synth.kind import Kind
from synth.store.manifest import Manifest
from synth.teacher.protocol import Need

FEWEST_TRIED = 50  # of fewer, a small share may be chance
NOT_FAILED = frozenset({"superseded", "instruction_rewritten", "no_instruction"})


class Evolve(Evolution, ShardStage):
    """Evolves each prompt for some rounds."""

    name = NAME
    takes = frozenset({Kind.PROMPTS})
    asks_teacher = True
    not_in_fingerprint = ("min_survivors",)

    def needs(self) -> frozenset[Need]:
        """Replies that follow a schema, for the judge."""
        return super().needs() | ({Need.SCHEMA} if self.judge else set())

    def identity(self) -> object:
        """The prompt files in use."""
        used = [f"evolve/{name}" for name in self.operations]
        used += ["judge/gain"] * (self.judge is not None)
        used += [auto.TEMPLATE] * (self.improve is not None)
        return [shipped(name).digest for name in used]

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """Each prompt followed by its descendants, in order of rounds."""

        grove = Grove(self, table, place)
        await grove.grow()
        found = outcome(table, grove.families, self.name, latest=self.keep == "latest")
        asked = [one for family in grove.families for one in family.children if one.asked]
        return Outcome(
            found.kept,
            grove.with_versions(found.rejected, self.name),
            tried=len(asked),
            survived=sum(one.reason is None for one in asked),
        )

    def warnings(self, manifest: Manifest) -> list[str]:
        """One where too few children survived."""
        tried, survived = manifest.tried, manifest.survived
        if self.min_survivors is None or tried < FEWEST_TRIED:
            return []
        if survived >= self.min_survivors * tried:
            return []
        reasons = Counter({r: n for r, n in manifest.reasons.items() if r not in NOT_FAILED})
        top = ", ".join(f"{reason} {n:,}" for reason, n in reasons.most_common(3))
        warning = (
            f"WARNING: {manifest.index:02d}-{self.name}: only {survived:,} of {tried:,} evolved "
            f"prompts survived ({survived / tried:.0%}): {top}. Most rows that go on are seeds as "
            "they came. Use a more capable teacher, or let the program attach constraints: "
            "`operations: [checkable]`, `checkable: {by: program}`."
        )
        return [warning]
