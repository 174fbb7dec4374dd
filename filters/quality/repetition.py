"""`repetition`: lines, paragraphs or phrases that come again and again.

Source of measures and limits: Gopher, arXiv:2112.11446, appendix A.1.1, table A1, made for web
documents. Ours differ: short texts have looser limits (on correct GSM8K solutions of 50 to 100
words the table's own would drop 16 %), and lines without a letter or digit do not count. Where the
paper leaves it open, characters are counted as datatrove does: the words' over all of the text's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

MOST_WORDS = 100_000  # of a longer text, which `length` drops, this many are read
LINE_BREAK = re.compile(r"\n+")
PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
LETTER_OR_DIGIT = re.compile(r"[^\W_]")


class Repetition(Model):
    """Drops texts that repeat themselves.

    The score is the worst measure over its limit, so above 1 is dropped; the note names it.
    """

    name: ClassVar[str] = "repetition"
    min_words: int = Field(20, ge=0, description="shorter texts are not judged")
    full_words: int = Field(100, ge=0, description="shorter texts have limits `short_slack` wider")
    short_slack: float = Field(3.0, ge=1, le=10, description="by how much; 1 for none")
    max_duplicate_lines: float = Field(0.30, ge=0, le=1, description="share of the lines")
    max_duplicate_paragraphs: float = Field(0.30, ge=0, le=1, description="share of the paragraphs")
    max_duplicate_line_chars: float = Field(0.20, ge=0, le=1, description="share of the characters")
    max_duplicate_paragraph_chars: float = Field(
        0.20, ge=0, le=1, description="share of the characters"
    )
    max_top_ngram_chars: dict[int, float] = Field(
        {2: 0.20, 3: 0.18, 4: 0.16}, description="by n: share of the most frequent n-gram"
    )
    max_duplicate_ngram_chars: dict[int, float] = Field(
        {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
        description="by n: share of the n-grams that came before",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """The first measure above its limit, in table A1's order."""
        reasons: list[str | None] = []
        scores, notes = [], []
        for text, words in zip(batch.texts, batch.words, strict=True):
            slack = self.short_slack if len(words) < self.full_words else 1.0
            worst, worst_name, reason = 0.0, "", None
            for name, share, limit in self._measures(text, words):
                over = share / (limit * slack) if limit else float(share > 0) * 2
                if over > 1 and reason is None:
                    reason = name
                if over > worst:
                    worst, worst_name = over, name
            reasons.append(reason)
            scores.append(worst)
            notes.append(worst_name)
        return Verdicts(reasons, scores, notes)

    def _measures(self, text: str, words: list[str]) -> Iterator[tuple[str, float, float]]:
        if len(words) < max(self.min_words, 1):
            return
        lines, line_chars = duplicate_shares(LINE_BREAK.split(text))
        paragraphs, paragraph_chars = duplicate_shares(PARAGRAPH_BREAK.split(text))
        yield "duplicate_lines", lines, self.max_duplicate_lines
        yield "duplicate_paragraphs", paragraphs, self.max_duplicate_paragraphs
        yield "duplicate_line_chars", line_chars, self.max_duplicate_line_chars
        yield "duplicate_paragraph_chars", paragraph_chars, self.max_duplicate_paragraph_chars
        from filters.quality.ngrams import ngram_shares

        read = words[:MOST_WORDS]
        top, duplicate = ngram_shares(
            read,
            len(text) * len(read) // len(words),
            self.max_top_ngram_chars.keys(),
            self.max_duplicate_ngram_chars.keys(),
        )
        for n, share in top.items():
            yield f"top_{n}_gram", share, self.max_top_ngram_chars[n]
        for n, share in duplicate.items():
            yield f"duplicate_{n}_grams", share, self.max_duplicate_ngram_chars[n]


def duplicate_shares(pieces: list[str]) -> tuple[float, float]:
    """The share of the pieces that came before, by number and by characters.

    Pieces without a letter or digit (braces, rules of a table) are not counted: code would not
    survive them.
    """
    seen: set[str] = set()
    count = chars = again = chars_again = 0
    for piece in pieces:
        stripped = piece.strip()
        if not LETTER_OR_DIGIT.search(stripped):
            continue
        count += 1
        chars += len(stripped)
        if stripped in seen:
            again += 1
            chars_again += len(stripped)
        seen.add(stripped)
    return (again / count, chars_again / chars) if count else (0.0, 0.0)
