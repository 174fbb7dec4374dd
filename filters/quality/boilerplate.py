"""`boilerplate`: phrases in which an assistant talks about itself instead of the matter.

A text with "as of my last knowledge update" teaches a student somebody else's training cut-off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.quality.phrases import any_of, plain
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

AI = r"(?:ai|artificial intelligence|language model|llm|virtual assistant|chatbot)"
MAKERS = r"(?:openai|anthropic|google|meta|microsoft|alibaba|mistral|deepseek)"
# Evol-Instruct eliminates "as an ai" (arXiv:2304.12244, section 3.2). Ours asks for the first
# person, so that a text about language models stays.
PHRASES = any_of(
    rf"\bas an? (?:\w+ ){{0,3}}?{AI}(?: (?:language )?(?:model|assistant|system))?"
    r"(?: (?:developed|created|trained|made|built) by \w+)?,? (?:i|my)\b",
    rf"\bi(?:'m| am) (?:just |only |merely )?an? (?:\w+ ){{0,2}}?{AI}\b"
    r"(?! (?:engineer|research|develop|scientist|expert))",
    r"\b(?:as of|since|up to|until|in|at|by|to) my (?:last|latest|most recent|current) "
    r"(?:knowledge|training|update|data)\b(?! (?:sheet|point|entry|session|run))",
    r"\bmy (?:knowledge|training)(?: (?:data|base))?(?:'s)? "
    r"(?:(?:has|have) a |is |was )?(?:cut-? ?off|ends (?:in|with)|only goes|goes up to|limited to|"
    r"current as of|last updated)",
    r"\b(?:knowledge|training(?: data)?) cut-?off (?:date )?(?:is|was|of|in)\b",
    rf"\bi (?:was|am|have been) (?:trained|developed|created|made|built) by {MAKERS}",
    r"\bi was (?:last (?:trained|updated)|trained on (?:data|text|information|a))",
    r"\b(?:available|known|given) to me (?:as of|up to|until|at) my\b",
    r"\bi (?:do not|don't|cannot|can't|am not able to|'m not able to) (?:currently )?"
    r"(?:have (?:(?:direct |any )?access to |the ability to (?:access |browse ))?|browse |access |"
    r"possess |provide |search )"
    r"(?:the (?:internet|web)|real-?time|live (?:data|information|updates)|"
    r"(?:current|up-to-date) (?:data|information|events|news)|"
    r"(?:any )?(?:personal |human )?(?:opinions|feelings|emotions|beliefs|consciousness)|"
    r"personal (?:experiences|preferences|views)|a physical (?:body|form))",
)


class Boilerplate(Model):
    """Drops a text in which an assistant speaks about itself or its training.

    The score is the number of such phrases.
    """

    name: ClassVar[str] = "boilerplate"
    max_phrases: int = Field(0, ge=0, description="phrases that a text may hold and stay")

    def judge(self, batch: Batch) -> Verdicts:
        """`assistant_boilerplate` for more than `max_phrases` phrases; the note quotes three."""
        found = [PHRASES.findall(plain(text)) for text in batch.texts]
        return Verdicts(
            reasons=[
                "assistant_boilerplate" if len(phrases) > self.max_phrases else None
                for phrases in found
            ],
            scores=[float(len(phrases)) for phrases in found],
            notes=["; ".join(phrases[:3]) for phrases in found],
        )
