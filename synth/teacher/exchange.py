"""One HTTP exchange with a server: what became of it, and what of it may be told.

A status decides alone whether a request is answered, asked again or given up; the words of an error
never do. The API key is struck out of whatever a server echoes before anyone sees it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote

import aiohttp

from synth.teacher.journal import Answer

TROUBLES = (aiohttp.ClientError, TimeoutError, OSError)
"""What aiohttp raises where no answer came."""
_MOVED = "it sends requests on to another address: set `url` to that one"
ENGINE_DIED = Answer(
    502,
    b'{"error":{"type":"engine_died","message":"the engine died twice with this request in flight, '
    b'and again when it was asked alone"}}',
)
"""The answer to a request that kills the engine; no server sends it."""
HOPELESS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _MOVED),
    401: "it wants an API key: set `api_key_env` in the recipe's teacher and export that variable",
    403: "the API key is not allowed to ask it",
    404: "it does not know the path or the model: check `url` (it ends in /v1) and `model`",
}
ASIDE = frozenset({408, 409, 425, 429})
"""Below 500, and will pass by themselves."""
EXCERPT_CHARS = 300
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


class Heard(NamedTuple):
    """One attempt at a request."""

    kind: Kind
    answer: Answer
    """As it came; made up (502, 504) where none did."""
    trouble: str = ""
    pause_s: float | None = None
    """How long the server asks to wait."""


def kind_of(status: int, asks_to_wait: bool) -> Kind:
    """What a status means for the request."""
    if status in ASIDE or (status == 503 and asks_to_wait):
        return Kind.BUSY
    return Kind.FAILED if status >= 500 else Kind.ANSWERED


def retry_after_s(header: str | None) -> float | None:
    """The seconds of a Retry-After header, which may hold a date; None where it says nothing."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


class Secret:
    """The API key, or none, in the forms in which a server may echo it."""

    def __init__(self, key: str | None) -> None:
        forms = (
            {key, json.dumps(key)[1:-1], key.replace("/", r"\/"), quote(key, ""), quote(key)}
            if key
            else ()
        )
        self._forms = sorted((form.encode() for form in forms if form), key=len, reverse=True)
        self.long = key is not None and len(key) >= LONG_SECRET_CHARS

    def out_of(self, text: bytes) -> bytes:
        """The text with stars in place of the key."""
        for form in self._forms:
            text = text.replace(form, b"***")
        return text


@dataclass(frozen=True, slots=True)
class Wire:
    """The session that all replicas share, and what must not be told of it."""

    session: aiohttp.ClientSession
    secret: Secret
    priority: int | None = None
    """Sent with each request, and no part of it: it decides when it is answered, not how."""

    def sealed(self, body: bytes) -> bytes:
        """A request's body as it is sent."""
        if self.priority is None:
            return body
        return b'%b,"priority":%d}' % (body.removesuffix(b"}"), self.priority)

    async def send(self, url: str, within_s: float, body: bytes | None = None) -> Answer:
        """The answer to a GET, or to a POST of the body. Raises `TROUBLES`."""
        async with self.session.request(
            "GET" if body is None else "POST",
            url,
            data=body,
            headers={} if body is None else {"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=within_s),
        ) as response:
            return Answer(response.status, await response.read())

    def discreet(self, answer: Answer) -> Answer:
        """The answer without the key. A short one is left in a 200: it may be honest text."""
        if answer.status == 200 and not self.secret.long:
            return answer
        return Answer(answer.status, self.secret.out_of(answer.body))

    def excerpt(self, body: bytes) -> str:
        """The beginning of a body on one line, for an error."""
        shown = self.secret.out_of(body)[:EXCERPT_CHARS]
        return " ".join(shown.decode("utf-8", "replace").split()) or "nothing"

    def told(self, error: BaseException) -> str:
        """An exception in words."""
        words = f"{type(error).__name__}: {error}".removesuffix(": ")
        return self.secret.out_of(words.encode()).decode()
