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
    r"\b(?:as of|since|up to|until) my (?:last|latest|most recent) "
    r"(?:knowledge|training|update|data)",
    r"\bmy (?:knowledge|training)(?: data)?(?:'s)? (?:has a )?(?:cut-? ?off|ends in|only goes)",
    rf"\bi (?:was|am|have been) (?:trained|developed|created) by {MAKERS}",
    r"\bi (?:do not|don't|cannot|can't) (?:have|browse|access) "
    r"(?:the internet|real-?time|personal (?:opinions|feelings|experiences|beliefs|emotions))",
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
