"""Runs Presidio's pattern recognizers."""

from __future__ import annotations

from typing import Any

import tldextract
from presidio_analyzer import predefined_recognizers as known

from benchmarks.report import timed

RECOGNIZERS = {
    "CREDIT_CARD": known.CreditCardRecognizer,
    "EMAIL_ADDRESS": known.EmailRecognizer,
    "IBAN_CODE": known.IbanRecognizer,
    "IP_ADDRESS": known.IpRecognizer,
    "PHONE_NUMBER": known.PhoneRecognizer,
    "US_DRIVER_LICENSE": known.UsLicenseRecognizer,
    "US_SSN": known.UsSsnRecognizer,
}
tldextract.extract = tldextract.TLDExtract(
    suffix_list_urls=()
)  # the bundled list, without a download
SCORE = 0.3  # lower: bare numbers of the right length, with or without context words


def patterns(texts: list[str]) -> dict[str, Any]:
    """The findings in each text, as [kind, start, end], and the CPU seconds of a second pass."""
    recognizers = [(recognizer(), kind) for kind, recognizer in RECOGNIZERS.items()]

    def find(text: str) -> list[tuple[str, int, int]]:
        return [
            (kind, one.start, one.end)
            for recognizer, kind in recognizers
            for one in recognizer.analyze(text, [kind], None) or []
            if one.score >= SCORE
        ]

    found = [find(text) for text in texts]
    _, seconds = timed(lambda: [find(text) for text in texts])
    return {"found": found, "seconds": seconds}
