"""One HTTP exchange with a server: what became of it, and what of it may be told.

A status decides alone whether a request is answered, asked again or given up; the words of an error
never do. What a gateway sends under a 200 and is no completion gets the status that it means first
(`understood`), here and nowhere else. The API key is struck out of whatever a server echoes before
anyone sees it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp

from synth.teacher.journal import OVERSIZED, Answer
from synth.teacher.parse import OUR_ID, read_json, too_long

TROUBLES = (aiohttp.ClientError, TimeoutError, OSError)
"""What aiohttp raises where no answer came."""
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Of these: where no connection was made, so the request did not reach the server."""
MOST_BYTES = 16 * 2**20  # of a body; far above any honest answer
_MOVED = "it sends requests on to another address: set `url` to that one"
HOPELESS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _MOVED),
    401: "it wants an API key: set `api_key_env` in the recipe's teacher and export that variable",
    402: "the account has no credit left",
    403: "the API key is not allowed to ask it",
    404: "it does not know the path or the model: check `url` (it ends in /v1) and `model`",
}
ASIDE = frozenset({408, 409, 425, 429})
"""Below 500, and will pass by themselves."""
BROKEN_OFF = frozenset({"abort", "error"})
"""How a choice finishes that the engine dropped, as vLLM does when it shuts down, or that failed
halfway, as OpenRouter tells it."""
NO_COMPLETION = 502
ERRORS = {str(status): status for status in range(400, OVERSIZED)}
EXCERPT_CHARS = 300
LIMIT_REFUSED = "max_completion_tokens"
LONG_SECRET_CHARS = 12  # a shorter key, such as `EMPTY`, may well stand in an honest reply


class Kind(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    """A reply, or a 4xx that is the request's own fault."""
    BUSY = "busy"
    """Told to come again: 408, 409, 425, 429, or 503 with Retry-After."""
    FAILED = "failed"
    """Any other 5xx."""
    LATE = "late"
    """No whole answer within the request's time."""
    UNREACHED = "unreached"
    """The connection was refused, or broke."""
    KILLED = "killed"
    """An engine died of it: it was in flight at two deaths, and alone at a third."""
    CUT = "cut"
    """We gave the replica up and took the request back."""


class Response(NamedTuple):
    """An HTTP answer, whole; without its body, as `OVERSIZED`, where that is too large."""

    status: int
    body: bytes
    retry_after: str | None


class Meant(NamedTuple):
    """An HTTP answer to a request for a completion, under the status that it means."""

    status: int
    body: bytes
    said: Any = None
    """The JSON in the body, where it is a completion."""
    lasting: bool = True
    """Whether the request would be answered so again: what would not is not journaled."""


class Heard(NamedTuple):
    """One attempt at a request."""

    kind: Kind
    answer: Meant
    """As it came; made up (502, 504) where none did."""
    trouble: str = ""
    pause_s: float | None = None
    """How long the server asks to wait."""


def kind_of(status: int, asks_to_wait: bool) -> Kind:
    """What a status means for the request."""
    if status in ASIDE or (status == 503 and asks_to_wait):
        return Kind.BUSY
    return Kind.FAILED if 500 <= status < OVERSIZED else Kind.ANSWERED


def understood(status: int, body: bytes, request_id: str = "") -> Meant:
    """The answer under the status that it means, with its JSON where it is a completion.

    A 200 that is none (a proxy's page, no choice, a reply that broke off or belongs to another
    request than `request_id`) means a 502, which passes, or the status of the error in it.
    """
    if status != 200:
        return Meant(status, body)
    said = read_json(body)
    choices = said.get("choices") if isinstance(said, dict) else None
    if not isinstance(choices, list) or not choices:
        return _no_completion(body, said)
    for choice in choices:
        if not isinstance(choice, dict) or choice.get("finish_reason") in BROKEN_OFF:
            return _no_completion(body, choice)
    ours = OUR_ID.search(str(said.get("id")))
    if ours and request_id and not request_id.startswith(ours[0]):
        return _no_completion(body, None)
    return Meant(200, body, said)


def _no_completion(body: bytes, said: Any) -> Meant:
    """The body under the status of the error that is told in it, if one is.

    {"error": {"code": 429, …}} of OpenRouter, Gemini (in a list) and others, where LiteLLM writes
    "429"; {"object": "error", "code": 503, …} of older servers.
    """
    said = said[0] if isinstance(said, list) and said else said
    told = said if isinstance(said, dict) else {}
    error = told.get("error")
    for place in (error if isinstance(error, dict) else {}, told):
        for name in ("code", "status", "status_code"):
            code = str(place.get(name))
            if code in ERRORS:
                return Meant(ERRORS[code], body)
    return Meant(NO_COMPLETION, body, lasting=False)


def retry_after_s(header: str | None) -> float | None:
    """The seconds of a Retry-After header, which may hold a date; None where it says nothing."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, OverflowError):  # no date, or one of a year that no calendar has
        return None


class Secret:
    """The API key and what else is one, or none, in the forms in which a server may echo them."""

    def __init__(self, *keys: str | None) -> None:
        self._forms = _forms(key for key in keys if key)
        self._long_forms = _forms(key for key in keys if key and len(key) >= LONG_SECRET_CHARS)

    def out_of(self, text: bytes) -> bytes:
        """The text with stars in place of the keys."""
        for form in self._forms:
            text = text.replace(form, b"***")
        return text

    def out_of_reply(self, text: bytes) -> bytes:
        """As `out_of`, of long keys alone: a short one may be honest text."""
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
    """What was found out of how the teacher wants to be asked."""

    completion_tokens: bool = False
    """It refuses `max_tokens` and wants `max_completion_tokens`, as OpenAI's newer models do."""


@dataclass(frozen=True, slots=True)
class Wire:
    """The session that all replicas share, and what must not be told of it."""

    session: aiohttp.ClientSession
    secret: Secret
    priority: int | None = None
    """Sent with each request, and no part of it: it decides when it is answered, not how."""
    queries: Mapping[str, str] = field(default_factory=dict)
    """By the address without /v1: the query that goes with each request there, a key perhaps."""
    dialect: Dialect = field(default_factory=Dialect)

    def sealed(self, body: bytes) -> bytes:
        """A request's body as it is sent."""
        body = self._in_dialect(body)
        if self.priority is None:
            return body
        return b'%b,"priority":%d}' % (body.removesuffix(b"}"), self.priority)

    def _in_dialect(self, body: bytes) -> bytes:
        if not self.dialect.completion_tokens:
            return body
        # in JSON no text holds this but a key, and the first one is ours
        return body.replace(b'"max_tokens":', b'"max_completion_tokens":', 1)

    def learns(self, status: int, body: bytes) -> bool:
        """Whether a refusal of `max_tokens` asks for the other name: all requests have it then."""
        said = body.decode("utf-8", "replace") if status == 400 else ""
        if LIMIT_REFUSED not in said or too_long(said) is not None:
            return False
        self.dialect.completion_tokens = True
        return True

    def addressed(self, url: str) -> str:
        """The URL with its server's query."""
        if not self.queries:
            return url
        server = max((one for one in self.queries if url.startswith(one)), key=len, default="")
        return url + self.queries.get(server, "")

    async def post(self, url: str, body: bytes, request_id: str = "") -> Response:
        """The answer to a request for a completion. Raises `TROUBLES`, `UNSENT` among them."""
        async with self.session.post(
            self.addressed(url),
            data=self.sealed(body),
            headers={"X-Request-Id": request_id} if request_id else None,
            allow_redirects=False,
        ) as response:
            parts: list[bytes] = []
            left = MOST_BYTES
            async for part in response.content.iter_any():
                left -= len(part)
                if left < 0:
                    response.close()
                    return Response(OVERSIZED, b"", None)
                parts.append(part)
            again = response.headers.get("Retry-After")
            return Response(response.status, b"".join(parts), again)

    async def send(self, url: str, within_s: float, body: bytes | None = None) -> Answer:
        """The answer to a GET, or to a POST of the body. Raises `TROUBLES`."""
        async with self.session.request(
            "GET" if body is None else "POST",
            self.addressed(url),
            data=None if body is None else self._in_dialect(body),
            headers={} if body is None else {"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=within_s),
        ) as response:
            return Answer(response.status, await response.read())

    def discreet(self, status: int, body: bytes) -> bytes:
        """An answer's body without the keys. Short ones are left in a 200."""
        return self.secret.out_of_reply(body) if status == 200 else self.secret.out_of(body)

    def excerpt(self, body: bytes) -> str:
        """The beginning of a body on one line, for an error."""
        shown = self.secret.out_of(body)[:EXCERPT_CHARS]
        return " ".join(shown.decode("utf-8", "replace").split()) or "nothing"

    def told(self, error: BaseException) -> str:
        """An exception in words."""
        words = f"{type(error).__name__}: {error}".removesuffix(": ")
        return self.secret.out_of(words.encode()).decode()
