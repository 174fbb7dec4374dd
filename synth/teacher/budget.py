"""The budget of a run: hard caps on tokens, hours and cost, and a deadline.

Before a request is sent, the most that it can use is reserved. Once it is answered, the server's
count takes the reservation's place. All stages and shards of a run share one budget. What was used
is in a file, which later runs of the folder continue. `outputs/mine/budget.json`:

    {"tokens_in": 812000, "tokens_out": 240100, "reserved_in": 0, "reserved_out": 0,
     "unanswered": 0, "seconds": 812.4}
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from synth.errors import BudgetSpentError, StoreFault
from synth.store.durable import write_bytes
from synth.teacher.caps import SECONDS_AN_HOUR, BudgetConfig

NAME = "budget.json"
TEMPLATE_TOKENS = 1024
"""The most tokens that a chat template adds to a prompt. SmolLM3's, with its default system prompt,
adds about 250. If a prompt turns out to have more, later requests reserve more."""
AHEAD = 32
"""Requests that one write of the file covers, so that not each request waits for the disk."""
AHEAD_SHARE = 0.01
"""These requests are at most this share of a cap."""
SAVE_EVERY_S = 60.0
"""After `kill -9`, at most so much time is not counted."""


class Used(BaseModel):
    """What runs of a folder have used so far. The content of `budget.json`."""

    model_config = ConfigDict(extra="forbid")

    tokens_in: int = 0
    tokens_out: int = 0
    reserved_in: int = 0
    """Tokens of requests without an answer yet, and of some that may follow."""
    reserved_out: int = 0
    unanswered: int = 0
    """How many of the tokens are reservations of requests whose answer never arrived."""
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """The tokens of prompts and replies together."""
        return self.tokens_in + self.tokens_out

    def settled(self) -> Used:
        """The same after the process has died: everything reserved counts as used."""
        return Used(
            tokens_in=self.tokens_in + self.reserved_in,
            tokens_out=self.tokens_out + self.reserved_out,
            unanswered=self.unanswered + self.reserved_in + self.reserved_out,
            seconds=self.seconds,
        )


class Tokens(NamedTuple):
    """Tokens of prompts and of replies."""

    into: int = 0
    out: int = 0


class Claim:
    """A request's share of the budget. The pool takes it before each attempt.

    As a context manager, it is busy until the request's reply is on disk.
    """

    def __init__(self, budget: Budget, most: Tokens) -> None:
        self._budget = budget
        self._most = most
        self._held = False
        self._busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._held:
            self.settle(None)
        if self._busy:
            self._busy = False
            self._budget.ends()

    def take(self) -> bool:
        """Reserves the tokens of an attempt. False if it must wait, or if the budget is spent."""
        if not self._budget.reserve(self._most):
            return False
        self._held = self._busy = True
        return True

    def settle(self, used: Tokens | None, answered: bool = False) -> None:
        """Counts what an attempt used, in place of its reservation.

        None counts the whole reservation: the server may have generated the reply although it did
        not arrive. An attempt that was not `answered` is not waited for any more.
        """
        if not self._held:
            return
        self._held = False
        self._budget.settle(self._most, used)
        if not answered:
            self._busy = False
            self._budget.ends()


class Budget:
    """The budget of one run. `running` opens it; requests take a `Claim` on it.

    Without a path, nothing is counted beyond this process: enough for a deadline alone.
    """

    def __init__(self, config: BudgetConfig, path: Path | None) -> None:
        self.config = config
        self._path = path
        self._used = Used()
        self._held = Tokens()
        self._on_disk = Tokens()
        """The tokens that the file counts as used or reserved."""
        self._begun = 0.0
        self._before_s = 0.0
        """The time that earlier runs took."""
        self._deadline: datetime | None = None
        self._template = TEMPLATE_TOKENS
        self._busy = 0
        """Requests in flight, or answered and not on disk yet."""
        self._saving: asyncio.Task[None] | None = None
        self._attached: list[tuple[Callable[[], None], Callable[[BaseException], None]]] = []

    def attach(self, room: Callable[[], None], end: Callable[[BaseException], None]) -> None:
        """Adds what to call when requests may fit again, and when no more may be sent."""
        self._attached.append((room, end))

    def _room(self) -> None:
        for room, _ in self._attached:
            room()

    def _end(self, error: BaseException) -> None:
        for _, end in self._attached:
            end(error)

    @asynccontextmanager
    async def running(
        self, count: Callable[[], Tokens], say: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Counts tokens and time for the length of the block. The caller has locked the folder.

        `count` counts the tokens of journaled replies, if there is no file. Raises `StoreFault`.
        """
        self._used = await asyncio.to_thread(self._found, count, say)
        self._before_s, self._begun = self._used.seconds, time.monotonic()
        self._deadline = self.config.deadline(datetime.now(UTC))
        say(f"budget: {self.words()}")
        clock = asyncio.create_task(self._watch_clock())
        try:
            yield
        finally:
            clock.cancel()
            if self._saving:
                await asyncio.gather(self._saving, return_exceptions=True)
            await asyncio.to_thread(self._write, self._now())

    def claim(self, prompt_bytes: int, tokens_out: int) -> Claim:
        """A claim for a request with a body of so many bytes, and at most so many reply tokens.

        No tokenizer that falls back to bytes makes more tokens of a prompt than it has bytes.
        """
        return Claim(self, Tokens(prompt_bytes + self._template, tokens_out))

    def reserve(self, most: Tokens) -> bool:
        """Reserves the tokens. False if they do not fit now, or if the file must be written first.

        If nothing is in flight and they do not fit, no more requests are sent.
        """
        spent = self._over(most)
        if spent is not None:
            if not self._busy:
                self._end(spent)
            return False
        used = self._used
        wanted = Tokens(
            used.tokens_in + self._held.into + most.into,
            used.tokens_out + self._held.out + most.out,
        )
        if wanted.into > self._on_disk.into or wanted.out > self._on_disk.out:
            if self._saving is None:
                self._saving = asyncio.create_task(self._save(most))
            return False
        self._held = Tokens(self._held.into + most.into, self._held.out + most.out)
        self._busy += 1
        return True

    def settle(self, most: Tokens, used: Tokens | None) -> None:
        """Counts the tokens used in place of those reserved."""
        self._held = Tokens(self._held.into - most.into, self._held.out - most.out)
        if used is None:
            self._used.unanswered += sum(most)
        elif used.into > most.into:
            self._template += used.into - most.into
        counted = used or most
        self._used.tokens_in += counted.into
        self._used.tokens_out += counted.out

    def ends(self) -> None:
        """Records that a request has its reply on disk, or gets none."""
        self._busy -= 1
        self._room()

    def words(self) -> str:
        """The caps and how much of them is used: `1,200 of 10,000 tokens used`."""
        config, used = self.config, self._now()
        parts = []
        if config.tokens is not None:
            parts.append(f"{used.tokens:,} of {config.tokens:,} tokens used")
        if config.cost is not None:
            parts.append(f"{self._cost(used):,.2f} of {config.cost:,.2f} spent")
        if config.hours is not None:
            parts.append(f"{used.seconds / SECONDS_AN_HOUR:,.2f} of {config.hours:g} hours used")
        if used.unanswered:
            parts.append(f"{used.unanswered:,} tokens are counted for requests without an answer")
        if self._deadline is not None:
            parts.append(f"no requests after {self._deadline:%Y-%m-%d %H:%M %Z}")
        return "; ".join(parts)

    def _over(self, most: Tokens) -> BudgetSpentError | None:
        """Why a request with these tokens may not be sent now; None if it may."""
        config, used = self.config, self._now()
        if self._deadline is not None and datetime.now(UTC) >= self._deadline:
            return BudgetSpentError(
                f"the deadline {self._deadline:%Y-%m-%d %H:%M %Z} has passed", "until"
            )
        if config.hours is not None and used.seconds >= config.hours * SECONDS_AN_HOUR:
            return BudgetSpentError(f"the budget of {config.hours:g} hours is used up", "hours")
        into = used.tokens_in + self._held.into + most.into
        out = used.tokens_out + self._held.out + most.out
        if config.tokens is not None and into + out > config.tokens:
            return BudgetSpentError(
                f"the token budget is used up: {used.tokens:,} of {config.tokens:,} are used, and "
                f"the next request may need {sum(most):,}",
                "tokens",
            )
        price, cost = config.price, config.cost
        if cost is not None and price is not None and price.of(into, out, used.seconds) > cost:
            return BudgetSpentError(
                f"the cost budget is used up: {self._cost(used):,.4g} of {cost:,.4g} is spent, and "
                f"the next request may cost {price.of(most.into, most.out, 0):,.4g}",
                "cost",
            )
        return None

    def _now(self) -> Used:
        if self._begun:
            self._used.seconds = self._before_s + time.monotonic() - self._begun
        return self._used

    def _cost(self, used: Used) -> float:
        price = self.config.price
        return price.of(used.tokens_in, used.tokens_out, used.seconds) if price else 0.0

    def _seconds_left(self) -> float:
        """Until the first of the caps on time, or the cost of the GPUs' time, is reached."""
        config, used, left = self.config, self._now(), inf
        if self._deadline is not None:
            left = (self._deadline - datetime.now(UTC)).total_seconds()
        if config.hours is not None:
            left = min(left, config.hours * SECONDS_AN_HOUR - used.seconds)
        if config.cost is not None and config.price and config.price.per_gpu_hour:
            each = config.price.of(0, 0, 1)
            left = min(left, (config.cost - self._cost(used)) / each)
        return max(left, 0.0)

    async def _watch_clock(self) -> None:
        """Saves the time used once a minute, and ends the run when a cap on time is reached."""
        while True:
            left = self._seconds_left() or SAVE_EVERY_S  # after a cap, requests in flight end it
            await asyncio.sleep(min(SAVE_EVERY_S, left + 0.01))
            self._room()
            if self._saving is None:
                self._saving = asyncio.create_task(self._save(Tokens()))

    async def _save(self, most: Tokens) -> None:
        """Writes what is used and reserved, and room for more requests such as this one."""
        held, ahead = self._held, self._ahead(most)
        more = Tokens(held.into + ahead * most.into, held.out + ahead * most.out)
        reserving = self._now().model_copy(
            update={"reserved_in": more.into, "reserved_out": more.out}
        )
        covered = Tokens(reserving.tokens_in + more.into, reserving.tokens_out + more.out)
        known = self._on_disk  # until the file is written, only what both versions cover is safe
        self._on_disk = Tokens(min(known.into, covered.into), min(known.out, covered.out))
        try:
            await asyncio.to_thread(self._write, reserving)
        except StoreFault as fault:
            self._end(fault)
            return
        finally:
            self._saving = None
        self._on_disk = covered
        self._room()

    def _ahead(self, most: Tokens) -> int:
        """How many requests such as this one the file reserves at once: a killed run loses them."""
        config, ahead = self.config, float(AHEAD)
        if config.tokens is not None and any(most):
            ahead = min(ahead, AHEAD_SHARE * config.tokens / sum(most))
        each = config.price.of(most.into, most.out, 0) if config.price else 0
        if config.cost is not None and each:
            ahead = min(ahead, AHEAD_SHARE * config.cost / each)
        return max(1, int(ahead))

    def _write(self, used: Used) -> None:
        if self._path is not None:
            write_bytes(self._path, used.model_dump_json().encode() + b"\n")

    def _found(self, count: Callable[[], Tokens], say: Callable[[str], None]) -> Used:
        """What earlier runs of the folder used."""
        if self._path is None:
            return Used()
        try:
            return Used.model_validate_json(self._path.read_bytes()).settled()
        except FileNotFoundError:
            pass
        except ValidationError:
            say(
                f"WARNING: {self._path} is damaged: the journals are counted instead, without the "
                "time and the unanswered requests of earlier runs"
            )
        tokens = count()
        return Used(tokens_in=tokens.into, tokens_out=tokens.out)
