"""Invent: adds new prompts, made from examples, as a persona, or from an empty chat template.

`examples` is Self-Instruct (arXiv:2212.10560, section 2.2): the teacher sees a few prompts of the
shard and writes another; prompts that are too like the pool (ROUGE-L above 0.7) or have an odd
length are rejected. `persona` is Persona Hub (arXiv:2406.20094, section 3): the teacher names a
person, unless the recipe does, and asks as that person. `template` is Magpie (arXiv:2406.08464,
section 2): an aligned model that gets its chat template up to the user's turn, and nothing else,
writes that turn. The pool is the shard's; `dedup` compares across shards.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Self

import pyarrow as pa
from pydantic import Field, model_validator

from synth.batch import Batch
from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate.screen import PromptLimits, screen
from synth.generate.template import shipped
from synth.generate.trail import NewPrompt, after_parents, split_new, step
from synth.kind import Kind
from synth.randomness import derive_random, derive_seed
from synth.record import RECORD, Turn, record_id
from synth.teacher.protocol import Need, Reply, Request, Sampling
from synth.text.rouge import RougePool
from synth.text.words import words_of
from synth.together import together

PERSONA_LINE = "PERSONA:"
TOO_LIKE = "too_like_the_pool"


class Way(StrEnum):
    """How a prompt may be invented."""

    EXAMPLES = "examples"
    """Written after a few example prompts of the shard. Source: Self-Instruct, arXiv:2212.10560."""
    PERSONA = "persona"
    """As a particular person would ask. Source: Persona Hub, arXiv:2406.20094."""
    TEMPLATE = "template"
    """The model continues `prefix`. Source: Magpie, arXiv:2406.08464."""


class Invent(AskingStage):
    """Adds new prompts to the given ones."""

    name = "invent"
    takes = frozenset({Kind.PROMPTS})
    asks_teacher = True

    ways: Annotated[tuple[Way, ...], Field(min_length=1)] = (Way.EXAMPLES,)
    """The ways to draw from, one per new prompt."""
    per_prompt: Annotated[int, Field(ge=1, le=64)] = 1
    """New prompts per given prompt."""
    examples: Annotated[int, Field(ge=1, le=12)] = 4
    """Prompts of the shard that the teacher sees, the row's own among them."""
    personas: tuple[str, ...] = ()
    """Personas to draw from, a few words each; default: the teacher invents them."""
    prefix: str | None = None
    """For `template`: the model's chat template up to where the user's text begins, special tokens
    included, such as `"<|im_start|>user\\n"`; a system turn in it steers what is asked. The server
    must have the raw `/v1/completions`."""
    stop: tuple[str, ...] = ("<|im_end|>", "<|eot_id|>", "<|end|>", "</s>", "[/INST]")
    """For `template`: where the user's turn ends, for models whose end of turn is not their end of
    text."""
    max_rouge: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Rejects prompts with a higher similarity to one in the pool (ROUGE-L, 0 to 1)."""
    min_words: Annotated[int, Field(ge=1)] = 4
    """Rejects shorter prompts; Self-Instruct demands more than 3 words."""
    max_words: Annotated[int, Field(ge=5)] = 150
    """Rejects longer prompts."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=512)

    @model_validator(mode="after")
    def _has_prefix(self) -> Self:
        if (Way.TEMPLATE in self.ways) != (self.prefix is not None):
            raise ValueError(
                "`prefix` goes with the way `template`: give both, such as `ways: [template], "
                'prefix: "<|im_start|>user\\n"` for a ChatML model, or neither'
            )
        return self

    def needs(self) -> frozenset[Need]:
        """Raw completions for `template`, which alone has no system turn."""
        ways = set(self.ways)
        raw = {Need.RAW} if Way.TEMPLATE in ways else set()
        return frozenset(raw | ({Need.SYSTEM} if ways - {Way.TEMPLATE} else set()))

    def identity(self) -> dict[str, object]:
        """The prompt files in use."""
        used = [f"invent/{way}" for way in self.ways if way is not Way.TEMPLATE]
        return {f"prompt file {name}": shipped(name).digest for name in used}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """Each prompt followed by those invented for it."""

        prompts = Batch(table, "prompt").texts
        ids: list[str] = table["id"].to_pylist()
        each = [(row, sample) for row in range(len(ids)) for sample in range(self.per_prompt)]
        made = await together(self._ask(row, sample, ids, prompts, place) for row, sample in each)
        self._screen(made, prompts)
        nothing = pa.nulls(len(made), RECORD.field("reference").type)
        stay, left = split_new(table, made, self.name, reference=nothing)
        rows = [one.row for one in made if one.reason is None]
        return Outcome(after_parents(table, stay, rows), left)

    async def _ask(
        self, row: int, sample: int, ids: list[str], prompts: list[str], place: Place
    ) -> NewPrompt:

        teacher = place.teacher
        assert teacher is not None
        chance = derive_random(place.seed, "invent", ids[row], sample)
        way = chance.choice(self.ways)
        seed = derive_seed(place.seed, "invent", "sample", ids[row], sample)
        persona = chance.choice(self.personas) if self.personas and way is Way.PERSONA else ""
        if way is Way.TEMPLATE:
            sampling = self.sampling.model_copy(update={"stop": self.stop or None})
            reply = await teacher.reply(Request([], sampling, seed, prompt=self.prefix))
        else:
            others = [one for one in range(len(prompts)) if one != row]
            shown = [row, *chance.sample(others, min(self.examples - 1, len(others)))]
            chance.shuffle(shown)
            values = {
                "examples": "\n".join(f"<example>\n{prompts[one]}\n</example>" for one in shown),
                "persona": persona,
            }
            reply = await shipped(f"invent/{way}").ask(teacher, values, self.sampling, seed)
        if sample == self.per_prompt - 1:
            place.done(1)
        own_persona, prompt = _parts(reply, way)
        reason = self._reason(reply, prompt, way, prompts[row])
        place.judged(prompt, reason, prompts[row])
        return NewPrompt(
            row,
            reply,
            [Turn(role="user", content=prompt)],
            step(
                self.name,
                way,
                ids[row],
                teacher.identity,
                reply,
                sample=sample,
                template="" if way is Way.TEMPLATE else shipped(f"invent/{way}").digest,
            ),
            record_id(ids[row], self.name, reply.key, reply.text, sample),
            reason,
            note=own_persona or persona,
        )

    def _reason(self, reply: Reply, prompt: str, way: str, beside: str) -> str | None:
        """The reason to reject the prompt whatever the others are, if any."""
        if reply.fault is None and not prompt:
            return "persona_missing"
        # a prompt written from an empty template may be in any language
        alone = way == Way.TEMPLATE
        reason = screen(
            replace(reply, text=prompt),
            PromptLimits(self.max_words),
            instruction="" if alone else shipped(f"invent/{way}").system,
            beside="" if alone else beside,
        )
        few = reason is None and len(words_of(prompt)) < self.min_words
        return "too_few_words" if few else reason

    def _screen(self, made: list[NewPrompt], prompts: list[str]) -> None:
        """Adds the likeness of each prompt to those before it, in order; one that is kept joins
        the pool."""

        pool = RougePool()
        for prompt in prompts:
            pool.add(prompt)
        for one in made:
            text = one.turns[-1]["content"]
            one.name = "rouge_l"
            if one.reply.fault is None and text:
                one.score = round(pool.nearest(text), 4)
            if one.reason is None and (one.score or 0) > self.max_rouge:
                one.reason = TOO_LIKE
            if one.reason is None:
                pool.add(text)


def _parts(reply: Reply, way: Way) -> tuple[str, str]:
    """The persona and the prompt of a reply; "" if a persona's reply lacks that line."""
    if way is not Way.PERSONA:
        return "", reply.text
    first, _, rest = reply.text.partition("\n")
    if not first.strip("*_# ").startswith(PERSONA_LINE):
        return "", ""
    return first.strip("*_# ").removeprefix(PERSONA_LINE).strip("*_ "), rest.strip()
