"""Runs datatrove's rule families and its MinHash.

It splits words with `str.split`, the fastest possible tokenizer, or, for the rules, with its
default tokenizer, which is spaCy's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WhitespaceTokenizer

from benchmarks.report import timed

FAMILIES = {
    "gopher": GopherQualityFilter,
    "repetition": GopherRepetitionFilter,
    "c4": C4QualityFilter,
    "fineweb": FineWebQualityFilter,
}


class Split(WhitespaceTokenizer):
    """Splits words at white space, and sentences by datatrove's own pattern."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def rules(file: str, rows: int, default_words: bool) -> dict[str, Any]:
    """For each family, the reason for each row (None if it is kept), and the CPU seconds."""
    texts = _texts(file, rows)
    reasons, seconds = {}, {}
    for name, family in FAMILIES.items():
        one = family() if default_words else family(language=Split())
        _reasons(one, texts[:1])  # loads the tokenizer
        reasons[name], seconds[name] = timed(lambda one=one: _reasons(one, texts))
    return {"reasons": reasons, "seconds": seconds}


def _reasons(one: Any, texts: list[str]) -> list[str | None]:
    made: list[str | None] = []
    for number, text in enumerate(texts):
        try:
            answer = one.filter(Document(text=text, id=str(number)))
        except ZeroDivisionError:  # a text without words
            answer = (False, "no_words")
        made.append(None if answer is True else answer[1])
    return made


def minhash(file: str, rows: int) -> dict[str, Any]:
    """The rejected rows; runs datatrove's three steps in this process, one after the other."""
    documents = (Document(text=text, id=str(i)) for i, text in enumerate(_texts(file, rows)))
    config = MinhashConfig(hash_config=HashConfig(precision=64))
    with tempfile.TemporaryDirectory() as folder:
        MinhashDedupSignature(f"{folder}/a", config, Split()).run(documents, 0, 1)
        for rank in range(config.num_buckets):
            MinhashDedupBuckets(f"{folder}/a", f"{folder}/b", config=config).run(
                rank=rank, world_size=config.num_buckets
            )
        MinhashDedupCluster(f"{folder}/b", f"{folder}/c", config=config).run()
        [removed] = Path(folder, "c").glob("*.remove")
        found = removed.read_bytes()
    return {
        "dropped": [int.from_bytes(found[i : i + 4], "little") for i in range(0, len(found), 4)]
    }


def _texts(file: str, rows: int) -> list[str]:
    texts: list[str] = pq.read_table(file, columns=["text"])["text"][:rows].to_pylist()
    return texts
