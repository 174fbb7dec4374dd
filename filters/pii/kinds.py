"""The kinds of personal data and secrets, and the position of a finding."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PiiKind(StrEnum):
    """A kind of personal data or secret."""

    EMAIL = "email"
    PHONE = "phone"
    """A number with a country code, in a form that only phone numbers have, or after words such as
    "call"."""
    CARD = "card"
    """A payment card with a network's first digits and length, and a valid check digit (Luhn)."""
    IBAN = "iban"
    """An international bank account number with its country's length and valid check digits."""
    ID_NUMBER = "id_number"
    """A US social security number, or a number after words such as "passport" or "licence"."""
    IP_ADDRESS = "ip_address"
    """A public address; 127.0.0.1 and 192.168.0.1 do not count."""
    SECRET = "secret"  # noqa: S105  the name of a kind, not a password
    """A private key, token, API key or password."""


class Span(NamedTuple):
    """One finding: text[start:end]."""

    kind: PiiKind
    start: int
    end: int
