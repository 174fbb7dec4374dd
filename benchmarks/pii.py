"""How much labelled personal data `pii` finds, how much that is none, how fast: against Presidio.

On sentences with labelled spans (presidio-research). Names, places and dates are left out: patterns
find none of them, in either. A finding is a hit where it overlaps a span of its kind. Presidio runs
where `--peer` names a Python that has `presidio-analyzer`: `python -m venv DIR`, then
`DIR/bin/pip install presidio-analyzer`, then `--peer DIR/bin/python`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.labelled import FOLDER, Figures, labelled
from benchmarks.report import result, table
from filters.pii.find import find
from filters.pii.kinds import Kind

OURS = {
    "CREDIT_CARD": Kind.CARD,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "IBAN_CODE": Kind.IBAN,
    "IP_ADDRESS": Kind.IP_ADDRESS,
    "PHONE_NUMBER": Kind.PHONE,
    "US_DRIVER_LICENSE": Kind.ID_NUMBER,
    "US_SSN": Kind.ID_NUMBER,
}
REPEATS = 20
ONE_REGEX = 0.8  # recall of one regex with checksums on 20 mixed items, and
ONE_REGEX_MB_PER_S = 3.2  # its speed: the limit to beat where no peer is at hand
GOAL = 0.95
Spans = Iterable[tuple[str, int, int]]


def figures(rows: Sequence[Mapping[str, Any]], found: Sequence[Spans]) -> dict[str, Figures]:
    """By kind; hits count labelled spans, false alarms count findings."""
    counts = {kind: [0, 0, 0] for kind in set(OURS.values())}
    for row, spans in zip(rows, found, strict=True):
        said = {(OURS.get(kind, kind), start, end) for kind, start, end in spans}
        gold = {
            (OURS[span["entity_type"]], span["start_position"], span["end_position"])
            for span in row["spans"]
            if span["entity_type"] in OURS
        }
        for one in gold:
            counts[Kind(one[0])][0 if any(overlap(one, other) for other in said) else 2] += 1
        for one in said:
            counts[Kind(one[0])][1] += not any(overlap(one, other) for other in gold)
    return {kind.value: Figures(*counts[kind]) for kind in sorted(counts)}


def overlap(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
    """Whether two spans are of one kind and share a character."""
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def whole(parts: Iterable[Figures]) -> Figures:
    """All kinds together."""
    return Figures(*(sum(column) for column in zip(*parts, strict=True)))


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER / "pii_spans.jsonl")
    parser.add_argument("--peer", help="a Python that has presidio-analyzer")
    arguments = parser.parse_args()
    rows = labelled(arguments.data, "github.com/microsoft/presidio-research")
    texts = [row["full_text"] for row in rows]
    kinds = tuple(set(OURS.values()))

    found = {"pii": figures(rows, [find(text, kinds) for text in texts])}
    started = time.process_time()
    for text in texts * REPEATS:
        find(text, kinds)
    seconds = time.process_time() - started
    speed = {"pii": sum(map(len, texts)) * REPEATS / 1e6 / seconds}
    if arguments.peer:
        task = {"texts": texts, "kinds": list(OURS), "speed": texts}
        script = Path(__file__).parent / "peers/presidio.py"
        done = subprocess.run(
            [arguments.peer, script],
            input=json.dumps(task) + "\n",
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{arguments.peer} failed:\n{done.stderr[-2000:]}")
        said = json.loads(done.stdout.splitlines()[-1])
        found["presidio patterns"] = figures(rows, said["found"])
        speed["presidio patterns"] = said["mb_per_s"]

    lines = [
        [name, kind, str(one.hits + one.missed), f"{one.precision:.3f}", f"{one.recall:.3f}"]
        for name, parts in found.items()
        for kind, one in [*parts.items(), ("all", whole(parts.values()))]
    ]
    table(["", "kind", "spans", "precision", "recall"], lines)
    print("\nMB per CPU-second:", ", ".join(f"{name} {mb:.1f}" for name, mb in speed.items()))
    total = {name: whole(parts.values()) for name, parts in found.items()}
    result(
        "pii",
        total["pii"].f1,
        "F1 on labelled spans",
        "higher",
        GOAL,
        {
            "recall of one regex with checksums": ONE_REGEX,
            **{name: one.f1 for name, one in total.items() if name != "pii"},
        },
        precision=total["pii"].precision,
        recall=total["pii"].recall,
        mb_per_cpu_s=speed["pii"],
        times_one_regex=speed["pii"] / ONE_REGEX_MB_PER_S,
    )


if __name__ == "__main__":
    main()
