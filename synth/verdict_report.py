"""Reports the verdicts of a run: at each `verify` stage, and on the released rows.

rows       check         pass  fail  error  unreadable  not applicable
05-verify  maths           74    61      0         104              63
release    maths           47     0      0           0              10
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from synth.engine.plan import RELEASE
from synth.store.manifest import Manifest
from synth.verdict_counts import VerdictCounts, released


def run_verdicts(run: Path, manifests: Sequence[Manifest]) -> dict[str, VerdictCounts]:
    """The counts by place, `05-verify` or `release`, in run order."""
    found = stage_verdicts(manifests)
    if manifests and manifests[-1].releases and (run / RELEASE).is_dir():
        found[RELEASE] = released(run / RELEASE)
    return found


def stage_verdicts(manifests: Sequence[Manifest]) -> dict[str, VerdictCounts]:
    """The counts of each stage that verifies, including rejected rows."""
    return {
        manifest.label: manifest.verdicts for manifest in manifests if manifest.verdicts is not None
    }


def verdict_rows(found: Mapping[str, VerdictCounts]) -> list[dict[str, str | int]]:
    """One table row per place and check."""
    return [{"rows": where, **row} for where, counts in found.items() for row in counts.table()]
