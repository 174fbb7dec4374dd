"""Addresses of servers, and the keys that some gateways want in them: these are sent, never told.

https://gateway/v1?key=sk-1  →  https://gateway/v1 for people, ?key=sk-1 with each request
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

SHORTEST_KEY_CHARS = 6  # a shorter value is no key, and stands in any text
_VALUE = re.compile(r"(https?://[^\s?'\"]+\?)[^\s'\",}\]]+")


def parted(url: str) -> tuple[str, str]:
    """A server's address without its query, for people and to build on, and the query."""
    address, mark, query = url.partition("#")[0].partition("?")
    return address.rstrip("/"), mark + query


def keys_in(query: str) -> list[str]:
    """The values in a query that may be keys, as they are and as they are written there."""
    written = [part.partition("=")[2] for part in query[1:].split("&")]
    read = [value for _, value in parse_qsl(query[1:])]
    return [value for value in written + read if len(value) >= SHORTEST_KEY_CHARS]


def without_keys(text: str) -> str:
    """The text with stars in place of the query of each address in it."""
    return _VALUE.sub(r"\1***", text)
