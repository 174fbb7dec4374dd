"""What a verifier's note says: the two answers that it compared, and how."""

from __future__ import annotations

NOTE_CHARS = 80


def quoted(gold: str, given: str, how: str) -> str:
    """The evidence: both answers, shortened, and how they were compared."""
    return f"{given[:NOTE_CHARS]!r} against {gold[:NOTE_CHARS]!r}: {how}"
