"""One HTTP exchange with a server: addresses, keys, statuses, and safe excerpts of answers.

Only the status decides whether a request is answered, retried or given up, never an error's text.
`parse.classify` first corrects the status if the body contradicts it. Keys in addresses and headers
are never shown, and are masked wherever a server echoes them:

https://gateway/v1?key=sk-1  →  https://gateway/v1 for people, ?key=sk-1 with each request
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

import aiohttp

from synth.teacher.parse import OVERSIZED, CompletionAnswer, HttpAnswer, too_long

TROUBLES = (aiohttp.ClientError, TimeoutError, OSError)
"""The exceptions that aiohttp raises if no answer arrives."""
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Those of `TROUBLES` without a connection: the request did not reach the server."""
MOST_BYTES = 16 * 2**20  # limit of a body, far above any real answer
_MOVED = "it redirects requests to another address: set `url` to that address"
HOPELESS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _MOVED),
    401: "it needs an API key: set `api_key_env` in the recipe's teacher and export that variable",
    402: "the account has no credit left",
    403: "the API key is not allowed to use it",
    404: "it does not know the path or the model: check `url` (it ends in /v1) and `model`",
}
ASIDE = frozenset({408, 409, 425, 429})
"""The transient statuses below 500."""
EXCERPT_CHARS = 300
LIMIT_REFUSED = "max_completion_tokens"
LONG_SECRET_CHARS = 12  # a shorter key, such as `EMPTY`, may occur in a normal reply
SHORTEST_KEY_CHARS = 6  # a shorter value is not a key, and may occur in any text
_QUERY = re.compile(r"(https?://[^\s?'\"]+\?)[^\s'\",}\]]+")


def parted(url: str) -> tuple[str, str]:
    """A server's address without its query, which may be shown, and the query."""
    address, mark, query = url.partition("#")[0].partition("?")
    return address.rstrip("/"), mark + query


def keys_in(query: str) -> list[str]:
    """The values in a query that may be keys, both percent-encoded and decoded."""
    written = [part.partition("=")[2] for part in query[1:].split("&")]
    read = [value for _, value in parse_qsl(query[1:])]
    return [value for value in written + read if len(value) >= SHORTEST_KEY_CHARS]


def without_keys(text: str) -> str:
    """The text, with the query of each address replaced by stars."""
    return _QUERY.sub(r"\1***", text)


class AttemptKind(StrEnum):
    """How an attempt at a request ended."""

    ANSWERED = "answered"
    """A reply, or a 4xx that is the request's own fault."""
    BUSY = "busy"
    """The server asks for a retry: 408, 409, 425, 429, or 503 with Retry-After."""
    FAILED = "failed"
    """Any other 5xx."""
    LATE = "late"
    """No complete answer arrived within the request's time limit."""
    UNREACHED = "unreached"
    """The connection was refused, or broke."""
    KILLED = "killed"
    """The request killed its engine: it was in flight at two deaths, and alone at a third."""
    CUT = "cut"
    """The replica is down, and we took the request back."""


class Response(NamedTuple):
    """A complete HTTP answer. If it is too large, it has no body and the status `OVERSIZED`."""

    status: int
    body: bytes
    retry_after: str | None


class AttemptResult(NamedTuple):
    """The result of one attempt at a request."""

    kind: AttemptKind
    answer: CompletionAnswer
    """The unchanged answer; one that we make up (502, 504) if none arrived."""
    trouble: str = ""
    pause_s: float | None = None
    """The wait that the server asks for."""


def kind_of(status: int, asks_to_wait: bool) -> AttemptKind:
    """The kind of result that this status means."""
    if status in ASIDE or (status == 503 and asks_to_wait):
        return AttemptKind.BUSY
    return AttemptKind.FAILED if 500 <= status < OVERSIZED else AttemptKind.ANSWERED


def retry_after_s(header: str | None) -> float | None:
    """The seconds of a Retry-After header, which may hold a date; None if it has neither."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, OverflowError):  # not a date, or not a valid one
        return None


class Secret:
    """Masks keys in text, in all forms in which a server may echo them."""

    def __init__(self, *keys: str | None) -> None:
        self._forms = _forms(key for key in keys if key)
        self._long_forms = _forms(key for key in keys if key and len(key) >= LONG_SECRET_CHARS)

    def out_of(self, text: bytes) -> bytes:
        """The text, with keys replaced by stars."""
        for form in self._forms:
            text = text.replace(form, b"***")
        return text

    def out_of_reply(self, text: bytes) -> bytes:
        """Like `out_of`, but masks only long keys, since a short one may be normal text."""
        for form in self._long_forms:
            text = text.replace(form, b"***")
        return text


def _forms(keys: Iterable[str]) -> list[bytes]:
    forms = {
        form.encode()
        for key in keys
        for form in (
            key,
            json.dumps(key)[1:-1],
            key.replace("/", r"\/"),
            quote(key, ""),
            quote(key),
        )
    }
    return sorted(forms, key=len, reverse=True)


@dataclass(slots=True)
class Dialect:
    """The parameter names that this teacher needs, as learnt from its refusals."""

    completion_tokens: bool = False
    """Whether to send `max_completion_tokens` for `max_tokens`, as OpenAI's newer models need."""


@dataclass(frozen=True, slots=True)
class Wire:
    """The HTTP session that all replicas share, with the keys that must not be shown."""

    session: aiohttp.ClientSession
    secret: Secret
    priority: int | None = None
    """Sent with each request, but not part of its key, since it does not affect the reply."""
    queries: Mapping[str, str] = field(default_factory=dict)
    """By address without /v1: the query to send with each request, which may hold a key."""
    dialect: Dialect = field(default_factory=Dialect)

    def prepared(self, body: bytes) -> bytes:
        """A request's body in the form to send."""
        body = self._in_dialect(body)
        if self.priority is None:
            return body
        return b'%b,"priority":%d}' % (body.removesuffix(b"}"), self.priority)

    def _in_dialect(self, body: bytes) -> bytes:
        if not self.dialect.completion_tokens:
            return body
        # in JSON only an object key can look like this, and the last one is ours
        return b'"max_completion_tokens":'.join(body.rsplit(b'"max_tokens":', 1))

    def learns(self, status: int, body: bytes) -> bool:
        """Whether a refusal asks for `max_completion_tokens`. If so, later requests use it."""
        message = body.decode("utf-8", "replace") if status == 400 else ""
        if LIMIT_REFUSED not in message or too_long(message) is not None:
            return False
        self.dialect.completion_tokens = True
        return True

    def with_query(self, url: str) -> str:
        """The URL with the query for its server."""
        if not self.queries:
            return url
        server = max((one for one in self.queries if url.startswith(one)), key=len, default="")
        return url + self.queries.get(server, "")

    async def post(self, url: str, body: bytes, request_id: str = "") -> Response:
        """The answer to a request for a completion. Raises `TROUBLES`, `UNSENT` among them."""
        async with self.session.post(
            self.with_query(url),
            data=self.prepared(body),
            headers={"X-Request-Id": request_id} if request_id else None,
            allow_redirects=False,
        ) as response:
            parts: list[bytes] = []
            bytes_left = MOST_BYTES
            async for part in response.content.iter_any():
                bytes_left -= len(part)
                if bytes_left < 0:
                    response.close()
                    return Response(OVERSIZED, b"", None)
                parts.append(part)
            retry_after = response.headers.get("Retry-After")
            return Response(response.status, b"".join(parts), retry_after)

    async def send(self, url: str, within_s: float, body: bytes | None = None) -> HttpAnswer:
        """The answer to a GET, or to a POST of the body. Raises `TROUBLES`."""
        async with self.session.request(
            "GET" if body is None else "POST",
            self.with_query(url),
            data=None if body is None else self._in_dialect(body),
            headers={} if body is None else {"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=within_s),
        ) as response:
            return HttpAnswer(response.status, await response.read())

    def masked(self, status: int, body: bytes) -> bytes:
        """An answer's body with its keys masked. In a 200, short keys are not masked."""
        return self.secret.out_of_reply(body) if status == 200 else self.secret.out_of(body)

    def excerpt(self, body: bytes) -> str:
        """The beginning of a body on one line, for an error message."""
        shown = self.secret.out_of(body)[:EXCERPT_CHARS]
        return " ".join(shown.decode("utf-8", "replace").split()) or "nothing"

    def describe(self, error: BaseException) -> str:
        """The exception in words, without the keys."""
        words = f"{type(error).__name__}: {error}".removesuffix(": ")
        return self.secret.out_of(words.encode()).decode()
