"""`echo`: an answer that repeats its prompt, or a rewrite that repeats its source.

    "Why is the sky blue?"  ->  "You asked: Why is the sky blue?"

It compares words, without case, punctuation and white space. An answer that adds a word of its own
stays, since it completes, corrects or quotes the prompt; words that announce the echo do not count.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from math import nan
from typing import ClassVar

from pydantic import Field
from rapidfuzz import fuzz

from synth.batch import Batch
from synth.model import Model
from synth.text.words import word_pattern, words_of
from synth.verdicts import Verdicts

MIN_WORDS = 3  # as for prompts in `length`; the answer to "Hello!" may be "Hello!"
END_CHARS = 100  # longer than the last word of any real text
MOST_CHARS = 100_000  # longer texts are split at white space and compared only for repeats
ANNOUNCES = re.compile(r"[:.!?\n\"\u201c\u00ab]")


class Echo(Model):
    """Rejects an answer that repeats its prompt, and a rewrite that repeats its source.

    The score, in percent, is the share of the text that repeats the prompt verbatim up to the
    text's end. If nothing repeats and the text has no new words, and starts and ends like the
    prompt, the score is its similarity to the prompt. Do not use this filter where an answer may
    equal its input, as in tasks that correct a text.
    """

    name: ClassVar[str] = "echo"
    compared_with: ClassVar[tuple[str | float, ...]] = ("min_share",)
    min_share: float = Field(
        65,  # as for "The task is as follows. …" before a prompt of ten words
        gt=0,
        le=100,
        description="smallest share of verbatim repeats that is rejected, in percent of words",
    )
    min_ratio: float = Field(
        90,
        gt=0,
        le=100,
        description="smallest likeness that is rejected (rapidfuzz ratio of the words, 0 to 100)",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`prompt_repeated` or `source_repeated`; prompts and other documents have no score."""
        if batch.subject == "prompt":
            return Verdicts([None] * len(batch), [nan] * len(batch))

        reasons: list[str | None] = []
        scores: list[float] = []
        rows = zip(batch.texts, batch.prompts, batch.references, strict=True)
        for text, prompt, reference in rows:
            original = prompt or (reference or {}).get("source") or ""
            if words_of(text[-END_CHARS:])[-1:] != words_of(original[-END_CHARS:])[-1:]:
                reasons.append(None)  # an echo ends like the original
                scores.append(0.0 if original else nan)
                continue
            if max(len(text), len(original)) > MOST_CHARS:
                words, before = text.split(), original.split()
            else:
                words, before = words_of(text), words_of(original)
            if not words or len(before) < MIN_WORDS:
                reasons.append(None)
                scores.append(nan)
                continue
            share = repeated_share(text, words, before)
            ratio = 0.0 if share else likeness(words, before)
            echoed = share >= self.min_share or ratio >= self.min_ratio
            repeated = "prompt_repeated" if prompt else "source_repeated"
            reasons.append(repeated if echoed else None)
            scores.append(share or ratio)
        return Verdicts(reasons, scores)


def repeated_share(text: str, words: list[str], before: list[str]) -> float:
    """Percent of the words that repeat `before` up to the end; 0 if the lead has its own words.

    "Girls" before "are better at maths" is such a word, but "You asked:" is not. If `before` ends
    the text, it also counts in the lead: "Input: … Output: …".
    """

    said, original = "".join(f" {word}" for word in words), "".join(f" {word}" for word in before)
    end = len(said)
    while said.endswith(original, 0, end):
        end -= len(original)
    lead = said.count(" ", 0, end)
    if 0 < lead < len(words) and len(text) <= MOST_CHARS:
        low = text.lower()
        last, first = islice(word_pattern(low).finditer(low), lead - 1, lead + 1)
        if not ANNOUNCES.search(low, last.end(), first.start()):
            return 0.0
    again = f"{said[:end]} ".count(f"{original} ") if lead < len(words) else 0
    return 100 * (1 - (lead - again * len(before)) / len(words))


def likeness(words: list[str], before: list[str]) -> float:
    """The likeness, 0 to 100; 0 if the ends differ or the text has a word of its own."""
    if (words[0], words[-1]) != (before[0], before[-1]) or Counter(words) - Counter(before):
        return 0.0
    text, original = " ".join(words), " ".join(before)
    if len(original) > MOST_CHARS:
        return 0.0

    return float(fuzz.ratio(text, original))
