"""What a recipe may say about the rehearsal teacher: its seed, its latency, its defects.

Imports pydantic and nothing heavier: it is read whenever a recipe is checked.

    teacher: {rehearsal: {seed: 7, latency_ms: 20, defects: {refusal: 0.1, overloaded: 0}}}
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSION = "rehearsal-4"
"""Changed whenever the same request would be answered otherwise: replies are journaled under it."""

Rate = Annotated[float, Field(ge=0, le=1)]

REPLY_DEFECTS = (
    "refusal",
    "truncation",
    "wrong_answer",
    "preamble",
    "copy",
    "near_duplicate",
    "repetition",
    "malformed",
    "empty",
    "ungrounded",
    "contradicted",
    "omitted",
    "stock_opening",
    "constraint_broken",
)
"""Defects of what is said, in the order in which their shares are laid out; one a reply at most."""

ANSWER_DEFECTS = ("constraint_broken",)
"""Those of them that only an answer can have."""

REWRITE_DEFECTS = ("ungrounded", "contradicted", "omitted", "stock_opening")
"""Those of them that only a rewrite can have."""

PROMPT_DEFECTS = (
    "no_gain",
    "unanswerable",
    "answer_leak",
    "language_drift",
    "lost_constraint",
    "overgrown",
)
"""Defects of evolved prompts alone, laid out behind those of any reply."""

EVOLVED_DEFECTS = (
    *(kind for kind in REPLY_DEFECTS if kind not in (*REWRITE_DEFECTS, *ANSWER_DEFECTS)),
    *PROMPT_DEFECTS,
)
"""What an evolved prompt may have, in the order in which their shares are laid out."""

TRANSPORT_DEFECTS = ("overloaded", "slow")
"""Defects of how a reply is delivered; each is drawn on its own, whatever the reply."""


class Defects(BaseModel):
    """How often each defect is planted: the share, 0 to 1, of the replies that it can apply to."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    refusal: Rate = Field(
        default=0.04, description="Declines, at times after a polite beginning of help."
    )
    truncation: Rate = Field(
        default=0.04,
        description="Breaks off, in a sentence, word, list or code; 3 in 10 claim to have ended.",
    )
    wrong_answer: Rate = Field(
        default=0.04,
        description="A final boxed number that is plausible and wrong; maths replies only.",
    )
    preamble: Rate = Field(
        default=0.04, description="Opens with 'Sure! …' or closes with small talk."
    )
    # `copy` is a method of every pydantic model, so the field has another name and this alias
    copies: Rate = Field(
        default=0.04,
        alias="copy",
        description="Gives back the prompt, the source or the instructions.",
    )
    near_duplicate: Rate = Field(
        default=0.04,
        description="Says nearly what other requests of its task are told. One of each cluster "
        "is to stay; the report counts the others.",
    )
    repetition: Rate = Field(
        default=0.04,
        description="Falls into a loop: a sentence, a phrase, a list that only counts on, a talk.",
    )
    malformed: Rate = Field(
        default=0.04,
        description="Breaks its format: no required first line, an open code fence or box, bad "
        "JSON. Only replies that have a format.",
    )
    empty: Rate = Field(default=0.04, description="No text at all: empty, blank or null.")
    ungrounded: Rate = Field(
        default=0.04,
        description="A number, date or name that the source lacks; rewrites that may not add any.",
    )
    contradicted: Rate = Field(
        default=0.04, description="Turns one claim of the source round; rewrites only."
    )
    omitted: Rate = Field(
        default=0.04,
        description="Talks about the source's subject and leaves its claims out; rewrites only.",
    )
    stock_opening: Rate = Field(
        default=0.04, description="Opens as any text might ('In today's world'); rewrites only."
    )
    constraint_broken: Rate = Field(
        default=0.02,
        description="Breaks a constraint that its prompt states in plain words; answers only.",
    )
    no_gain: Rate = Field(
        default=0.02, description="Evolved prompts: a paraphrase, or stock words about quality."
    )
    unanswerable: Rate = Field(
        default=0.02,
        description="Evolved prompts: needs a file, image, page or conversation that is not there.",
    )
    answer_leak: Rate = Field(
        default=0.02, description="Evolved prompts: tells the answer, or is an answer."
    )
    language_drift: Rate = Field(
        default=0.02, description="Evolved prompts: a sentence, or all, in another language."
    )
    lost_constraint: Rate = Field(
        default=0.02, description="Evolved prompts: a demand or number of the parent is gone."
    )
    overgrown: Rate = Field(
        default=0.02, description="Evolved prompts: over 400 words, or over ten list items."
    )
    overloaded: Rate = Field(
        default=0.01,
        description="Answers 429 or 503 the first time; asked again, the request succeeds.",
    )
    slow: Rate = Field(
        default=0.01, description="Takes 20 times the latency, or 200 ms without one."
    )

    @model_validator(mode="after")
    def _shares_of_one_reply(self) -> Self:
        total = max(
            sum(self.rate(kind) for kind in kinds) for kinds in (REPLY_DEFECTS, EVOLVED_DEFECTS)
        )
        if total > 1 + 1e-9:
            raise ValueError(
                f"the reply defects add up to {total:g}, but a reply has one at most and they "
                "share 1; lower some, or set those that you did not mention to 0"
            )
        return self

    def rate(self, kind: str) -> float:
        """The rate of a defect by the name it has in a recipe and in a label."""
        rate: float = getattr(self, "copies" if kind == "copy" else kind)
        return rate

    @classmethod
    def none(cls) -> Defects:
        """Plants nothing."""
        return cls.model_validate(
            dict.fromkeys((*REPLY_DEFECTS, *PROMPT_DEFECTS, *TRANSPORT_DEFECTS), 0.0)
        )


class Rehearsal(BaseModel):
    """A teacher without a model, to rehearse a recipe. The same configuration, the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, description="Another seed, another text for every request.")
    latency_ms: float = Field(default=0, ge=0, description="How long each reply is held back.")
    defects: Defects = Field(default_factory=Defects, description="What is planted, how often.")

    strain: dict[str, Annotated[float, Field(ge=0, le=20)]] = Field(
        default_factory=dict,
        description="By operation or style: how many times as often its replies are flawed.",
    )

    def revision(self) -> str:
        """What the replies depend on besides the request: version, seed and reply defects.

        How replies are delivered is left out, since it changes none of them.
        """
        rates = [self.defects.rate(kind) for kind in (*REPLY_DEFECTS, *PROMPT_DEFECTS)]
        digest = sha256(repr((self.seed, rates, sorted(self.strain.items()))).encode()).hexdigest()
        return f"{VERSION}-{digest[:8]}"
