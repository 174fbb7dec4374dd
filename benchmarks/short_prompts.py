"""Generates prompts of about 30 words, some of which repeat an earlier one with changes.

New prompts come from a Markov chain of words over the starter seeds, so that words and phrases are
as frequent as in real prompts. The others repeat an earlier prompt with typos, or with words
swapped, replaced, left out or added. The changes range from one letter to a third of the text.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

SEEDS = Path(__file__).parents[1] / "seeds" / "starter"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
REPEATED = 0.3


def short_prompts(count: int, seed: int = 0) -> list[str]:
    """This many prompts, the same for the same seed."""
    rng = random.Random(seed)
    follows = _follows()
    openers = follows["."]
    vocabulary = [word for words in follows.values() for word in words]
    made: list[list[str]] = []
    for _ in range(count):
        if made and rng.random() < REPEATED:
            made.append(_varied(rng.choice(made), rng, vocabulary))
            continue
        words = [rng.choice(openers)]
        length = rng.randrange(12, 50)
        while len(words) < length:
            # sometimes take any word: the seeds alone allow too few continuations
            jump = rng.random() < 0.3
            words.append(rng.choice(vocabulary if jump else follows[words[-1]] or openers))
        made.append(words)
    return [" ".join(words) for words in made]


def _follows() -> defaultdict[str, list[str]]:
    """Maps each word to the words that follow it, and "." to the first words of texts."""
    follows: defaultdict[str, list[str]] = defaultdict(list)
    for name in ("prompts.jsonl", "web_samples.jsonl"):
        for line in (SEEDS / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            last = "."
            for word in (row.get("prompt") or row.get("text") or "").split():
                follows[last].append(word)
                last = word
    return follows


def _varied(words: list[str], rng: random.Random, vocabulary: list[str]) -> list[str]:
    words = list(words)
    kinds = rng.choice((("typo",), ("swap",), ("replace",), ("typo", "replace", "drop", "add")))
    for _ in range(rng.randrange(1, 2 + len(words) // 3)):
        at = rng.randrange(len(words))
        match rng.choice(kinds):
            case "typo":
                words[at] = _typo(words[at], rng)
            case "swap":
                to = rng.randrange(len(words))
                words[at], words[to] = words[to], words[at]
            case "replace":
                words[at] = rng.choice(vocabulary)
            case "drop" if len(words) > 4:
                del words[at]
            case _:
                words.insert(at, rng.choice(vocabulary))
    return words


def _typo(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    letter = rng.choice(LETTERS)
    return rng.choice((word[:at] + letter + word[at + 1 :], word[:at] + word[at + 1 :] or letter,
                       word[:at] + letter + word[at:]))  # fmt: skip
