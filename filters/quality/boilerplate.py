"""`boilerplate`: an assistant talks about itself or its training instead of the subject.

    "As of my last knowledge update in September 2021, …"

The answering recipes do not use it: people rated 25 of 41 such answers worth keeping, most of them
after `trim` cut the opening. A text that teaches should have no such phrases.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

READ_CHARS = 100_000
MODEL = r"(?:ai|artificial intelligence|(?:large )?language model|llm|chatbot|virtual assistant)"
# Only first-person phrases, so that a text about language models stays.
PHRASES = re.compile(
    rf"\b(?:as an? (?:\w+ ){{0,3}}?{MODEL}\b[^.!?\n]{{0,80}}?\b(?:i|my)\b"
    rf"|i(?:'m| am) (?:\w+ )?an? (?:\w+ ){{0,2}}?{MODEL}\b(?! (?:engineer|research|develop))"
    r"|(?:as of|since|up to|until) my (?:last|latest|knowledge|training)\b"
    r"|my (?:knowledge|training)(?: data)? (?:cut-?off|ends|goes|only|is limited)"
    r"|i was (?:last (?:updated|trained)|(?:trained|created) by (?:openai|anthropic|google|meta))"
    r"|i (?:don't|do not|cannot|can't) (?:have|access|browse) (?:any |access to |the )?"
    r"(?:real-?time|internet|personal (?:opinion|experience|belief|preference)|feelings|emotions)"
    r"|als (?:ein )?(?:ki|sprachmodell|künstliche intelligenz)\b[^.!?]{0,30}\bich\b"
    r"|en tant qu(?:e|')(?: ?ia\b| ?intelligence artificielle| ?modèle de langage)"
    r"|como (?:un )?(?:modelo de lenguaje|ia\b|inteligencia artificial),"
    r")|作为(?:一个|一款)?(?:人工智能|ai|大?语言模型)"
)


class Boilerplate(Model):
    """Rejects a text in which an assistant speaks about itself or its training.

    The score is the number of such phrases.
    """

    name: ClassVar[str] = "boilerplate"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_phrases",)
    max_phrases: int = Field(0, ge=0, description="largest number of such phrases")

    def judge(self, batch: Batch) -> Verdicts:
        """`assistant_boilerplate` for more than `max_phrases` phrases; the note quotes three."""
        found = [
            PHRASES.findall(text[:READ_CHARS].lower().replace("’", "'")) for text in batch.texts
        ]
        return Verdicts(
            reasons=[
                "assistant_boilerplate" if len(phrases) > self.max_phrases else None
                for phrases in found
            ],
            scores=[float(len(phrases)) for phrases in found],
            notes=["; ".join(phrases[:3]) for phrases in found],
        )
