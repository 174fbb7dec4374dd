"""`toxicity`: texts with words from a list that you provide.

    - quality: [{toxicity: {words: en_blocked.txt}}]

No list is shipped, since unwanted words depend on the language and the purpose: a medical data set
needs words that a chat for children must not have. A widely used list is LDNOOBW, the "List of
Dirty, Naughty, Obscene, and Otherwise Bad Words", which C4 uses.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import Field, field_validator

from synth.batch import Batch
from synth.model import Model
from synth.paths import InputPath
from synth.text.words import UNSPACED_CHARACTER, parts_of_words
from synth.verdicts import Verdicts

MOST_BYTES = 1_000_000


class Toxicity(Model):
    """Rejects texts with words from a list. The score is the number of such words.

    Matches whole words and phrases, ignoring case; in scripts without spaces, entries match
    anywhere.
    """

    name: ClassVar[str] = "toxicity"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_found",)
    words: InputPath = Field(
        description="a text file with one word or phrase per line; lines starting with # are "
        "comments"
    )
    max_found: int = Field(0, ge=0, description="largest number of findings")

    @field_validator("words")
    @classmethod
    def _is_a_list(cls, path: Path) -> Path:
        if not path.is_file():
            raise ValueError(f"no file {str(path)!r}; set `words` to the path of a word list")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path} is too large for a word list: more than {MOST_BYTES:,} bytes")
        return path

    def files(self) -> list[Path]:
        """The word list, whose content counts as input."""
        return [self.words]

    def judge(self, batch: Batch) -> Verdicts:
        """`listed_words` for more than `max_found`; the note quotes up to three."""
        listed = read(self.words, self.words.stat().st_mtime_ns)
        found = [listed.found_in(text) for text in batch.texts]
        return Verdicts(
            ["listed_words" if len(words) > self.max_found else None for words in found],
            [float(len(words)) for words in found],
            ["; ".join(words[:3]) for words in found],
        )


class Listed(NamedTuple):
    """A word list prepared for search."""

    phrases: dict[str, list[list[str]]]
    """Entries by first word, each as a list of words, the longest first."""
    unspaced: list[str]

    def found_in(self, text: str) -> list[str]:
        """The entries found in the text, one per occurrence; those without spaces come last."""
        folded = text.casefold()
        words = parts_of_words(folded)
        found = []
        at = 0
        while at < len(words):
            phrases = self.phrases.get(words[at], ())
            match = next((one for one in phrases if words[at : at + len(one)] == one), None)
            if match:
                found.append(" ".join(match))
            at += len(match) if match else 1
        return found + [entry for entry in self.unspaced for _ in range(folded.count(entry))]


@lru_cache(maxsize=8)
def read(path: Path, changed_ns: int) -> Listed:
    """Reads the list from the file."""
    del changed_ns  # only part of the cache's key
    phrases: dict[str, list[list[str]]] = {}
    unspaced = []
    for line in path.read_text(encoding="utf-8").casefold().splitlines():
        words = parts_of_words(line)
        if line.startswith("#") or not words:
            continue
        if UNSPACED_CHARACTER.search(line):
            unspaced.append(line.strip())
        else:
            phrases.setdefault(words[0], []).append(words)
    for entries in phrases.values():
        entries.sort(key=len, reverse=True)
    return Listed(phrases, unspaced)
