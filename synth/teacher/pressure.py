"""Limits the requests in flight at a replica to the recipe's number, or fewer while they queue.

    vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 64.0
    vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 128.0
    llamacpp:requests_deferred 3

A queued request generates nothing while its deadline approaches, but a queue that is never empty
keeps the engine busy. So the limit settles where a few requests wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

QUEUE_SHARE = 0.1
"""Waiting requests allowed per running one (at least 1), and the share of refusals allowed."""
PATIENT_LOOKS = 2  # requests that arrive together wait for a moment even if there is room
CUT = 0.75
FLOOR_SHARE = 1 / 16
STEP_SHARE = 1 / 64  # from the floor back to the top in about a minute
FULL_CACHE = 0.95  # above this, vLLM soon preempts requests and computes them twice

SAMPLE = re.compile(r"^(?:vllm|llamacpp):(\w+)(?:\{.*\})? ([0-9.eE+]+)$", re.MULTILINE)


class PrefixUse(NamedTuple):
    """The numbers of prompt tokens looked up in the prefix cache, and found there."""

    queries: int = 0
    hits: int = 0

    @property
    def share(self) -> float | None:
        """The share of tokens found, 0 to 1; None if none was looked up."""
        return self.hits / self.queries if self.queries else None

    def since(self, before: PrefixUse) -> PrefixUse:
        """The use since `before`; the whole use if the server restarted in between."""
        if self.queries < before.queries:
            return self
        return PrefixUse(self.queries - before.queries, self.hits - before.hits)

    def plus(self, other: PrefixUse) -> PrefixUse:
        """The sum of both."""
        return PrefixUse(self.queries + other.queries, self.hits + other.hits)


@dataclass(frozen=True, slots=True)
class Pressure:
    """The load that vLLM or llama.cpp reports at /metrics, as the sum over a server's engines."""

    running: float = 0
    waiting: float = 0
    cache: float = 0
    """How full the fullest KV cache is, 0 to 1."""
    tokens: float = 0
    """Tokens read and generated since the start. While this grows, the engine is alive."""
    prefixes: PrefixUse = field(default_factory=PrefixUse)
    """The use of the prefix cache since the start."""
    engine_apart: bool = True
    """Whether the engine is a separate process, which can hang while /health answers."""


def read_pressure(text: str) -> Pressure | None:
    """The load in the metrics; None if the text is neither vLLM's nor llama.cpp's."""
    found: dict[str, list[float]] = {}
    for name, value in SAMPLE.findall(text):
        found.setdefault(name, []).append(float(value))

    def total(*names: str) -> float:
        return sum(sum(found.get(name, ())) for name in names)

    if "num_requests_running" in found:
        return Pressure(
            running=total("num_requests_running"),
            waiting=total("num_requests_waiting"),
            cache=max(found.get("kv_cache_usage_perc", (0,))),
            tokens=total("prompt_tokens_total", "generation_tokens_total"),
            prefixes=PrefixUse(
                int(total("prefix_cache_queries_total")), int(total("prefix_cache_hits_total"))
            ),
        )
    if "requests_processing" in found:
        return Pressure(
            running=total("requests_processing"),
            waiting=total("requests_deferred"),
            # llama.cpp counts a reply's tokens only at its end, but each decoding step at once
            tokens=total("prompt_tokens_total", "tokens_predicted_total", "n_decode_total"),
            prefixes=PrefixUse(
                int(total("prompt_tokens_total", "prompt_tokens_cached_total")),
                int(total("prompt_tokens_cached_total")),
            ),
            engine_apart=False,
        )
    return None


class ReplicaLoad(NamedTuple):
    """What a replica has to do."""

    url: str
    up: bool
    """Whether it gets requests."""
    in_flight: int
    slots: int
    """The most requests in flight that it gets now."""


class TeacherLoad(NamedTuple):
    """What a teacher has to do."""

    queued: int
    """Requests that wait for a free slot, or for the budget."""
    replicas: list[ReplicaLoad]


class InFlightLimit:
    """The limit of requests in flight: lowered by a quarter while crowded, else raised in steps.

    Never below the number of running requests, nor below a sixteenth of the recipe's number. For
    llama.cpp it may go down to the number of slots.
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
        """Adjusts the limit to the events since the last look.

        `refused` counts 429, 5xx and late replies. `pressure` is None if the server reports none.
        `moves` means that there was an answer or a token.
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
            # wait until the last cut has taken effect: cutting again before would go too far
            if self._crowded_looks >= PATIENT_LOOKS and in_flight <= self.now:
                # do not go below what runs, which would leave slots empty for a moment
                # (llama.cpp lets requests wait only when all its slots are taken)
                least = max(self._floor if seen.engine_apart else 1.0, seen.running)
                self._exact = min(self._exact, max(least, self._exact * CUT))
        self.now = int(self._exact)
