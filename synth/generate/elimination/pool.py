"""The pool of a shard's prompts, to see that two families were given nearly the same child.

A teacher that has fallen into a rut answers different parents alike. Held in memory for a shard:
a number per word 4-gram, about 60 a prompt.
"""

from __future__ import annotations

from collections import Counter

from synth.text.words import words_of

SHINGLE_WORDS = 4


class Pool:
    """Word 4-grams and the family that had each first. Order matters: add in row order."""

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}

    def add(self, family: int, prompt: str) -> None:
        """Makes the prompt known as one of this family."""
        for shingle in shingles(prompt):
            self._owner.setdefault(shingle, family)

    def shared(self, family: int, prompt: str, parent: str) -> float:
        """The largest share of the prompt, 0 to 1, that some one other family had before.

        What its parent has already does not count: given prompts may have a passage in common.
        """
        own = shingles(prompt)
        owners = Counter(self._owner.get(shingle, family) for shingle in own - shingles(parent))
        del owners[family]
        return max(owners.values(), default=0) / len(own) if own else 0.0


def shared_share(prompt: str, text: str) -> float:
    """The share of the prompt's word 4-grams, 0 to 1, that stand in the text."""
    own = shingles(prompt)
    return len(own & shingles(text)) / len(own) if own else 0.0


def shingles(text: str, size: int = SHINGLE_WORDS) -> set[int]:
    """The runs of `size` words, each as a number that holds for this process alone."""
    said = words_of(text)
    return {hash(tuple(said[at : at + size])) for at in range(len(said) - size + 1)}
