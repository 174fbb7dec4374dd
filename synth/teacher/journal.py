"""The journal: every reply is on disk before it is used, so that no token is paid for twice.

There is one SQLite file per shard, in WAL mode, synced at each commit. A commit holds up to 64
replies, or those of 250 ms, or, on a slow disk, those that arrived during the last sync. Each row
holds an unchanged HTTP answer, its question's key, the request's `max_tokens` and a checksum. `kill
-9` loses only the requests in flight. If a reply was damaged on disk, its request is sent again.

Stages ask a `JournaledTeacher`. Before it sends a request, it looks it up in the journal, and then
in the journals of the stage's other shards (`synth/teacher/others.py`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from synth.errors import StoreFault
from synth.record import ToolCall, Turn
from synth.teacher.budget import Budget, Claim
from synth.teacher.control import as_received
from synth.teacher.parse import CompletionAnswer, HttpAnswer, parse_replies, request_id
from synth.teacher.pressure import PrefixUse, TeacherLoad
from synth.teacher.protocol import CHAT, YES, Abilities, Identity, Need, Reply, Request, limited
from synth.teacher.schema import BrokenError, conformed, json_in, shown

COMMIT_REPLIES = 64
COMMIT_AFTER_S = 0.25
MOST_NAMED = 5
"""The number of damaged replies that a note names."""

_DISK = ThreadPoolExecutor(1, thread_name_prefix="journal")
"""The only thread that writes. Commits wait for the disk, which must not block the event loop."""


class Stored(NamedTuple):
    """A row of a journal."""

    path: Path
    answer: HttpAnswer | None
    """None if it was damaged on disk."""
    max_tokens: int
    """Of the request that got this answer."""


class Journal:
    """The answers to one shard's requests, by key. Open it with `Journal.open`, then `close` it."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._known: dict[bytes, int] = {}
        """The last row under each key."""
        self._older: dict[bytes, list[int]] = {}
        """The rows before it, of the few keys that have several."""
        self._loop = asyncio.get_running_loop()  # looking it up is a system call in Python 3.11
        self._pending: list[tuple[bytes, int, int, bytes]] = []
        self._waiting: list[asyncio.Future[None]] = []
        """One per pending answer, in the same order."""
        self._timer: asyncio.TimerHandle | None = None
        self._commit: asyncio.Task[None] | None = None
        self._due = False

    @classmethod
    async def open(cls, path: Path) -> Journal:
        """The journal in the file, created if there is none. Raises `StoreFault`."""
        loop = asyncio.get_running_loop()
        try:
            database = await loop.run_in_executor(_DISK, _connect, path)
            journal = cls(path, database)
            await loop.run_in_executor(_DISK, journal._read_keys)
        except (sqlite3.Error, OSError) as error:
            raise _fault(path, error) from error
        return journal

    def _read_keys(self) -> None:
        # row by row: a list of a million rows takes 65 MB more
        for key, row_id in self._database.execute("SELECT key, rowid FROM replies ORDER BY rowid"):
            self._add(key, row_id)

    def _add(self, key: bytes, row_id: int) -> None:
        if key in self._known:
            self._older.setdefault(key, []).append(self._known[key])
        self._known[key] = row_id

    async def get(self, key: bytes) -> list[Stored]:
        """The answers under the key, the last one first. Raises `StoreFault`."""
        last = self._known.get(key)
        if last is None:
            return []
        rows = [last, *reversed(self._older.get(key, ()))]
        try:
            return await self._loop.run_in_executor(
                _DISK, stored, self._database, self.path, key, rows
            )
        except sqlite3.Error as error:
            raise _fault(self.path, error) from error

    async def put(self, key: bytes, answer: HttpAnswer, max_tokens: int) -> None:
        """Returns once the answer is on disk. Raises `StoreFault` if it cannot be written."""
        if not self._pending:
            self._timer = self._loop.call_later(COMMIT_AFTER_S, self._begin)
        self._pending.append((key, answer.status, max_tokens, answer.body))
        committed = self._loop.create_future()
        self._waiting.append(committed)
        if len(self._pending) == COMMIT_REPLIES:
            self._begin()
        await committed

    async def close(self) -> None:
        """Writes what is pending and closes the file. Raises `StoreFault`."""
        self._begin()
        if self._commit:
            await self._commit
        try:
            await self._loop.run_in_executor(_DISK, self._database.close)
        except sqlite3.Error as error:
            raise _fault(self.path, error) from error

    def _begin(self) -> None:
        """Commits what is pending, now or when the commit under way has ended."""
        self._due = bool(self._pending)
        if self._due and self._commit is None:
            self._commit = self._loop.create_task(self._write())

    async def _write(self) -> None:
        """Commits, one at a time, while a commit is due. Each takes about one wait for the disk."""
        while self._due:
            rows, waiting = self._pending, self._waiting
            self._pending, self._waiting, self._due = [], [], False
            if self._timer:
                self._timer.cancel()
            wrong: StoreFault | None = None
            try:
                last = await self._loop.run_in_executor(_DISK, _insert, self._database, rows)
            except sqlite3.Error as error:
                wrong = _fault(self.path, error)
            else:
                first = last - len(rows) + 1
                for n, (key, *_) in enumerate(rows):
                    self._add(key, first + n)
            for committed in waiting:
                if committed.done():  # its waiter was cancelled
                    continue
                if wrong is None:
                    committed.set_result(None)
                else:
                    committed.set_exception(wrong)
        self._commit = None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.text_factory = bytes  # only a damaged row holds text, and its checksum shows it
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    # No index: replies are appended, and found through the keys in memory. An index over hashes
    # would write to another page of the file for each reply.
    database.execute(
        "CREATE TABLE IF NOT EXISTS replies (key BLOB NOT NULL, status INTEGER NOT NULL,"
        " max_tokens INTEGER NOT NULL, body BLOB NOT NULL, checksum INTEGER NOT NULL)"
    )
    # fails in an older journal
    database.execute("SELECT checksum, max_tokens FROM replies LIMIT 0")
    return database


def stored(
    database: sqlite3.Connection, path: Path, key: bytes, row_ids: Sequence[int]
) -> list[Stored]:
    """Those of the rows of a journal that have the key, in order. Raises `sqlite3.Error`."""
    query = "SELECT key, status, max_tokens, body, checksum FROM replies WHERE rowid = ?"
    found = []
    for row_id in row_ids:
        row = database.execute(query, (row_id,)).fetchone()
        if row is None or row[0] != key:
            continue
        _, status, limit, body, _ = row
        intact = is_intact(*row)
        answer = HttpAnswer(status, body) if intact else None
        found.append(Stored(path, answer, limit if intact else 0))
    return found


def _insert(database: sqlite3.Connection, rows: list[tuple[bytes, int, int, bytes]]) -> int:
    """Appends the rows in order and returns the last one's rowid."""
    database.execute("BEGIN")
    try:
        database.executemany(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?)", ((*row, _checksum(*row)) for row in rows)
        )
        last: int = database.execute("SELECT max(rowid) FROM replies").fetchone()[0]
        database.execute("COMMIT")
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return last


def is_intact(key: object, status: object, max_tokens: object, body: object, checksum: int) -> bool:
    """Whether the values of a journal's row match its checksum. Damage may change a type, too."""
    return (
        type(key) is bytes
        and type(status) is int
        and type(max_tokens) is int
        and type(body) is bytes
        and checksum == _checksum(key, status, max_tokens, body)
    )


def _checksum(key: bytes, status: int, max_tokens: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(b"%b%d,%d" % (key, status, max_tokens)))


def _fault(path: Path, error: Exception) -> StoreFault:
    return StoreFault(
        f"the journal {path} failed: {error}; the run stops, because an unjournaled reply would be "
        "paid for twice. Free disk space or move the file away, then run the same command again"
    )


class Transport(Protocol):
    """Sends a request's body to a server."""

    async def ask(
        self,
        body: bytes,
        path: str = CHAT,
        request_id: str = "",
        shard: int = 0,
        claim: Claim | None = None,
    ) -> CompletionAnswer:
        """The answer to the body at `path`. Raises `TeacherFault` if there is none, and
        `BudgetSpentError` if the budget does not allow the request.

        `request_id` is sent to the server, which may repeat it in its answer. Waiting requests of
        an earlier `shard` go first. Each attempt takes the `claim` on the budget.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServedTeacher:
    """A teacher that is up: its transport, identity and abilities."""

    transport: Transport
    identity: Identity
    names: frozenset[str] = frozenset()
    """The names under which the model may answer; empty allows any."""
    description: str = ""
    """Its name and address, for messages."""
    context: int | None = None
    """Maximum length of prompt plus reply, in tokens; None if the server does not report it."""
    prefix_use: Callable[[], Awaitable[PrefixUse]] | None = None
    """Returns the use of its prefix cache since the last call."""
    load: Callable[[], TeacherLoad] | None = None
    """Returns what its replicas have to do now."""
    abilities: Abilities = field(default_factory=dict)
    """The needs that were checked."""
    budget: Budget | None = None
    """The run's budget, if it has caps."""
    most_answers: int | None = None
    """Maximum number of answers to one request, if there is a limit."""

    def gives(self, answers: int) -> bool:
        """Whether one request can get this many answers. If not, each needs its own request."""
        within = self.most_answers is None or answers <= self.most_answers
        return within and self.abilities.get(Need.SEVERAL, YES).has


class Again(StrEnum):
    """Why a question with a journaled reply is asked again."""

    DAMAGED = "damaged"
    """The reply was damaged on disk."""
    CUT = "cut"
    """A smaller `max_tokens` cut the reply. A second chance with more room counts here too."""
    TOO_LONG = "too_long"
    """The reply may have more tokens than today's `max_tokens` allows."""
    REFUSED = "refused"
    """Under another `max_tokens` there was no usable answer."""


def unfit(replies: Sequence[Reply], given: int, wanted: int) -> Again | None:
    """Why replies under the `max_tokens` `given` are none under `wanted`; None if they fit.

    The server counts several answers together, so together they must be within a lower limit.
    """
    if given == wanted:
        return None
    if not all(reply.finish_reason for reply in replies):
        return Again.REFUSED
    cut = any(r.finish_reason == "length" or r.fault == "reasoning_unfinished" for r in replies)
    if given < wanted:
        return Again.CUT if cut else None
    tokens = sum(reply.tokens_out for reply in replies)
    known = tokens > 0 and not any(reply.miscounted for reply in replies)
    return None if known and tokens <= wanted and not cut else Again.TOO_LONG


@dataclass(slots=True)
class Tally:
    """The counts of a shard's requests so far."""

    requests: int = 0
    reused: int = 0
    moved: int = 0
    """Reused replies that came from another shard's journal."""
    again: dict[bytes, Again] = field(default_factory=dict)
    """The questions that were asked again although a journal had a reply, by key."""
    rows_again: int = 0
    """Rows that were asked anew in part, because the stage learns from the shard's other rows."""
    retries: int = 0
    """Failed attempts of requests that were later answered or given up."""
    unusable: int = 0
    """Replies without usable text."""
    tokens_in: int = 0
    tokens_out: int = 0
    miscounted: int = 0
    """Requests with impossible token counts."""
    prefixes: PrefixUse = field(default_factory=PrefixUse)
    """The use of the prefix cache. Shards that run at the same time share the sum."""
    damaged: dict[bytes, Path] = field(default_factory=dict)
    """The keys of damaged replies whose requests were sent again, with the reply's journal."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about these counts."""
        notes = []
        if self.miscounted:
            counts = f"the teacher's token counts of {self.miscounted:,} requests are impossible"
            notes.append(f"{counts} (negative, huge or not a whole number): they are clamped")
        if self.damaged:
            shown: dict[Path, list[str]] = {}
            for key, path in list(self.damaged.items())[:MOST_NAMED]:
                shown.setdefault(path, []).append(key.hex())
            named = "; ".join(f"{path}, key {', '.join(keys)}" for path, keys in shown.items())
            more = ", …" if len(self.damaged) > MOST_NAMED else ""
            notes.append(
                f"{len(self.damaged):,} journaled replies were damaged on disk (wrong checksum), "
                f"so their requests were sent again: {named}{more}"
            )
        return tuple(notes)


class JournaledTeacher:
    """A served teacher with a journal: every answer is on disk before it is used.

    `on_reply` is called with each reply, and whether it came from a journal. Requests of an
    earlier `shard` go first. `others` looks a key up in further journals. `tally` counts.
    """

    def __init__(
        self,
        served: ServedTeacher,
        journal: Journal,
        on_reply: Callable[[Reply, bool], None] | None = None,
        shard: int = 0,
        others: Callable[[bytes], Awaitable[list[Stored]]] | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.identity: Identity = served.identity
        self.tally = tally or Tally()
        self._served = served
        self._journal = journal
        self._on_reply = on_reply
        self._shard = shard
        self._others = others

    async def reply(self, request: Request) -> Reply:
        """See `Teacher.reply`. Also raises `StoreFault` if the journal fails."""
        assert request.n == 1, "use `replies` for several answers"
        [reply] = await self.ask(request)
        if reply.fault is None and request.schema is None:
            return reply
        return await self._second_chance(request, reply)

    async def replies(self, request: Request) -> list[Reply]:
        """See `Teacher.replies`. Raises the errors of `reply`, in a group for several answers."""
        if request.n == 1:
            return [await self.reply(request)]
        alone = [request.alone(index) for index in range(request.n)]
        # vLLM refuses several greedy answers, which would all be identical
        if not self._served.gives(request.n) or not request.sampling.temperature:
            return await _all(self.reply(one) for one in alone)
        first = await self.ask(request)
        return await _all(map(self._second_chance, alone, first))

    async def _second_chance(self, request: Request, reply: Reply) -> Reply:
        """The final reply. If the first was cut off or breaks its schema, asks once more.

        Each second chance is a separate request.
        """
        sampling = request.sampling
        if reply.finish_reason == "length" and sampling.retry_max_tokens:
            [reply] = await self.ask(replace(request, sampling=sampling.roomier))
        if request.schema is None or reply.fault or reply.calls:
            return reply
        try:
            return replace(reply, text=conformed(json_in(reply.text), request.schema))
        except BrokenError as wrong:
            reply = replace(reply, fault="reply_breaks_schema")
            if request.prompt is not None:  # there is no conversation to continue
                return reply
            turns = [*request.turns, *shown(reply.text, wrong)]
        [again] = await self.ask(replace(request, turns=turns, sampling=sampling.roomier))
        if again.fault:
            return reply
        try:
            return replace(again, text=conformed(json_in(again.text), request.schema))
        except BrokenError:
            return replace(again, fault="reply_breaks_schema")

    async def ask(self, request: Request) -> list[Reply]:
        """The replies to exactly this request, from the journal or else from the server."""
        request = self.identity.asks(request)
        question = request.question(self.identity.model)
        key, limit = self.identity.key(question), request.sampling.max_tokens
        found = await self._journaled(key, request)
        replies = found or await self._asked(key, request, limited(question, limit))
        tally = self.tally
        tally.requests += 1
        tally.reused += found is not None
        tally.miscounted += replies[0].miscounted
        for reply in replies:
            tally.unusable += reply.fault is not None
            tally.tokens_in += reply.tokens_in
            tally.tokens_out += reply.tokens_out
            if self._on_reply:
                self._on_reply(reply, found is not None)
        return replies

    async def _asked(self, key: bytes, request: Request, body: bytes) -> list[Reply]:
        """The server's replies, once they are on disk."""
        limit, budget = request.sampling.max_tokens, self._served.budget
        # until the reply is on disk: the run must not stop before
        with budget.claim(len(body), limit * request.n) if budget else nullcontext() as claim:
            answer = await self._served.transport.ask(
                body, request.path, request_id(key, limit), self._shard, claim
            )
            received = HttpAnswer(answer.status, answer.body)
            replies = self._parse(received, key, request, answer.payload)
            if answer.permanent:
                await self._journal.put(key, received, limit)
        self.tally.retries += answer.retries
        return replies

    async def _journaled(self, key: bytes, request: Request) -> list[Reply] | None:
        """The replies of this shard's journal, or else of another's; None if none fits.

        A reply of another shard is copied into this shard's journal, where later runs and `synth
        trace` look for it.
        """
        limit = request.sampling.max_tokens
        damaged: Path | None = None
        again: Again | None = None
        for get in (self._journal.get, self._others):
            rows = await get(key) if get else []
            if len(rows) > 1:  # an answer to this very request goes first
                rows.sort(key=lambda row: row.max_tokens != limit)
            for row in rows:
                if row.answer is None:
                    damaged = damaged or row.path
                    continue
                replies = self._parse(row.answer, key, request)
                wrong = unfit(replies, row.max_tokens, limit)
                if wrong is None:
                    if get is self._others:
                        await self._journal.put(key, row.answer, row.max_tokens)
                        self.tally.moved += 1
                    return replies
                again = again or wrong
        if damaged:
            self.tally.damaged[key] = damaged
            again = Again.DAMAGED
        if again:
            self.tally.again[key] = again
        return None

    def _parse(
        self, answer: HttpAnswer, key: bytes, request: Request, payload: Any = None
    ) -> list[Reply]:
        replies = parse_replies(
            answer.status,
            answer.body,
            key.hex(),
            self._served.names,
            n=request.n,
            logprobs=request.logprobs,
            tools=request.tools is not None,
            payload=payload,
        )
        return [_restored(reply, request) for reply in replies]


def _restored(reply: Reply, request: Request) -> Reply:
    """The reply without the escapes of its request. `raw` is unchanged."""
    turns = request.turns
    if request.tools is not None:
        turns = [*turns, Turn(role="user", content=request.tools)]
    text = as_received(reply.text, turns, json=request.schema is not None)
    reasoning = reply.reasoning and as_received(reply.reasoning, turns)
    calls = tuple(_call_restored(call, turns) for call in reply.calls)
    if (text, reasoning, calls) == (reply.text, reply.reasoning, reply.calls):
        return reply
    return replace(reply, text=text, reasoning=reasoning, calls=calls)


def _call_restored(call: ToolCall, turns: Sequence[Turn]) -> ToolCall:
    arguments = as_received(call["function"]["arguments"], turns, json=True)
    return {**call, "function": {**call["function"], "arguments": arguments}}


async def _all(work: Iterable[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]
