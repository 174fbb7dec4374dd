"""One choice of a completion: composed, flawed at the configured rates, cut to its token limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from synth.teacher.rehearsal.config import EVOLVED_DEFECTS, REPLY_DEFECTS, Defects, Rehearsal
from synth.teacher.rehearsal.defects import Case, Flawed, plant
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.flaws import FLAWS, plant_flaw
from synth.teacher.rehearsal.replies import compose, read_job
from synth.teacher.rehearsal.text import count_tokens, cut_tokens
from synth.teacher.rehearsal.wire import Asked


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice as it is sent. `tokens` counts its reasoning and its content."""

    index: int
    content: str | None
    reasoning: str | None
    finish_reason: str
    defect: str | None
    tokens: int
    logprobs: tuple[float, ...] | None = None
    """One for each token, where they are asked for."""

    def body(self) -> dict[str, Any]:
        """The choice in the completion's JSON, with its label."""
        return {
            "index": self.index,
            "message": {
                "role": "assistant",
                "content": self.content,
                "reasoning": self.reasoning,
            },
            "logprobs": self.logprobs and {"content": [_told(value) for value in self.logprobs]},
            "finish_reason": self.finish_reason,
            "rehearsal": {"defect": self.defect},
        }


def sampling_key(seed: int, asked: Asked) -> bytes:
    """What all chance in a reply comes from: the server's seed and the whole request.

    At temperature 0 its own seed and n are left out, since a greedy reply depends on neither.
    """
    request = asked.greedy_digest if asked.greedy else asked.digest
    return sha256(b"%d\0" % seed + request).digest()


def make_choice(config: Rehearsal, asked: Asked, key: bytes, index: int) -> Choice:
    """The choice with that index: the same key and index, the same choice."""
    dice = Dice(key + b"/%d" % (0 if asked.greedy else index))
    job = read_job(asked.turns, asked.schema)
    draft = compose(job, dice.fork("reply"))
    kinds = EVOLVED_DEFECTS if job.task == "evolve" else REPLY_DEFECTS
    strain = config.strain.get(job.name, 1.0)
    flawed = Flawed(draft.text, draft.reasoning)
    defect = drawn_defect(config.defects, dice, kinds, strain)
    if defect is not None:
        case = Case(job, draft, dice.fork("defect"), config.seed)
        planted = plant_flaw(defect, case) if defect in FLAWS else plant(defect, case)
        flawed, defect = (flawed, None) if planted is None else (planted, defect)
    choice = _cut(flawed, defect, asked.max_tokens, index)
    return replace(choice, logprobs=_logprobs(choice, dice)) if asked.logprobs else choice


def _logprobs(choice: Choice, dice: Dice) -> tuple[float, ...]:
    """Made up: mostly close to 0, as those of a model that is sure of itself."""
    rolls = dice.fork("logprobs")
    return tuple(round(math.log(1 - rolls.roll() ** 3), 4) for _ in range(choice.tokens))


def _told(logprob: float) -> dict[str, Any]:
    # no token has a text here: words are counted, and not cut into tokens
    return {"token": "", "logprob": logprob, "bytes": None, "top_logprobs": []}


def drawn_defect(
    defects: Defects, dice: Dice, kinds: tuple[str, ...] = REPLY_DEFECTS, strain: float = 1.0
) -> str | None:
    """The kind drawn for this reply, each with its rate times `strain`, or None."""
    roll = dice.roll()
    for kind, threshold in _thresholds(defects, kinds, strain):
        if roll < threshold:
            return kind
    return None


@lru_cache(maxsize=64)
def _thresholds(
    defects: Defects, kinds: tuple[str, ...], strain: float
) -> tuple[tuple[str, float], ...]:
    """Where each kind's share of [0, 1) ends, without the kinds that are off. Strained beyond 1,
    they share it in proportion."""
    rates = [(kind, defects.rate(kind) * strain) for kind in kinds if defects.rate(kind) > 0]
    whole = max(1.0, sum(rate for _, rate in rates)) if strain != 1 else 1.0
    ends, end = [], 0.0
    for kind, rate in rates:
        end += rate / whole
        ends.append((kind, end))
    return tuple(ends)


def _cut(flawed: Flawed, defect: str | None, max_tokens: int, index: int) -> Choice:
    """The choice within its limit, which counts the reasoning first, as vLLM does.

    A reply that the limit cuts is labelled `truncation`, whatever was planted: that is what it is,
    and what was planted further on is gone.
    """
    thought, said = count_tokens(flawed.reasoning or ""), count_tokens(flawed.text or "")
    if thought + said <= max_tokens:
        return Choice(
            index, flawed.text, flawed.reasoning, flawed.finish_reason, defect, thought + said
        )
    reasoning = flawed.reasoning and cut_tokens(flawed.reasoning, max_tokens)
    thought = count_tokens(reasoning or "")
    text = cut_tokens(flawed.text or "", max_tokens - thought) or None
    tokens = thought + count_tokens(text or "")
    return Choice(index, text, reasoning, "length", "truncation", tokens)
