"""What crosses the walls between sandboxes: literals, as JSON, in frames with their length before.

    (1, {"a": {2}})  ->  {"t": [1, {"d": [["a", {"s": [2]}]]}]}

Whoever decodes gets builtin values of exactly the builtin types, so a value cannot bring behaviour
along: an `__eq__` that is always true stays behind with its class. Used on both sides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Final

MOST_BYTES: Final = 1 << 20
MOST_DEEP: Final = 100
LENGTH_BYTES: Final = 4
IN, OUT = 3, 4  # the file descriptors of a sandboxed process for frames


class NotLiteralError(Exception):
    """The value, or one inside it, is of a type that is not carried. Says which."""


class TooLargeError(Exception):
    """The value is nested too deeply, or takes too many bytes."""


def encode(value: object) -> bytes:
    """The value as bytes. A subclass of a literal's type travels as that type, by its contents."""
    return _fits(json.dumps(_pack(value, 0)).encode())


def encode_text(text: str) -> bytes:
    """A program as bytes, as it is: a forked process decodes that with fifty page faults less."""
    return _fits(text.encode("utf-8", "surrogatepass"))


def decode_text(data: bytes) -> str:
    """The program."""
    return data.decode("utf-8", "surrogatepass")


def _fits(packed: bytes) -> bytes:
    if len(packed) > MOST_BYTES:
        raise TooLargeError(f"larger than {MOST_BYTES >> 20} MB")
    return packed


def decode(data: bytes) -> Any:
    """The value, made of exact builtin types. ValueError where the bytes say none."""
    try:
        return DECODER.decode(data.decode())
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("not an encoded literal") from error


def _pack(value: object, depth: int) -> object:  # one line per type
    if value is None or value is True or value is False:
        return value
    if depth > MOST_DEEP:
        raise TooLargeError(f"nested deeper than {MOST_DEEP}")
    match value:
        case str():
            return str.__str__(value)
        case int():
            plain = int.__index__(value)
            return plain if abs(plain) < 1 << 63 else {"i": hex(plain)}  # JSON reads 4,300 digits
        case float():
            return float.__float__(value)
        case list():
            return [_pack(item, depth + 1) for item in list.__iter__(value)]
        case tuple():
            return {"t": [_pack(item, depth + 1) for item in tuple.__iter__(value)]}
        case dict():
            pairs = dict.items(value)
            return {"d": [[_pack(k, depth + 1), _pack(v, depth + 1)] for k, v in pairs]}
        case set():
            return {"s": [_pack(item, depth + 1) for item in set.__iter__(value)]}
        case frozenset():
            return {"f": [_pack(item, depth + 1) for item in frozenset.__iter__(value)]}
        case bytes():
            return {"b": bytes.hex(value)}
        case complex():
            return {"c": [value.real, value.imag]}
        case range():
            return {"r": [value.start, value.stop, value.step]}
    raise NotLiteralError(type(value).__name__)


_UNPACK: Final[dict[str, Callable[[Any], Any]]] = {
    "i": lambda text: int(text, 16),
    "t": tuple,
    "d": lambda pairs: {key: value for key, value in pairs},  # noqa: C416  raises for a wrong pair
    "s": set,
    "f": frozenset,
    "b": bytes.fromhex,
    "c": lambda parts: complex(*parts),
    "r": lambda parts: range(*parts),
}


def _unpack(tagged: dict[str, Any]) -> Any:
    [(tag, content)] = tagged.items()
    return _UNPACK[tag](content)


DECODER: Final = json.JSONDecoder(object_hook=_unpack)
"""Made once, before a process is forked: its own would cost it thirty page faults."""


def same(given: object, expected: object) -> bool:
    """Whether two decoded literals are equal.

    The types must be the same all the way down: 1 is not True, nor 1.0, and (1,) is not [1].
    Floats may differ by a part in 10^9, as sums do that were added in another order.
    """
    if type(given) is not type(expected):
        return False
    if isinstance(given, float) and isinstance(expected, float):
        return (
            given == expected
            or abs(given - expected) <= 1e-9 * abs(expected)
            or _nans(given, expected)
        )
    if isinstance(given, list | tuple) and isinstance(expected, list | tuple):
        return len(given) == len(expected) and all(map(same, given, expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        return typed(given) == typed(expected) and all(
            same(value, expected[key]) for key, value in given.items()
        )
    if isinstance(given, set | frozenset) and isinstance(expected, set | frozenset):
        return typed(given) == typed(expected)
    return given == expected


def typed(keys: Any) -> set[tuple[str, object]]:
    """Keys or members with their types, as 1, 1.0 and True are one member of a set."""
    return {(type(key).__name__, key) for key in keys}


def _nans(given: float, expected: float) -> bool:
    return given != given and expected != expected


def write_frame(data: bytes, fd: int = OUT) -> None:
    """Writes all of it, with its length before."""
    rest = memoryview(frame(data))
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_frame(fd: int = IN) -> bytes:
    """The next frame. EOFError where the other side is gone."""
    return _read(fd, int.from_bytes(_read(fd, LENGTH_BYTES), "big"))


def frame(data: bytes) -> bytes:
    """The data with its length before."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def _read(fd: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(fd, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
