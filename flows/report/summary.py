"""The figures of a run for programs: `run.json`, `synth show RUN --json`.

{"format": 1, "name": "quickstart", "state": "finished", "released": 20, "stages": [{"stage":
"00-read", "rows_in": 40, …}, …], "verdicts": {"release": {…}}, "measures": {"operations": […]}}
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import orjson
from pydantic import ValidationError

from flows.report.figures import Measures
from synth.engine.lock import worked_on_by
from synth.model import Model
from synth.store.manifest import Manifest, TeacherRecord
from synth.verdict_counts import VerdictCounts
from synth.verdict_report import run_verdicts

NAME = "run.json"
NOTES = 100  # of a stage; shards often note the same
State = Literal["finished", "no_rows_left", "running", "unfinished"]


class StageFigures(Model):
    """One stage: rows in + rows made = rows kept + rows rejected."""

    stage: str
    """Its folder, such as `03-distill`."""
    kind: str
    """What its rows are: prompts, documents, answers or release."""
    rows_in: int
    rows_made: int
    """Rows beyond the input rows: evolved prompts, further samples, chunks."""
    rows_kept: int
    rows_rejected: int
    reasons: dict[str, int]
    """Rejected rows by reason, most frequent first."""
    shards: int
    requests: int
    """Requests to the teacher, answered by it or by the journal."""
    reused: int
    """How many of these the journal answered."""
    retries: int
    """Failed attempts."""
    unusable: int
    """Replies without usable text."""
    tokens_in: int
    """Tokens of all requests, those from the journal included."""
    tokens_out: int
    """Tokens of all replies, those from the journal included."""
    prefix_hit_rate: float | None
    """Share of prompt tokens found in the servers' prefix caches; null if unknown."""
    seconds: float
    """The sum over its shards. Shards run side by side, so the clock shows less."""
    notes: list[str]
    """What the stage noted for the user: the first 100 different notes."""


class RunSummary(Model):
    """The figures of a run."""

    format: Literal[1] = 1
    """The version of this schema. It is raised when a field changes its meaning or is removed."""
    name: str
    """The recipe's name; `filter` or `verify` for these commands."""
    synth: str
    """The version of synth that ran the last stage."""
    seed: int
    state: State
    """`unfinished` and `running` runs have the stages that are finished so far."""
    fingerprint: str
    """The sha256 of the manifests that the figures come from."""
    teacher: TeacherRecord | None
    """The teacher that answered, with its revision; null if none was asked."""
    stages: list[StageFigures]
    released: int
    """Rows of the release."""
    requests: int
    tokens_in: int
    tokens_out: int
    tokens_in_per_released: float | None
    """Tokens of all requests, over the released rows; null without a release."""
    tokens_out_per_released: float | None
    """The same for the tokens of all replies."""
    seconds: float
    """The sum over all shards of all stages."""
    verdicts: dict[str, VerdictCounts]
    """The verifiers' verdicts, at each stage that verifies and in the `release`."""
    warnings: list[str]
    """The problems that the last verdicts show, as sentences."""
    measures: Measures | None = None
    """Figures that need a pass over all rows. Null until `synth report`, which ends each
    `synth run`."""


def summarise(
    run: Path, manifests: Sequence[Manifest], measures: Measures | None = None
) -> RunSummary:
    """Returns the figures of a run with at least one finished stage."""
    last = manifests[-1]
    verdicts = run_verdicts(run, manifests)
    stages = [_figures(manifest) for manifest in manifests]
    released = next((one.rows_kept for one in manifests if one.releases), 0)
    tokens_in, tokens_out = (
        sum(getattr(one, name) for one in stages) for name in ("tokens_in", "tokens_out")
    )
    return RunSummary(
        name=last.recipe,
        synth=last.code,
        seed=last.seed,
        state=_state(run, last),
        fingerprint=fingerprint(manifests),
        teacher=next((one.teacher for one in reversed(manifests) if one.teacher), None),
        stages=stages,
        released=released,
        requests=sum(one.requests for one in stages),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_in_per_released=tokens_in / released if released else None,
        tokens_out_per_released=tokens_out / released if released else None,
        seconds=sum(one.seconds for one in stages),
        verdicts=verdicts,
        warnings=list(verdicts.values())[-1].warnings() if verdicts else [],
        measures=measures,
    )


def as_json(summary: RunSummary) -> bytes:
    """Returns the content of `run.json`."""
    return orjson.dumps(summary.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n"


def saved(run: Path, manifests: Sequence[Manifest]) -> RunSummary | None:
    """Returns the figures in the run's `run.json`; None if it is missing or of other manifests."""
    try:
        found = RunSummary.model_validate_json((run / NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return found if found.fingerprint == fingerprint(manifests) else None


def fingerprint(manifests: Sequence[Manifest]) -> str:
    """Returns a sha256 over the manifests: equal as long as no stage ran again."""
    digest = sha256()
    for manifest in manifests:
        digest.update(manifest.model_dump_json().encode())
    return digest.hexdigest()


def _state(run: Path, last: Manifest) -> State:
    if last.releases:
        return "finished"
    if not last.rows_kept:
        return "no_rows_left"
    return "running" if worked_on_by(run) else "unfinished"


def _figures(manifest: Manifest) -> StageFigures:
    shards = manifest.shards

    def total(name: str) -> int:
        return sum(getattr(shard, name) for shard in shards)

    notes = [manifest.unjudged, *(note for shard in shards for note in shard.notes)]
    return StageFigures(
        stage=manifest.label,
        kind=manifest.kind,
        rows_in=manifest.rows_in,
        rows_made=manifest.rows_made,
        rows_kept=manifest.rows_kept,
        rows_rejected=manifest.rows_rejected,
        reasons=dict(sorted(manifest.reasons.items(), key=lambda item: (-item[1], item[0]))),
        shards=len(shards),
        requests=total("requests"),
        reused=total("reused"),
        retries=total("retries"),
        unusable=total("unusable"),
        tokens_in=total("tokens_in"),
        tokens_out=total("tokens_out"),
        prefix_hit_rate=manifest.prefix_hit_rate,
        seconds=round(sum(shard.seconds for shard in shards), 3),
        notes=list(dict.fromkeys(filter(None, notes)))[:NOTES],
    )
