"""Precision, recall and speed of `pii` on labelled personal data, compared with Presidio.

The data are sentences with labelled spans (presidio-research). Names, places and dates are left
out, because the patterns of neither find them. A finding is a hit if it overlaps a span of its
kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.labelled import FOLDER, Figures, labelled
from benchmarks.processes import elsewhere, peer
from benchmarks.report import options, result, table, timed
from filters.pii.find import find
from filters.pii.kinds import PiiKind

OURS = {
    "CREDIT_CARD": PiiKind.CARD,
    "EMAIL_ADDRESS": PiiKind.EMAIL,
    "IBAN_CODE": PiiKind.IBAN,
    "IP_ADDRESS": PiiKind.IP_ADDRESS,
    "PHONE_NUMBER": PiiKind.PHONE,
    "US_DRIVER_LICENSE": PiiKind.ID_NUMBER,
    "US_SSN": PiiKind.ID_NUMBER,
}
PEER = "Presidio's patterns"
GOAL = 0.95
Spans = Iterable[tuple[str, int, int]]


def figures(rows: Sequence[Mapping[str, Any]], found: Sequence[Spans]) -> dict[str, Figures]:
    """Figures by kind. Hits and misses count labelled spans, false alarms count findings."""
    counts = {kind: [0, 0, 0] for kind in set(OURS.values())}
    for row, spans in zip(rows, found, strict=True):
        findings = {(OURS.get(kind, kind), start, end) for kind, start, end in spans}
        gold = {
            (OURS[span["entity_type"]], span["start_position"], span["end_position"])
            for span in row["spans"]
            if span["entity_type"] in OURS
        }
        for one in gold:
            hit = any(overlap(one, other) for other in findings)
            counts[PiiKind(one[0])][0 if hit else 2] += 1
        for one in findings:
            counts[PiiKind(one[0])][1] += not any(overlap(one, other) for other in gold)
    return {kind.value: Figures(*counts[kind]) for kind in sorted(counts)}


def overlap(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
    """Whether two spans are of the same kind and share a character."""
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def whole(parts: Iterable[Figures]) -> Figures:
    """All kinds together."""
    return Figures(*(sum(column) for column in zip(*parts, strict=True)))


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, data=FOLDER, repeats=20)
    rows = labelled(given.data / "pii_spans.jsonl", "github.com/microsoft/presidio-research")
    texts = [row["full_text"] for row in rows]
    kinds = tuple(set(OURS.values()))
    ours = [find(text, kinds) for text in texts]
    _, seconds = timed(lambda: [find(text, kinds) for text in texts * given.repeats])
    theirs = elsewhere("benchmarks.peers.presidio:patterns", peer("presidio"), texts=texts)
    found = {"pii": figures(rows, ours), PEER: figures(rows, theirs["found"])}
    mb = sum(map(len, texts)) / 1e6
    speed = {"pii": mb * given.repeats / seconds, PEER: mb / theirs["seconds"]}
    lines = [
        [name, kind, str(one.hits + one.missed), f"{one.precision:.3f}", f"{one.recall:.3f}"]
        for name, parts in found.items()
        for kind, one in [*parts.items(), ("all", whole(parts.values()))]
    ]
    table(["", "kind", "spans", "precision", "recall"], lines)
    total = {name: whole(parts.values()) for name, parts in found.items()}
    result(
        "pii",
        total["pii"].f1,
        "F1 on labelled spans",
        (PEER, total[PEER].f1),
        GOAL,
        precision=total["pii"].precision,
        recall=total["pii"].recall,
    )
    result("pii", speed["pii"], "MB per CPU second", (PEER, speed[PEER]))


if __name__ == "__main__":
    main()
