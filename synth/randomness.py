"""Randomness that depends only on the run's seed and the record, not on the order of replies."""

from __future__ import annotations

import random
from hashlib import sha256


def derive_seed(seed: int, *parts: object) -> int:
    """A number in [0, 2**31): the same seed and parts give the same number on every machine."""
    digest = sha256("\x1f".join(map(str, (seed, *parts))).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def derive_random(seed: int, *parts: object) -> random.Random:
    """A separate generator for one decision, identified by, say, ("evolve", round, record id)."""
    return random.Random(derive_seed(seed, *parts))
