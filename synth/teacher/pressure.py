"""How many requests a replica may hold: as many as the recipe says, fewer while they queue there.

    vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 64.0
    vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 128.0

A request that waits in vLLM's queue generates nothing while its deadline comes nearer; a queue that
is never empty keeps the engine full. So the limit comes to rest where a few wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

QUEUE_SHARE = 0.1
"""So many may wait for each that runs (one always may); so many answers may be refusals."""
PATIENT_LOOKS = 2  # requests that arrive together wait for a moment even where there is room
CUT = 0.75
FLOOR_SHARE = 1 / 16
STEP_SHARE = 1 / 64  # from the floor back to the top in a minute of looks
FULL_CACHE = 0.95  # above it vLLM soon takes requests out again, and computes them twice

GAUGE = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc"
    r"|prompt_tokens_total|generation_tokens_total|prefix_cache_queries_total"
    r"|prefix_cache_hits_total)(?:\{.*\})? ([0-9.eE+]+)$",
    re.MULTILINE,
)


class PrefixUse(NamedTuple):
    """Prompt tokens looked up in the prefix cache, and those found there."""

    queries: int = 0
    hits: int = 0

    @property
    def share(self) -> float | None:
        """Of the tokens that were found, 0 to 1; None where none was looked up."""
        return self.hits / self.queries if self.queries else None

    def since(self, before: PrefixUse) -> PrefixUse:
        """What came in between; all of it where the server was started again meanwhile."""
        if self.queries < before.queries:
            return self
        return PrefixUse(self.queries - before.queries, self.hits - before.hits)

    def plus(self, other: PrefixUse) -> PrefixUse:
        """Both together."""
        return PrefixUse(self.queries + other.queries, self.hits + other.hits)


@dataclass(frozen=True, slots=True)
class Pressure:
    """What a vLLM server tells of its load at /metrics, its engines taken together."""

    running: float = 0
    waiting: float = 0
    cache: float = 0
    """The fullest KV cache, 1 is full."""
    tokens: float = 0
    """Read and generated since it started: while this grows, it lives."""
    prefixes: PrefixUse = field(default_factory=PrefixUse)
    """Since it started."""


def read_pressure(text: str) -> Pressure | None:
    """None where the text is not vLLM's exposition."""
    found: dict[str, list[float]] = {}
    for name, value in GAUGE.findall(text):
        found.setdefault(name, []).append(float(value))
    if "num_requests_running" not in found:
        return None
    return Pressure(
        running=sum(found["num_requests_running"]),
        waiting=sum(found.get("num_requests_waiting", ())),
        cache=max(found.get("kv_cache_usage_perc", (0,))),
        tokens=sum(found.get("prompt_tokens_total", ()))
        + sum(found.get("generation_tokens_total", ())),
        prefixes=PrefixUse(
            int(sum(found.get("prefix_cache_queries_total", ()))),
            int(sum(found.get("prefix_cache_hits_total", ()))),
        ),
    )


class Limit:
    """The most requests in flight: cut by a quarter while crowded, raised by a step while not.

    Never cut below what runs there, nor below a sixteenth of what the recipe says.
    """

    def __init__(self, most: int) -> None:
        self.now = most
        self._exact = float(most)
        self._most = most
        self._floor = max(1.0, most * FLOOR_SHARE)
        self._step = max(1.0, most * STEP_SHARE)
        self._crowded_looks = 0

    def look(
        self, pressure: Pressure | None, in_flight: int, answered: int, refused: int, *, moves: bool
    ) -> None:
        """Adjusts the limit to what was seen since the last look.

        `refused` counts 429, 5xx and late replies; `pressure` is None where the server tells none;
        `moves` where there was an answer or a token.
        """
        seen = pressure or Pressure()
        crowded = seen.waiting > max(1.0, QUEUE_SHARE * seen.running) or refused > QUEUE_SHARE * (
            answered + refused
        )
        if not crowded:
            self._crowded_looks = 0
            if moves and not seen.waiting and seen.cache < FULL_CACHE:
                self._exact = min(self._most, self._exact + self._step)
        else:
            self._crowded_looks += 1
            # the last cut shows only once as many have left: cutting meanwhile would go too far
            if self._crowded_looks >= PATIENT_LOOKS and in_flight <= self.now:
                # what runs there has room; with fewer, its seats would stand empty for a moment
                least = max(self._floor, seen.running)
                self._exact = min(self._exact, max(least, self._exact * CUT))
        self.now = int(self._exact)
