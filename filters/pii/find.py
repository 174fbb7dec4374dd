"""Finds personal data and secrets in a text; findings do not overlap."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from filters.pii.kinds import PiiKind, Span
from filters.pii.numbers import (
    FEWEST_ID_DIGITS,
    RUN,
    cards,
    ibans,
    ids,
    ip_addresses,
    ipv6_addresses,
)
from filters.pii.phones import phones
from filters.pii.secrets import secrets

# Checks the domain first, which rules out most `@` quickly (`w@x.mean()` is code). RFC 5321 allows
# 64 characters before the `@`.
AT_DOMAIN = re.compile(r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w@(])")
NOBODY = ("git",)  # git@github.com:owner/name
LOCAL = re.compile(r"[\w.+%&'-]{1,64}")
OF_DIGITS = (
    (PiiKind.CARD, cards),
    (PiiKind.ID_NUMBER, ids),
    (PiiKind.IP_ADDRESS, ip_addresses),
    (PiiKind.PHONE, phones),
)
NO_DIGIT = re.compile("[^0-9]+")
ALL = tuple(PiiKind)
PLAIN = {0xA0: " ", 0x2007: " ", 0x202F: " ", **dict.fromkeys(range(0x2010, 0x2014), "-")}


def find(text: str, kinds: Collection[PiiKind] = ALL) -> list[Span]:
    """The findings of these kinds, in order. Overlapping ones merge and take the longer one's kind.

    Runs in linear time.
    """
    if not text.isascii():
        text = text.translate(PLAIN)  # keeps the length, so positions stay valid
    taken: list[Span] = []
    for span in sorted(_found(text, kinds), key=lambda span: span.start):
        if not taken or span.start >= taken[-1].end:
            taken.append(span)
        else:
            kind = max(taken[-1], span, key=lambda one: one.end - one.start).kind
            taken[-1] = Span(kind, taken[-1].start, max(taken[-1].end, span.end))
    return taken


def counted(spans: Sequence[Span]) -> str:
    """The findings by kind, without the data: "email 2, phone 1"."""
    counts = Counter(span.kind.value for span in spans)
    return ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items()))


def _found(text: str, kinds: Collection[PiiKind]) -> Iterator[Span]:
    if PiiKind.EMAIL in kinds and "@" in text:
        yield from emails(text)
    if PiiKind.SECRET in kinds:
        yield from secrets(text)
    if PiiKind.IBAN in kinds:
        yield from ibans(text)
    if PiiKind.IP_ADDRESS in kinds and text.count(":") > 2:
        yield from ipv6_addresses(text)
    readers = [reader for kind, reader in OF_DIGITS if kind in kinds]
    if readers:
        for run in RUN.finditer(text):
            if len(NO_DIGIT.sub("", run[0])) < FEWEST_ID_DIGITS:
                continue
            for reader in readers:
                yield from reader(text, run)


def emails(text: str) -> Iterator[Span]:
    """Email addresses whose domain has a top-level domain."""
    for domain in AT_DOMAIN.finditer(text):
        at = domain.start()
        backwards = LOCAL.match(text[max(0, at - 64) : at][::-1])
        if backwards is None:
            continue
        local = backwards[0][::-1].lstrip(".'%&+-")
        start = at - len(local)
        password = text[start - 1 : start] == ":" and "://" in text[max(0, start - 70) : start]
        if local and local not in NOBODY and not local.endswith(".") and not password:
            yield Span(PiiKind.EMAIL, start, domain.end())
