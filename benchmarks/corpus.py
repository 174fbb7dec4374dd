"""Generates documents for benchmarks, with known near-duplicates; deterministic.

Words are made of syllables and drawn by Zipf's law. The documents do not resemble real texts, so
use them only to measure speed and agreement with a reference.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STOP_WORDS = (
    "the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "as", "was", "with", "be", "by",
    "on", "not", "have", "this", "are",
)  # fmt: skip
ODD_WORDS = (
    "—", "…", "#", "&", "3.14", "100", "$5", "U.S.", "e.g.", "naïve", "café", "“quoted”", "don't",
    "it’s", "(see)", "水",
)  # fmt: skip
ENDS = (*["."] * 12, "!", "?", "?", "...", "…", "", ";", ':"', ".”", ".[1]")
BREAKS = ("\n", "\n", "\n\n", "\r\n", " \n", "\n\n\n")
RARE = ("lorem ipsum", "{x}", "JavaScript is off.", "privacy policy", "We use cookies.")
MOST_CHANGES = 9


@cache
def vocabulary() -> list[str]:
    """All words, the most frequent first."""
    rng = random.Random(0)
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "ar", "en")]
    made = {"".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(20_000)}
    others = sorted(made - set(STOP_WORDS))
    rng.shuffle(others)
    return [*STOP_WORDS, *others]


def drawn(rng: np.random.Generator, count: int) -> list[str]:
    """This many words, drawn by frequency."""
    words = vocabulary()
    ranks = np.exp(rng.random(count) * np.log(len(words))).astype(np.int64) - 1
    return [words[rank] for rank in ranks.tolist()]


def near_duplicates(count: int, seed: int = 0, words: int = 150) -> Iterator[tuple[str, int]]:
    """Documents, each with the number of the earlier one that it was copied from, or -1.

    Two in five are copies, with up to eight words replaced, far apart.
    """
    rng = np.random.default_rng(seed)
    originals: list[tuple[int, list[str]]] = []
    for number in range(count):
        if originals and rng.random() < 0.4:
            of, text = originals[int(rng.integers(len(originals)))]
            text, changes = list(text), int(rng.integers(MOST_CHANGES))
            for place in rng.permutation(words // 6)[:changes].tolist():
                text[place * 6] = f"x{int(rng.integers(10**9))}"
            yield " ".join(text), of
            continue
        text = drawn(rng, words)
        if len(originals) < 50_000:  # only these are copied, so that memory stays bounded
            originals.append((number, text))
        yield " ".join(text), -1


def write_near_duplicates(file: Path, rows: int, words: int = 150) -> None:
    """Writes documents as Parquet: number, text, and the number of the original (-1 if none)."""
    _write(file, enumerate(near_duplicates(rows, words=words)))


def write_many_files(folder: Path, rows: int, words: int, file_rows: int) -> None:
    """Writes the same documents into files of `file_rows` rows."""
    folder.mkdir()
    documents = enumerate(near_duplicates(rows, words=words))
    for number in range(-(-rows // file_rows)):
        _write(folder / f"{number:05d}.parquet", islice(documents, file_rows))


def _write(file: Path, documents: Iterator[tuple[int, tuple[str, int]]]) -> None:
    schema = pa.schema({"number": pa.int64(), "text": pa.string(), "of": pa.int64()})
    made = ((number, text, of) for number, (text, of) in documents)
    with pq.ParquetWriter(file, schema) as writer:
        while part := list(islice(made, 10_000)):
            columns = [list(column) for column in zip(*part, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))


def pages(count: int, seed: int = 0, words: int = 125) -> list[str]:
    """Pages with the lines, lists, symbols and repeated phrases that the rules look for."""
    rng = np.random.default_rng(seed)
    pick = random.Random(seed)
    return [page(rng, pick, words) for _ in range(count)]


def page(rng: np.random.Generator, pick: random.Random, words: int) -> str:
    """One page; about half of the pages break a rule."""
    text = drawn(rng, max(0, int(pick.gauss(words, words / 4))))
    for _ in range(pick.randrange(12)):
        text.insert(pick.randrange(len(text) + 1), pick.choice(ODD_WORDS))
    if len(text) > 20 and pick.random() < 0.12:
        start = pick.randrange(len(text) - 16)
        phrase = text[start : start + pick.randint(2, 15)]
        for _ in range(pick.randint(1, 9)):
            at = pick.randrange(len(text))
            text[at:at] = phrase
    sentence, breaks = pick.choice((4, 8, 12, 16, 20, 25)), pick.choice((0, 0, 0.1, 0.3, 0.9))
    parts: list[str] = []
    while text:
        size = max(1, int(pick.gauss(sentence, 3)))
        chunk, text = " ".join(text[:size]), text[size:]
        if pick.random() < 0.03:
            chunk = pick.choice(("- ", "• ", "# ", "  ")) + chunk
        if pick.random() < 0.003:
            chunk = f"{chunk} {pick.choice(RARE)}"
        parts.append(chunk[:1].upper() + chunk[1:] + pick.choice(ENDS))
        parts.append(pick.choice(BREAKS) if pick.random() < breaks else " ")
    made = "".join(parts)
    if pick.random() < 0.08:
        lines = made.split("\n")
        for _ in range(pick.randint(1, 5)):
            lines.insert(pick.randrange(len(lines) + 1), pick.choice(lines))
        made = "\n".join(lines)
    return made.strip() if pick.random() < 0.8 else made
