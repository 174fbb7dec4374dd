"""What a recipe may want of a server beyond plain chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Need(StrEnum):
    """An ability of a server, as it is told."""

    SEVERAL = "several answers a request"
    SCHEMA = "JSON by a schema"
    LOGPROBS = "log probabilities"
    SEED = "seed"
    TEMPLATE = "chat-template options"
    RAW = "raw completions"
    PRIORITY = "priority"
    SYSTEM = "system turns"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a server has it, and what was seen."""

    has: bool
    told: str


YES = Finding(True, "yes")
ACCEPTED = Finding(True, "accepted")
"""It took the option; whether it heeds it cannot be seen from one answer."""
FOLDED = Finding(True, "put into the user turn, `system: fold`")
"""Nobody need be asked."""

Findings = Mapping[Need, Finding]
