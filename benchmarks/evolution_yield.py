"""Tokens per evolved prompt that survives: weights that adapt, over weights that stay equal.

The rehearsal teacher plants its flaws more often for some operations than for others, at rates that
are made up here, so the ratio says what adapting makes of such differences and not how large they
are for a model. Same prompts, same seeds; tokens are those of the whole stage, both ways counted.
How evenly operations are used is told beside it, since that is what adapting gives up.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import result, table
from seeds.read import Read
from synth.engine.line import open_workshop, run_line
from synth.engine.plan import Plan
from synth.generate.evolve import Adapt, Evolve
from synth.store.shards import read_shard
from synth.teacher.config import TeacherConfig

STARTER = Path(__file__).parents[1] / "seeds/starter/prompts.jsonl"
STRAIN = {
    "complicate": 2.0,
    "reason": 1.5,
    "constrain": 1.0,
    "deepen": 0.75,
    "concretize": 0.5,
    "broaden": 0.25,
}
"""How many times as often an operation's replies are flawed: 12 to 96 % of them."""


@dataclass(frozen=True, slots=True)
class Grown:
    """What a run came to."""

    tokens: int
    survived: int
    attempts: Counter[str]

    @property
    def tokens_each(self) -> float:
        """Tokens per child that survived."""
        return self.tokens / max(1, self.survived)

    @property
    def operations(self) -> float:
        """The effective number of operations: exp of the entropy of their shares."""
        total = self.attempts.total()
        return math.exp(-sum(n / total * math.log(n / total) for n in self.attempts.values()))


async def grow(
    seed: int, rounds: int, adapt: Adapt | None, strain: Mapping[str, float] = STRAIN
) -> Grown:
    """The starter prompts, evolved for some rounds."""
    prompt_delivery = {"overloaded": 0, "slow": 0}  # they cost time, and no tokens
    teacher = TeacherConfig.model_validate(
        {"rehearsal": {"seed": seed, "strain": strain, "defects": prompt_delivery}}
    )
    stages = (Read(prompts=str(STARTER)), Evolve(rounds=rounds, adapt=adapt))
    plan = Plan("evolution-yield", seed, 1000, teacher, stages)
    with tempfile.TemporaryDirectory() as folder:
        async with open_workshop(plan, Path(folder)) as shop:
            _, evolved = await run_line(shop)
        attempts: Counter[str] = Counter()
        survived = 0
        for shard in evolved.shards:
            for file in (shard.kept, shard.rejected):
                trails = read_shard(Path(folder) / "01-evolve" / file.path)["trail"].to_pylist()
                made = [trail[-1]["operation"] for trail in trails if trail[-1]["round"]]
                attempts.update(made)
                survived += len(made) if file is shard.kept else 0
        tokens = sum(shard.tokens_in + shard.tokens_out for shard in evolved.shards)
    return Grown(tokens, survived, attempts)


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3, help="seeds 1 to so many")
    arguments = parser.parse_args()
    ways: dict[str, Adapt | None] = {
        "uniform": None,
        "adaptive, sharpness 2": Adapt(sharpness=2),
        "adaptive, sharpness 4 (default)": Adapt(),
        "adaptive, sharpness 100 (Thompson)": Adapt(sharpness=100),
    }
    rows, each, used = [], {}, {}
    for way, adapt in ways.items():
        grown = [
            asyncio.run(grow(seed, arguments.rounds, adapt))
            for seed in range(1, arguments.runs + 1)
        ]
        each[way] = statistics.mean(one.tokens_each for one in grown)
        used[way] = statistics.mean(one.operations for one in grown)
        share = statistics.mean(one.survived / one.attempts.total() for one in grown)
        rows.append(
            (
                way,
                f"{each[way]:.0f}",
                f"{each[way] / each['uniform']:.3f}",
                f"{share:.1%}",
                f"{used[way]:.2f}",
            )
        )
    table(
        ("weights", "tokens per survivor", "over uniform", "survive", "effective operations"), rows
    )
    adaptive = "adaptive, sharpness 4 (default)"
    even = [asyncio.run(grow(1, arguments.rounds, adapt, {})) for adapt in (None, Adapt())]
    print(f"where all operations fail alike: {even[1].tokens_each / even[0].tokens_each:.3f}")
    result(
        "evolution_yield",
        each[adaptive] / each["uniform"],
        "tokens per surviving prompt, over uniform weights",
        "lower",
        1.0,
        {"uniform": each["uniform"]},
        adaptive=each[adaptive],
        operations=used[adaptive],
        rounds=arguments.rounds,
        even=even[1].tokens_each / even[0].tokens_each,
    )


if __name__ == "__main__":
    main()
