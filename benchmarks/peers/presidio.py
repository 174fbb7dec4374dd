"""Presidio's pattern recognizers over texts, run by a Python that has `presidio-analyzer`.

In: one JSON line, `{"texts": [...], "kinds": [...], "speed": [...]}`. Out: another, with what was
found in each of `texts` as [kind, start, end], and the megabytes per CPU-second over `speed`.
"""

from __future__ import annotations

import json
import sys
import time

from presidio_analyzer import predefined_recognizers as known

RECOGNIZERS = {
    "CREDIT_CARD": known.CreditCardRecognizer,
    "EMAIL_ADDRESS": known.EmailRecognizer,
    "IBAN_CODE": known.IbanRecognizer,
    "IP_ADDRESS": known.IpRecognizer,
    "PHONE_NUMBER": known.PhoneRecognizer,
    "US_DRIVER_LICENSE": known.UsLicenseRecognizer,
    "US_SSN": known.UsSsnRecognizer,
}
SCORE = 0.3  # below it are bare numbers of the right length; without context words as with them


def main() -> None:
    """Reads the task, writes what was found and how fast."""
    task = json.loads(sys.stdin.readline())
    recognizers = [(RECOGNIZERS[kind](), kind) for kind in task["kinds"]]

    def find(text: str) -> list[tuple[str, int, int]]:
        return [
            (kind, one.start, one.end)
            for recognizer, kind in recognizers
            for one in recognizer.analyze(text, [kind], None) or []
            if one.score >= SCORE
        ]

    found = [find(text) for text in task["texts"]]
    started = time.process_time()
    for text in task["speed"]:
        find(text)
    seconds = time.process_time() - started
    print(json.dumps({"found": found, "mb_per_s": sum(map(len, task["speed"])) / 1e6 / seconds}))


if __name__ == "__main__":
    main()
