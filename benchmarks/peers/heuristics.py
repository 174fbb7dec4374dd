"""The four rule families by datatrove, in the peers' own environment; prints a line of JSON.

    python benchmarks/peers/heuristics.py FILE ROWS REASONS

Reads the Parquet file's column `text`, writes the reason of each row by family. Words are those of
`str.split`, which is far faster than its default, spaCy's.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import WhitespaceTokenizer


class Split(WhitespaceTokenizer):
    """White space; sentences by its own pattern."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def reasons(one: object, texts: list[str]) -> list[str | None]:
    """Why each text leaves, None for those that stay."""
    made: list[str | None] = []
    for number, text in enumerate(texts):
        try:
            answer = one.filter(Document(text=text, id=str(number)))
        except ZeroDivisionError:  # a text of no word
            answer = (False, "no_words")
        made.append(None if answer is True else answer[1])
    return made


def main() -> None:
    """Judges every row by every family."""
    file, rows, out = sys.argv[1:]
    texts = pq.read_table(file, columns=["text"])["text"][: int(rows)].to_pylist()
    words = Split()
    families = {
        "gopher": GopherQualityFilter(language=words),
        "repetition": GopherRepetitionFilter(language=words),
        "c4": C4QualityFilter(language=words),
        "fineweb": FineWebQualityFilter(language=words),
    }
    found, cpu_s = {}, {}
    for name, one in families.items():
        started = time.process_time()
        found[name] = reasons(one, texts)
        cpu_s[name] = time.process_time() - started
    Path(out).write_text(json.dumps(found), encoding="utf-8")
    print(json.dumps(cpu_s))


if __name__ == "__main__":
    main()
