"""The kinds of personal data and secrets, and the place of a finding."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PiiKind(StrEnum):
    """A kind of personal data or secret."""

    EMAIL = "email"
    PHONE = "phone"
    """With a country code, in a form that only phone numbers have, or announced by words."""
    CARD = "card"
    """A payment card: a network's first digits and length, and its check digit (Luhn)."""
    IBAN = "iban"
    """An international bank account number: its country's length, and its check digits."""
    ID_NUMBER = "id_number"
    """A US social security number; a number that words announce as a passport's, licence's …"""
    IP_ADDRESS = "ip_address"
    """A public one: 127.0.0.1 and 192.168.0.1 are nobody's."""
    SECRET = "secret"  # noqa: S105  the name of a kind, not a password
    """A private key, token, API key or password."""


class Span(NamedTuple):
    """One finding: text[start:end]."""

    kind: PiiKind
    start: int
    end: int
