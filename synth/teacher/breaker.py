"""The circuit breaker of a replica: when it is trusted with requests, and when it is not.

    TRUSTED --3 failures in a row, or a stall--> DOUBTED --probe fails--> DOWN
       ^------------------- a probe succeeds -------'--------------------'

A doubted replica gets no new requests but keeps those it has: only a failed probe takes them away,
because each may hold minutes of generation.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

FAILURES = 3


class State(StrEnum):
    """Whether a replica is asked."""

    TRUSTED = "trusted"
    DOUBTED = "doubted"
    """Not asked until the probe that is under way has spoken."""
    DOWN = "down"
    """Not asked until a probe succeeds."""


class Breaker:
    """Closed while `state` is TRUSTED."""

    def __init__(self) -> None:
        self.state = State.TRUSTED
        self.why = ""
        """What is held against the replica, in words."""
        self.doubted = asyncio.Event()
        """Set from the doubt to its end: whoever probes waits for it."""
        self._failures = 0

    def answered(self) -> None:
        """A request was answered."""
        self._failures = 0

    def failed(self, why: str) -> None:
        """A request met a connection error, a 5xx, or its deadline."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.doubt(why)

    def doubt(self, why: str) -> None:
        """The replica is to be probed; no effect where it already is."""
        if self.state is State.TRUSTED:
            self.state, self.why = State.DOUBTED, why
            self.doubted.set()

    def open(self, why: str) -> None:
        """The probe failed."""
        self.state, self.why = State.DOWN, why

    def close(self) -> None:
        """The probe succeeded."""
        self.state, self.why = State.TRUSTED, ""
        self._failures = 0
        self.doubted.clear()
