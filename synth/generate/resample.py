"""The `resample` stage: more samples for the prompts on which the first ones disagree.

distill: {samples: 4}
verify: {checks: [maths], reject: []}
resample: {samples: 12}               only where some of the four pass and some fail
verify: {checks: [maths], reject: []}
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from synth.engine.stage import Outcome, Place
from synth.generate.distill import ANSWER, Answering, Prompt
from synth.generate.prompting import Formats
from synth.kind import Kind
from synth.record import RECORD, last_step, last_user_text, plain_turns
from synth.samples import PASS_RATE, groups, value_of

Share = Annotated[float, Field(ge=0, le=1)]


class Resample(Answering):
    """Asks again for prompts whose pass rate is neither 0 nor 1.

    If all samples of a prompt are right, more of them teach little. If none is right, the prompt is
    probably too hard or wrong. Source: difficulty-aware sampling as in DART-Math
    (arXiv:2407.13690), which asks until enough answers are right. Ours asks once more.
    """

    name: ClassVar[str] = "resample"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.ANSWERS})

    above: Share = 0.0
    """Asks again only for prompts with a higher pass rate than this."""
    below: Share = 1.0
    """Asks again only for prompts with a lower pass rate than this."""
    formats: Formats | None = None
    """The unreleased formats of `distill`, written as there; each prompt gets the same one again.
    Leave out released formats, which are already part of the prompt."""

    @model_validator(mode="after")
    def _bounds(self) -> Resample:
        if self.above >= self.below:
            raise ValueError(f"no pass rate is above {self.above:g} and below {self.below:g}")
        if self.formats is not None and self.formats.released:
            raise ValueError("released `formats` are part of the prompts already: leave them out")
        return self

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """All that came, and behind each prompt's samples the new ones."""

        scores: list[list[dict[str, Any]]] = table["scores"].to_pylist()
        torn = []
        for rows in groups(table):
            rate = value_of(scores[rows[0]], PASS_RATE)
            is_torn = rate is not None and self.above < rate < self.below
            place.done(len(rows) - is_torn)  # its last one is done once it is answered
            if is_torn:
                torn.append(rows)
        table = table.select(RECORD.names)
        prompts, asked = _prompts(table, torn, self.formats, place.seed)
        outcome = await self.answers(prompts, asked, place)
        # a new sample follows the last old one of its prompt
        last = {prompt.id: rows[-1] for prompt, rows in zip(asked, torn, strict=True)}
        places = [last[prompt] for prompt in last_step(outcome.kept, "parent")]
        order = np.argsort(np.array([*range(len(table)), *places], np.int64), kind="stable")
        whole = pa.concat_tables([table, outcome.kept])
        return Outcome(whole.take(pa.array(order, pa.int64())), outcome.rejected)


def _prompts(
    table: pa.Table, found: list[list[int]], formats: Formats | None, seed: int
) -> tuple[pa.Table, list[Prompt]]:
    """The prompts that these rows answer, as they were before they were answered."""

    firsts = table.take(pa.array([rows[0] for rows in found], pa.int64()))
    ids, trails, prompts = [], [], []
    names = ("id", "context", "reference", "trail", "tools")
    given = (firsts[name].to_pylist() for name in names)
    for row, (id_, turns, reference, trail, tools) in enumerate(zip(*given, strict=True)):
        context = plain_turns(turns)
        answer = next((one for one in reversed(trail) if one["operation"] == ANSWER), None)
        prompt = answer["parent"] if answer else id_
        samples = [_sample(one) for one in table["trail"].take(pa.array(found[row])).to_pylist()]
        ids.append(prompt)
        # the steps that led to the prompt; knowledge about it is asked for again
        at = next((n for n, one in enumerate(trail) if one["parent"] == prompt), len(trail))
        trails.append(trail[:at] if answer else trail)
        user = last_user_text(context)
        asked = formats.sentence(seed, prompt, user, reference) if formats else ""
        prompts.append(Prompt(row, prompt, context, max(samples) + 1, asked, tools))
    empty = pa.nulls(len(firsts), pa.string())
    columns = {
        "id": pa.array(ids, pa.string()),
        "text": pa.array([""] * len(firsts), pa.string()),
        "reasoning": empty,
        "tool_calls": pa.nulls(len(firsts), RECORD.field("tool_calls").type),
        "trail": pa.array(trails, RECORD.field("trail").type),
    }
    arrays = [columns.get(name, firsts[name]) for name in RECORD.names]
    return pa.Table.from_arrays(arrays, schema=RECORD), prompts


def _sample(trail: list[dict[str, Any]]) -> int:
    """The number of a row's sample."""
    return next((int(one["sample"]) for one in reversed(trail) if one["operation"] == ANSWER), 0)
