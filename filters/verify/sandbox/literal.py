"""Encodes the values that cross between sandboxes: literals as JSON, in length-prefixed frames.

    (1, {"a": {2}})  ->  {"t": [1, {"d": [["a", {"s": [2]}]]}]}

Decoded values have exactly the builtin types, so they carry no behaviour: an `__eq__` that always
returns True does not cross. Both sides use this module.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from math import isclose
from typing import Any, Final

MOST_BYTES: Final = 1 << 20
MOST_DEEP: Final = 100
MOST_ITEMS: Final = 100_000  # of a generator or range, which have no size in bytes
LONG: Final = f"longer than {MOST_ITEMS:,} items"
ROUNDED_CHARS: Final = 15  # a longer number was not rounded
BETWEEN_BLOCKS: Final = "\0"  # occurs in no program
STANDARD: Final[dict[str, Callable[[Any], tuple[Any, ...]]]] = {
    "fractions.Fraction": lambda value: (value.numerator, value.denominator),
    "decimal.Decimal": lambda value: (str(value),),
    "datetime.date": lambda value: (value.year, value.month, value.day),
    "datetime.datetime": lambda value: (*value.timetuple()[:6], value.microsecond),
    "datetime.timedelta": lambda value: (value.days, value.seconds, value.microseconds),
}
"""Types that are encoded as their constructor's arguments."""
LENGTH_BYTES: Final = 4
IN, OUT = 3, 4  # the file descriptors of a sandboxed process for frames


class NotLiteralError(Exception):
    """The value, or one inside it, has a type that cannot cross; the message names it."""


class TooLargeError(Exception):
    """The value is nested too deeply, has too many items, or takes too many bytes."""


def encode(value: object) -> bytes:
    """Encodes the value. An instance of a subclass is encoded as the builtin type it extends.

    Runs a generator or other iterator to its end; it decodes as an iterator.
    """
    return _fits(json.dumps(_pack(value, 0)).encode())


def encode_text(text: str) -> bytes:
    """Encodes a program as plain UTF-8, which saves a forked process fifty page faults."""
    return _fits(text.encode("utf-8", "surrogatepass"))


def decode_text(data: bytes) -> str:
    """The program."""
    return data.decode("utf-8", "surrogatepass")


def _fits(packed: bytes) -> bytes:
    if len(packed) > MOST_BYTES:
        raise TooLargeError(f"larger than {MOST_BYTES >> 20} MB")
    return packed


def decode(data: bytes) -> Any:
    """Decodes a value of exact builtin types. Raises `ValueError` for invalid bytes."""
    try:
        return DECODER.decode(data.decode())
    except (TypeError, KeyError, ArithmeticError, RecursionError) as error:
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
            return plain if abs(plain) < 1 << 63 else {"i": hex(plain)}  # JSON: 4,300 digits
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
            if value[MOST_ITEMS:]:
                raise TooLargeError(LONG)
            return {"r": [value.start, value.stop, value.step]}
        case Iterator():
            items = [_pack(item, depth + 1) for item in islice(value, MOST_ITEMS + 1)]
            if len(items) > MOST_ITEMS:
                raise TooLargeError(LONG)
            return {"g": items}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if kind in STANDARD:
        return {"x": [kind, *STANDARD[kind](value)]}
    raise NotLiteralError(type(value).__name__)


def _make(parts: list[Any]) -> object:
    kind, *made_with = parts
    if kind not in STANDARD:
        raise KeyError(kind)
    module, _, name = kind.partition(".")
    return getattr(importlib.import_module(module), name)(*made_with)


_UNPACK: Final[dict[str, Callable[[Any], Any]]] = {
    "i": lambda text: int(text, 16),
    "t": tuple,
    "d": lambda pairs: {key: value for key, value in pairs},  # noqa: C416  raises for a wrong pair
    "s": set,
    "f": frozenset,
    "b": bytes.fromhex,
    "c": lambda parts: complex(*parts),
    "r": lambda parts: range(*parts),
    "g": iter,
    "x": _make,
}


def _unpack(tagged: dict[str, Any]) -> Any:
    [(tag, content)] = tagged.items()
    return _UNPACK[tag](content)


DECODER: Final = json.JSONDecoder(object_hook=_unpack)
"""Created once before the fork, which saves each child thirty page faults."""


def same(given: object, expected: object) -> bool:
    """Whether two decoded literals are equal, where the expected one is JSON.

    Types must match at every level: 1 is not True, and (1,) is not [1]. JSON has one number type,
    so 1 equals 1.0. Floats may differ by a relative 1e-9, as sums in another order do. An expected
    value with all its digits allows 1e-5, for other approximations; APPS allows that everywhere.
    """
    if {type(given), type(expected)} in ({float}, {int, float}):
        return _close(given, expected)
    if type(given) is not type(expected):
        return False
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
    """Keys or members with their types, since a set treats 1, 1.0 and True as equal."""
    return {(type(key).__name__, key) for key in keys}


def _close(given: Any, expected: Any) -> bool:
    if given == expected or (given != given and expected != expected):  # both NaN
        return True
    try:
        unrounded = isinstance(expected, float) and len(repr(expected)) > ROUNDED_CHARS
        part = 1e-5 if unrounded else 1e-9
        return isclose(given, expected, rel_tol=part)
    except OverflowError:  # an integer too large for a float
        return False


def write_frame(data: bytes, fd: int = OUT) -> None:
    """Writes the data as one frame."""
    rest = memoryview(frame(data))
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_frame(fd: int = IN) -> bytes:
    """Reads the next frame. Raises `EOFError` if the other side has closed."""
    return _read(fd, int.from_bytes(_read(fd, LENGTH_BYTES), "big"))


def frame(data: bytes) -> bytes:
    """The data prefixed with its length."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def _read(fd: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(fd, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
