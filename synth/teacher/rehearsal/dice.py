"""Chance without a clock: every choice follows from the bytes that the dice are made of."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Choices that are the same for the same key, on every machine and Python.

    Built on `Random.random` alone: it is the one method whose values Python promises to keep.
    """

    __slots__ = ("_key", "_next")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._next = Random(int.from_bytes(sha256(key).digest()[:8], "big")).random

    def fork(self, label: str) -> Dice:
        """Dice of their own for one decision, so that another decision cannot disturb them."""
        return Dice(self._key + b"/" + label.encode())

    def roll(self) -> float:
        """A number in [0, 1)."""
        return self._next()

    def chance(self, share: float) -> bool:
        """True in `share` of all cases; never at 0, always at 1."""
        return self._next() < share

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._next() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[int(self._next() * len(choices))]

    def draw(self, choices: Sequence[T], count: int) -> list[T]:
        """Up to `count` different choices, in the order drawn."""
        pool = list(choices)
        count = min(count, len(pool))
        for index in range(count):
            other = index + int(self._next() * (len(pool) - index))
            pool[index], pool[other] = pool[other], pool[index]
        return pool[:count]
