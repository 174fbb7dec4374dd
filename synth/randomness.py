"""Randomness that depends on the run's seed and the record, never on what arrived first."""

from __future__ import annotations

import random
from hashlib import sha256


def derive_seed(seed: int, *parts: object) -> int:
    """A number in [0, 2**31) that is the same for the same seed and parts, on every machine."""
    digest = sha256("\x1f".join(map(str, (seed, *parts))).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def derive_random(seed: int, *parts: object) -> random.Random:
    """A generator of its own for one decision, say ("evolve", round, record id)."""
    return random.Random(derive_seed(seed, *parts))
