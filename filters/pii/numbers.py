"""Finds personal numbers: cards, bank accounts, ids, IP addresses.

A text is scanned once for runs of digits, and each run is then classified. Numbers with a checksum
need no context; a plain number counts only after words that announce it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from filters.pii.kinds import PiiKind, Span

# Starts with a digit, so the scan skips to digits; possessive, so it takes linear time.
RUN = re.compile(r"[0-9][0-9 ()./-]{4,}+")
CONTEXT_CHARS = 60

CARD = re.compile(  # not the digits after a decimal point
    r"(?<![0-9.])(?:[0-9]{12,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![0-9])"
)
# First digits (from, to) and lengths. Source: ISO/IEC 7812 and the networks' publications.
NETWORKS = (
    (4, 4, {13, 16, 19}),  # Visa
    (51, 55, {16}),  # Mastercard
    (2221, 2720, {16}),
    (34, 34, {15}),  # American Express
    (37, 37, {15}),
    (300, 305, set(range(14, 20))),  # Diners Club
    (309, 309, set(range(14, 20))),
    (36, 36, set(range(14, 20))),
    (38, 39, set(range(14, 20))),
    (1800, 1800, {15}),  # JCB
    (2131, 2131, {15}),
    (3528, 3589, {16, 17, 18, 19}),
    (6011, 6011, {16, 17, 18, 19}),  # Discover
    (644, 659, {16, 17, 18, 19}),
    (62, 62, {16, 17, 18, 19}),  # UnionPay
    (50, 50, set(range(12, 20))),  # Maestro
    (56, 69, set(range(12, 20))),
)
SURE_CARD_DIGITS = (
    15,
    16,
    19,
)  # too many numbers of other lengths pass by chance, so those need words before them
ABOUT_CARDS = re.compile(r"\b(?:cards?|cc|visa|mastercard|amex|maestro)\b", re.IGNORECASE)

SSN = re.compile(r"(?<![0-9-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9-])")
ABOUT_IDS = re.compile(
    r"\b(?:ssn|social security|passport|driv(?:er|ing)(?:['\u2019]?s)? licen[cs]e|"
    r"national (?:id|insurance|identity)|identity card|tax(?:payer)? (?:id|number)|nhs number|"
    r"account (?:number|no\b)|routing number|medical record|policy (?:number|no\b))"
    r"(?:[^.!?\n0-9]|\b(?:no|nr)\.){0,30}$",
    re.IGNORECASE,
)
ID_TOKEN = re.compile(r"[A-Za-z]{0,3}[0-9][0-9A-Za-z]*(?:[ -][0-9]{2,}){0,4}(?![\w])")
FEWEST_ID_DIGITS = 6

# Country and length. Source: SWIFT, IBAN registry.
IBANS = (
    "AD24", "AE23", "AL28", "AT20", "AZ28", "BA20", "BE16", "BG22", "BH22", "BR29", "BY28",
    "CH21", "CR22", "CY28", "CZ24", "DE22", "DK18", "DO28", "EE20", "EG29", "ES24", "FI18",
    "FO18", "FR27", "GB22", "GE22", "GI23", "GL18", "GR27", "GT28", "HR21", "HU28", "IE22",
    "IL23", "IQ23", "IS26", "IT27", "JO30", "KW30", "KZ20", "LB28", "LC32", "LI21", "LT20",
    "LU20", "LV21", "LY25", "MC27", "MD24", "ME22", "MK19", "MR27", "MT31", "MU30", "NL18",
    "NO15", "PK24", "PL28", "PS29", "PT25", "QA29", "RO24", "RS22", "SA24", "SC31", "SE24",
    "SI19", "SK24", "SM27", "ST25", "SV28", "TL23", "TN24", "TR26", "UA29", "VA22", "VG24",
    "XK20",
)  # fmt: skip
IBAN_LENGTHS = {one[:2]: int(one[2:]) for one in IBANS}
IBAN = re.compile(r"[0-9]{2}(?<=(?<!\w)[A-Za-z]{2}[0-9]{2})(?:[ -]?[A-Za-z0-9]){11,30}")
IPV4 = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.]*[0-9])")
ABOUT_ADDRESSES = re.compile(
    r"(?:\b|_|(?<=[a-z]))(?:ips?|ipv4|addr(?:ess(?:es)?)?|hosts?|servers?|dns|ping|ssh|proxy|gateway"
    r"|subnet|clients?)(?![a-z])|[a-z]://$",
    re.IGNORECASE,
)
ABOUT_VERSIONS = re.compile(
    r"(?:ver(?:sion)?s?|release|section|chapter|build|firmware|driver|update|upgrade|patch|\bv|\u00a7)"
    r"(?: to)?[\W_]{0,6}$|[=~<>!^]=\s?[\"']?$|[a-z][/-]$",  # `torch==`, `LibreOffice/`
    re.IGNORECASE,
)
IPV6 = re.compile(  # in full, or shortened in the public range 2000::/3
    r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}"
    r"|[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4})(?![\w:])"
)


def cards(text: str, run: re.Match[str]) -> Iterator[Span]:
    """Card numbers in a run of digits, in one piece or in groups."""
    for match in CARD.finditer(text, *run.span()):
        digits = re.sub(r"[ -]", "", match[0])
        divided = len(digits) < len(match[0])
        if luhn(digits) and (
            ((divided or len(digits) in SURE_CARD_DIGITS) and has_network(digits))
            or ABOUT_CARDS.search(before(text, match.start()))
        ):
            yield Span(PiiKind.CARD, *match.span())


def has_network(digits: str) -> bool:
    """Whether a network issues cards with this length and these first digits."""
    return any(
        len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high
        for low, high, lengths in NETWORKS
    )


def luhn(digits: str) -> bool:
    """Whether the check digit is right. Source: ISO/IEC 7812-1, annex B."""
    doubled = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(doubled[value] for value in values[1::2])) % 10 == 0


def ids(text: str, run: re.Match[str]) -> Iterator[Span]:
    """US social security numbers, and numbers that preceding words announce as an id."""
    found = False
    for match in SSN.finditer(text, *run.span()):
        found = True
        yield Span(PiiKind.ID_NUMBER, *match.span())
    start = run.start()
    while start and text[start - 1].isalpha() and run.start() - start < 3:
        start -= 1
    token = ID_TOKEN.match(text, start)
    if found or token is None or (start and text[start - 1].isalnum()):
        return
    digits = sum(character.isdigit() for character in token[0])
    if digits >= FEWEST_ID_DIGITS and ABOUT_IDS.search(before(text, start)):
        yield Span(PiiKind.ID_NUMBER, *token.span())


def ip_addresses(text: str, run: re.Match[str]) -> Iterator[Span]:
    """Public IPv4 addresses. Version and section numbers (207.5.2.1) look the same but have small
    parts. So an address without a part of 100 or more (2 % of them) needs words before it. Public
    services such as 8.8.8.8 do not count."""
    for match in IPV4.finditer(text, *run.span()):
        sizes = [len(octet) for octet in match[0].split(".")]
        if sum(size > 1 for size in sizes) < 2 or not is_public(match[0]):
            continue
        words = before(text, match.start())
        if not ABOUT_VERSIONS.search(words) and (max(sizes) > 2 or ABOUT_ADDRESSES.search(words)):
            yield Span(PiiKind.IP_ADDRESS, *match.span())


def ipv6_addresses(text: str) -> Iterator[Span]:
    """Public IPv6 addresses."""
    for match in IPV6.finditer(text):
        if is_public(match[0]):
            yield Span(PiiKind.IP_ADDRESS, *match.span())


def is_public(address: str) -> bool:
    """Whether this is a valid address that is neither private nor reserved for examples."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return not (found.is_private or found.is_loopback or found.is_link_local or found.is_multicast)


def ibans(text: str) -> Iterator[Span]:
    """Bank account numbers, with or without spaces, in either case."""
    for match in IBAN.finditer(text):
        start = match.start() - 2
        written = text[start : match.end()]
        length = IBAN_LENGTHS.get(written[:2].upper(), 0)
        end, seen = start, 0
        for character in written:
            seen += character not in " -"
            end += 1
            if seen == length:
                break
        whole = seen == length and not text[end : end + 1].isalnum()
        if whole and is_iban(re.sub("[ -]", "", text[start:end])):
            yield Span(PiiKind.IBAN, start, end)


def is_iban(compact: str) -> bool:
    """Whether the check digits are right. Source: ISO 7064, mod 97-10."""
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def before(text: str, start: int) -> str:
    """The words before a finding."""
    return text[max(0, start - CONTEXT_CHARS) : start]
