"""`length`: texts that are too short to teach anything, or too long."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

MIN_WORDS_PROMPT = 3  # Self-Instruct (arXiv:2212.10560, section 2.2) drops three or fewer;
# ours keeps three, since "What is photosynthesis?" is a prompt
MIN_WORDS_ANSWER = 1  # "42" can be the whole answer, and so can an emoji
MIN_WORDS_DOCUMENT = 50  # Gopher (arXiv:2112.11446, appendix A.1.1), for web documents
EMPTY_BLOCK = re.compile(r"\s*```\w*\s*(?:```)?\s*")
MARKUP = " \t\n*_`$"
ONLY_MARKER = re.compile(  # not a bare "A", which is a choice
    r"(?:(?:the )?(?:final |correct )?(?:answer is|answer|ans|a|antwort|réponse|respuesta|risposta"
    r"|resposta|ответ)\s?[:=]|the (?:final |correct )?answer is|#{3,}|\\boxed\{\s*\}"
    r"|(?:最终)?(?:答案|答え|答)是?[:：]|\s){1,4}",
    re.IGNORECASE,
)
LONGEST_MARKER = 40  # characters


class Length(Model):
    """Rejects texts outside [min_words, max_words], and answers that are just a marker like `A:`.

    In scripts without spaces each character is a word. The score is the number of words.
    """

    name: ClassVar[str] = "length"
    compared_with: ClassVar[tuple[str | float, ...]] = ("min_words", "max_words")
    min_words: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="fewest words; auto: 3 for a prompt, 1 for an answer, 50 for a document",
    )
    max_words: int = Field(
        100_000,  # Gopher, as above
        ge=1,
        description="most words",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`empty_text` (an empty code block too), `only_a_marker`, `too_few_words` or
        `too_many_words`."""
        counts = batch.hashed_words.counts.tolist()
        reasons: list[str | None] = []
        for text, count, least in zip(batch.texts, counts, self._least(batch), strict=True):
            if EMPTY_BLOCK.fullmatch(text) or not text.strip():
                reasons.append("empty_text")
            elif is_marker(text):
                reasons.append("only_a_marker")
            elif count < least and not (least == MIN_WORDS_ANSWER and _is_emoji(text)):
                reasons.append("too_few_words")
            else:
                reasons.append("too_many_words" if count > self.max_words else None)
        return Verdicts(reasons, [float(count) for count in counts])

    def _least(self, batch: Batch) -> list[int]:
        if self.min_words != "auto":
            return [self.min_words] * len(batch)
        if batch.subject == "prompt":
            return [MIN_WORDS_PROMPT] * len(batch)
        turns = batch.table["context"].combine_chunks().value_lengths().to_pylist()
        return [MIN_WORDS_ANSWER if turn else MIN_WORDS_DOCUMENT for turn in turns]


def _is_emoji(text: str) -> bool:
    return any(unicodedata.category(character) == "So" for character in text[:100])


def is_marker(text: str) -> bool:
    """Whether a text announces an answer but gives none: `A:`, `**Answer:**`, `####`."""
    return len(text) <= LONGEST_MARKER and bool(ONLY_MARKER.fullmatch(text.strip(MARKUP)))
