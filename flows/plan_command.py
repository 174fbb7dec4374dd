"""`synth plan`: runs a sample of the seeds and projects what the whole run takes, without Prefect.

The sample runs in the folder `plan` of the run folder. The run finds its replies there, so they are
paid for once.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from time import monotonic

import orjson
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from flows import loop
from flows.progress import ConsoleProgress
from flows.recipe_file import load_recipe
from flows.terminal import print_line
from synth.engine.lock import locked
from synth.engine.new_seeds import NewSeeds
from synth.engine.plan import PLAN, Plan
from synth.engine.projection import NOTHING, Estimate, StageProjection, project, whole
from synth.engine.run import open_runner, run_stages
from synth.engine.sample import Sampled, draw
from synth.engine.stage import CorpusStage, ShardStage, Sink, Source
from synth.engine.waves import goals
from synth.errors import ExitCode, InputError, NoRowsError
from synth.release.union import current_release
from synth.store.durable import write_bytes
from synth.store.increments import increment_run
from synth.store.manifest import Manifest, run_manifests, stage_label
from synth.teacher.caps import SECONDS_AN_HOUR
from synth.teacher.protocol import Reply

FEWEST_ROWS = 10
"""A smaller sample says too little about the spread among the rows."""
SPEEDS = "speeds.json"


@dataclass(slots=True)
class Speed:
    """How fast the teacher answered the sample's requests of one stage."""

    replies: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    @property
    def tokens_per_s(self) -> float:
        """Tokens of replies per second; 0 if nothing was asked."""
        return self.tokens_out / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class SampleProgress(ConsoleProgress):
    """Also measures the teacher's speed in each stage."""

    speeds: dict[str, Speed] = field(default_factory=dict)
    _label: str = ""
    _started: float = 0.0

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        self._label, self._started = stage_label(index, name), monotonic()
        ConsoleProgress.stage_starts(self, index, name, rows)

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        if not reused:
            speed = self.speeds.setdefault(self._label, Speed())
            speed.replies += 1
            speed.tokens_out += reply.tokens_out
            speed.seconds = monotonic() - self._started
        ConsoleProgress.reply(self, index, reply, reused)


@dataclass(frozen=True, slots=True)
class Projection:
    """What the whole run takes, projected from a sample. `--json` prints it."""

    recipe: str
    rows_sampled: int
    rows_of_input: int
    rows_rejected_by_read: int
    stages: list[StageProjection]
    requests: Estimate
    tokens_in: Estimate
    tokens_out: Estimate
    rows: Estimate
    """Rows that are left at the end."""
    hours: Estimate | None
    """Of the stages that ask the teacher; None if nothing was measured."""
    cost: Estimate | None
    """None without a price."""
    tokens_per_s: dict[str, float]
    """Measured speed, by stage."""
    notes: list[str]
    replies: int
    """Replies that the sample has just paid for."""
    replies_tokens_out: int


def plan(arguments: Namespace) -> int:
    """Runs a sample of the seeds and prints what the whole run will take."""
    if arguments.rows < FEWEST_ROWS:
        raise InputError(
            f"--rows {arguments.rows}: a sample needs at least {FEWEST_ROWS} rows to project from"
        )
    made = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    folder = arguments.out or Path("outputs") / made.name
    with SampleProgress() as progress:
        found = loop.run(projected(made, folder, arguments.rows, progress))
    if arguments.json:
        print(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2).decode())
    else:
        print_projection(found, made)
    return ExitCode.OK


async def projected(made: Plan, folder: Path, rows: int, progress: SampleProgress) -> Projection:
    """Runs a sample of so many rows, in the folder of the run, and projects the run."""
    with locked(folder):  # the run's budget counts the sample
        inside = folder / PLAN
        sampled = draw(made, rows, inside, _new_seeds(made, folder))
        async with open_runner(sampled.plan, inside, progress, folder) as runner:
            try:
                await run_stages(runner)
            except NoRowsError as error:
                progress.say(f"the sample ends early: {error}")
        manifests = run_manifests(inside)
        before = _speeds(inside)
        speeds = {**before, **progress.speeds}
        write_bytes(inside / SPEEDS, orjson.dumps({k: asdict(v) for k, v in speeds.items()}))
    return _projection(made, sampled, manifests, speeds, progress.speeds)


def _new_seeds(made: Plan, folder: Path) -> NewSeeds | None:
    """Chooses the rows that an incremental run in the folder would read; None for all."""
    if not made.incremental:
        return None
    release = current_release(folder)
    live = [increment_run(folder, one.number) for one in release.increments] if release else []
    source = made.stages[0]
    return NewSeeds(folder, live, source.most_rows if isinstance(source, Source) else None)


def _speeds(inside: Path) -> dict[str, Speed]:
    """The speeds that earlier samples measured: a repeated one asks nothing."""
    try:
        return TypeAdapter(dict[str, Speed]).validate_json((inside / SPEEDS).read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}


def _projection(
    made: Plan,
    sampled: Sampled,
    manifests: list[Manifest],
    speeds: dict[str, Speed],
    now: dict[str, Speed],
) -> Projection:
    both = [at for at, stage in enumerate(made.stages) if not isinstance(stage, Sink | CorpusStage)]
    labels = {
        stage_label(index, stage.name): stage_label(at, stage.name)
        for (index, stage), at in zip(enumerate(sampled.plan.stages), both, strict=True)
    }
    stages = [project(one, labels[one.label], sampled.seeds) for one in manifests[1:]]
    requests, into, out = whole(manifests, sampled.seeds)
    hours: Estimate | None = NOTHING
    for one, manifest in zip(stages, manifests[1:], strict=True):
        speed = speeds.get(manifest.label)
        if one.tokens_out.value and (speed is None or not speed.tokens_per_s):
            hours = None
            break
        if hours and speed is not None and speed.tokens_per_s:
            hours = hours.plus(one.tokens_out.times(1 / speed.tokens_per_s / SECONDS_AN_HOUR))
    kept = stages[-1].rows_kept if stages else Estimate(*[float(sampled.seeds)] * 3)
    return Projection(
        recipe=made.name,
        rows_sampled=sampled.rows,
        rows_of_input=sampled.seeds,
        rows_rejected_by_read=sampled.rejected,
        stages=stages,
        requests=requests,
        tokens_in=into,
        tokens_out=out,
        rows=kept,
        hours=hours,
        cost=_cost(made, into, out, hours),
        tokens_per_s={labels[name]: speed.tokens_per_s for name, speed in speeds.items()},
        notes=list(_notes(made, sampled, manifests, into.plus(out), hours, kept, speeds)),
        replies=sum(speed.replies for speed in now.values()),
        replies_tokens_out=sum(speed.tokens_out for speed in now.values()),
    )


def _cost(made: Plan, into: Estimate, out: Estimate, hours: Estimate | None) -> Estimate | None:
    price = made.budget.price if made.budget else None
    if price is None or (hours is None and price.per_gpu_hour):
        return None
    time = (hours or NOTHING).times(SECONDS_AN_HOUR)
    return Estimate(
        price.of(into.value, out.value, time.value),
        price.of(into.low, out.low, time.low),
        price.of(into.high, out.high, time.high),
    )


def _notes(
    made: Plan,
    sampled: Sampled,
    manifests: list[Manifest],
    tokens: Estimate,
    hours: Estimate | None,
    kept: Estimate,
    speeds: dict[str, Speed],
) -> list[str]:
    """What the projection assumes, and what it cannot know."""
    notes = []
    if made.incremental:
        notes.append("the figures are for the rows that no increment of the release has read")
    if sampled.rejected:
        notes.append(f"`read` rejects {sampled.rejected:,} rows of the input; they cost nothing")
    for index, stage in enumerate(made.stages):
        label = stage_label(index, stage.name)
        if isinstance(stage, CorpusStage) and stage.originals_before:
            notes.append(
                f"{label} adds originals and rejects what is over its share; both cost no tokens, "
                "and the figures leave them out"
            )
        elif isinstance(stage, CorpusStage):
            notes.append(
                f"{label} compares all rows, so a sample cannot show what it rejects: it is "
                "counted as keeping every row, and later stages may get fewer"
            )
        elif isinstance(stage, ShardStage) and stage.learns:
            notes.append(
                f"{label} learns from the rows of a shard: the run will ask again, in part, what "
                "the sample asked"
            )
    if len(manifests) < len(sampled.plan.stages):
        rest = ", ".join(one.name for one in sampled.plan.stages[len(manifests) :])
        notes.append(f"no row of the sample reached {rest}: their figures are unknown, not 0")
    if speeds and made.asks_teacher and hours is not None:
        most = max(speed.replies for speed in speeds.values())
        if most < (allowed := max(one.most_in_flight for one in made.asked().values())):
            notes.append(
                f"hours assume the speed of the sample, which had at most {most:,} requests in "
                f"flight; the run may have {allowed:,}, and most servers are faster with more"
            )
    notes += _target(made, sampled.seeds, kept)
    budget = made.budget
    if budget and budget.tokens is not None and tokens.high > budget.tokens:
        notes.append(
            f"`budget.tokens` is {budget.tokens:,}: the run {_may_stop(tokens, budget.tokens)} "
            "before its end"
        )
    if budget and budget.hours is not None and hours and hours.high > budget.hours:
        stop = _may_stop(hours, budget.hours)
        notes.append(f"`budget.hours` is {budget.hours:g}: the run {stop} before its end")
    return notes


def _may_stop(needed: Estimate, cap: float) -> str:
    return "will probably stop" if needed.value > cap else "may stop"


def _target(made: Plan, seeds: int, kept: Estimate) -> list[str]:
    """How many seeds a run draws that wants an exact number of rows."""
    wanted = goals(made)
    if not wanted:
        return []
    words = "the figures are for all rows of the input, but the run stops at its target"
    if len(wanted) > 1 or wanted[0].name:
        return [f"{words}: how many seeds the quotas need is not projected"]
    rows = wanted[0].wanted
    least, most = (
        min(seeds, rows * seeds / many) if many else seeds for many in (kept.high, kept.low)
    )
    return [f"{words} of {rows:,} rows, after {least:,.0f} to {most:,.0f} of {seeds:,} seeds"]


def print_projection(found: Projection, made: Plan) -> None:
    """Prints a line per stage, the totals, and what they assume."""
    print_line(
        f"{found.recipe}: {found.rows_of_input:,} rows to run, projected from a sample of "
        f"{found.rows_sampled:,}, with 90 % intervals",
        "bold",
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for name in ("requests", "tokens in", "tokens out", "rows kept", "of its rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in found.stages:
        asks = [stage.requests, stage.tokens_in, stage.tokens_out]
        share = stage.share_kept.times(100)
        table.add_row(
            stage.stage,
            *(map(_cell, asks) if stage.requests.value else ["-"] * 3),
            _cell(stage.rows_kept),
            f"{share.value:.0f} %\n{share.low:.0f}–{share.high:.0f} %",
        )
    totals = [found.requests, found.tokens_in, found.tokens_out, found.rows]
    table.add_row("whole run", *map(_cell, totals), "", style="bold")
    Console(highlight=False).print(table)
    if found.hours is not None and found.hours.value:
        speeds = ", ".join(f"{label} {speed:,.0f}" for label, speed in found.tokens_per_s.items())
        print_line(f"hours: {_shown(found.hours)}, at the measured tokens/s: {speeds}")
    elif found.hours is None:
        print_line("hours: unknown, because the journal answered everything: use more --rows")
    if found.cost is not None:
        print_line(f"cost: {_shown(found.cost)}")
    elif made.asks_teacher:
        print_line("cost: no price is set: --set budget.price.per_gpu_hour=2.5, for example", "dim")
    for note in found.notes:
        print_line(f"note: {note}")
    print_line(
        f"the sample got {found.replies:,} new replies ({found.replies_tokens_out:,} tokens out); "
        "the run finds them and does not pay for them again",
        "dim",
    )


def _cell(one: Estimate) -> str:
    """An estimate on two lines of a table."""
    whole = (_number(round(n) if isfinite(n) else n) for n in (one.value, one.low, one.high))
    return "{}\n{}–{}".format(*whole)


def _shown(one: Estimate) -> str:
    return f"{_number(one.value)} ({_number(one.low)}–{_number(one.high)})"


def _number(value: float) -> str:
    """A figure with three digits or so: `0.42`, `1,240`, `84.1k`, `2.31M`."""
    if not isfinite(value):
        return "?"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            scaled = value / (1e3 if unit == "k" else size)
            return f"{scaled:,.{max(0, 2 - len(str(int(scaled))) + 1)}f}{unit}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
