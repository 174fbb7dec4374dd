"""Incremental runs: each run of the recipe is an increment with the new rows of the input.

`begin` reads the new rows into a run folder of their own. `run_increments` runs the recipe there
and adds the rows to the release.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from filters.pii.push import Push, publish_release
from flows.plan_file import load_plan
from synth.engine.lock import locked
from synth.engine.new_seeds import has_begun, known_seeds, read_manifest
from synth.engine.plan import RELEASE, Plan
from synth.engine.progress import Progress
from synth.engine.receipts import Receipts, forget_hashes
from synth.engine.restart import redo_from
from synth.engine.run import read_seeds, write_again
from synth.engine.runner import Runner
from synth.engine.stage import Source
from synth.errors import InputError, NoRowsError, RefusedError, StoreFault
from synth.release.union import (
    add_increment,
    current_release,
    lost_files,
    settle,
)
from synth.release.write import all_formats
from synth.store.durable import sha256_file, write_bytes
from synth.store.increments import (
    INCREMENTS,
    INPUT,
    RELEASES,
    IncrementMark,
    ReleaseState,
    increment_run,
    load_mark,
    load_state,
    numbers_in,
    save_mark,
    unfinished,
)
from synth.store.manifest import NAME, Manifest

Work = Callable[[Plan, Path], Awaitable[list[Manifest]]]
"""Runs a plan in a run folder, as an ordinary run."""
Ask = Callable[[str], Awaitable[bool]]
"""Asks somebody to approve a push."""
MOST_INCREMENTS = 2
"""In one run: an unfinished one, and one of the rows that came since. A steady input has no end."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An increment that has read its rows."""

    plan: Plan
    """The plan of its run folder, up to `write`."""
    run: Path
    number: int
    resumed: bool
    """Whether an earlier run began it."""


async def begin(
    plan: Plan, root: Path, progress: Progress, *, announce: bool = True
) -> Begun | None:
    """Reads the new rows of the input, or returns the unfinished increment. None if nothing is new.

    Asks no teacher. Also makes `release/` again if it is lost or damaged. The caller has locked
    `root`. Raises `InputError` if the folder or its release does not fit the recipe.
    """
    forget_hashes()  # a damaged disk does not change a file's time
    ordinary = _ordinary(plan)
    _check_folder(ordinary, root)
    await repair(root, progress)
    state, release = load_state(root), current_release(root)
    await asyncio.to_thread(plan.stages[0].preflight)
    live = [one.number for one in release.increments] if release else []
    found = _unfinished(root, state)
    if found is None:
        if await asyncio.to_thread(_is_read, ordinary, root, live):
            return None
        found = _next(root, state, live)
    run = increment_run(root, found.number)
    resumed = await asyncio.to_thread(_is_under_way, run)
    _check_kind(ordinary, run)
    with locked(run):
        read = await read_seeds(Runner(ordinary, run, {}, progress))
        if not read.rows_in:
            shutil.rmtree(run)
            return None
        if not has_begun(run):
            # of the input before it was read: what has arrived since is new
            write_bytes(run / INPUT, read.fingerprint.encode())
            known_seeds(run)  # from now on the increment has these seeds
    rows = f"{read.rows_in:,} {'row' if read.rows_in == 1 else 'rows'}"
    if announce:
        progress.say(
            f"increment {found.number} is unfinished: it continues with its {rows} of the input"
            if resumed
            else f"increment {found.number}: {rows} of the input that no earlier increment has read"
        )
    return Begun(ordinary, run, found.number, resumed)


async def run_increments(
    plan: Plan, root: Path, progress: Progress, work: Work, ask: Ask | None = None
) -> int:
    """Finishes an unfinished increment, then makes one of the new rows. Returns how many it made.

    `ask` asks for approval where `progress` cannot. Raises `NoRowsError` if no increment has left a
    row yet.
    """
    made = 0
    with locked(root):
        while begun := await begin(plan, root, progress):
            made += 1
            rows_left = True
            for stage in plan.stages:
                if isinstance(stage, Push):
                    await asyncio.to_thread(stage.preflight)
            try:
                await work(begun.plan, begun.run)
            except NoRowsError as error:
                rows_left = False
                progress.say(
                    f"WARNING: increment {begun.number} adds nothing: {error}. Its rows are read "
                    f"again only after `synth rollback {root}`"
                )
            release = await asyncio.to_thread(
                add_increment, root, begun.plan, begun.run, rows_left=rows_left
            )
            if not release.rows_kept:
                raise NoRowsError(
                    f"no increment of {root} has left a row, so there is no release yet; to read "
                    "the same rows again with another recipe, delete the folder"
                )
            progress.say(_in_words(root, release))
            live = [one.number for one in release.increments]
            limited = _limit(plan) is not None and not begun.resumed
            last = limited or made == MOST_INCREMENTS
            if last or await asyncio.to_thread(_is_read, begun.plan, root, live):
                break
        await _push(plan, root, progress, ask)
    return made


def _in_words(root: Path, release: Manifest) -> str:
    last = release.increments[-1]
    return (
        f"release {release.number} has {release.rows_kept:,} "
        f"{'row' if release.rows_kept == 1 else 'rows'}, {last.rows:,} of them new: "
        f"{root / RELEASE}"
    )


def up_to_date(plan: Plan, root: Path) -> bool:
    """Whether the current release is on the Hub, if the recipe pushes it."""
    release = current_release(root)
    if release is None or not release.rows_kept:
        return True
    wanted = _to_push(plan, root)
    return wanted is None or _pushed(root) == wanted


async def repair(root: Path, progress: Progress) -> None:
    """Makes `release/` again if it is lost or damaged. Raises `StoreFault` if it cannot."""
    state = load_state(root)
    if not state.current:
        return
    for number, files in (await asyncio.to_thread(lost_files, root, state.current)).items():
        progress.say(f"increment {number}: {', '.join(files)} is lost or damaged")
        await write_increment_again(root, number, progress)
    for line in await asyncio.to_thread(settle, root):
        progress.say(f"{line}: it is made again")


def redo_increment(plan: Plan, root: Path, stage: str) -> None:
    """Marks a stage of the unfinished increment and all later ones as unfinished, as `redo_from`
    does. Raises `InputError` if there is no unfinished increment."""
    found = _unfinished(root, load_state(root))
    if found is None:
        raise InputError(
            f"--from {stage}: {root} has no unfinished increment, and released ones do not change; "
            f"to make the last one again, withdraw it with `synth rollback {root}` and run the "
            "recipe without --from"
        )
    redo_from(_ordinary(plan), increment_run(root, found.number), stage)


async def write_increment_again(root: Path, number: int, progress: Progress) -> None:
    """Writes the data files of an increment again from its shards, without a teacher.

    Raises `StoreFault` if its shards are damaged too.
    """
    run = increment_run(root, number)
    plan, identities = load_plan(run)
    if not await write_again(plan, run, identities, progress):
        raise StoreFault(
            f"the release of {run} cannot be written again, since its shards are damaged too "
            f"(`synth show {run} --check` names them): restore them from a backup, or return to an "
            "earlier release with `synth rollback`"
        )


def _is_under_way(run: Path) -> bool:
    """Whether stages after `read` have begun."""
    return has_begun(run) and any(run.glob("01-*/"))


def _ordinary(plan: Plan) -> Plan:
    """The plan of an increment: the stages up to `write`, as an ordinary run."""
    stages = tuple(stage for stage in plan.stages if not isinstance(stage, Push))
    return replace(plan, stages=stages, incremental=False)


def _unfinished(root: Path, state: ReleaseState) -> IncrementMark | None:
    """The increment that was begun on the current release and is not in a release yet."""
    for number in reversed(numbers_in(root / INCREMENTS)):
        mark = load_mark(increment_run(root, number))
        if mark and unfinished(mark, state):
            return mark
    return None


def _next(root: Path, state: ReleaseState, live: list[int]) -> IncrementMark:
    """Marks the folder of a new increment."""
    marked = [n for n in numbers_in(root / INCREMENTS) if load_mark(increment_run(root, n))]
    used = [*marked, *numbers_in(root / RELEASES), *state.withdrawn, state.current]
    number = max(used) + 1
    mark = IncrementMark(number=number, base=state.current, earlier=live)
    save_mark(increment_run(root, number), mark)
    return mark


def _is_read(plan: Plan, root: Path, live: list[int]) -> bool:
    """Whether an increment has read the whole input as it is now."""
    if _limit(plan) is not None:
        return False
    now = _fingerprint(plan, root).encode()
    paths = [increment_run(root, number) / INPUT for number in live]
    return any(path.is_file() and path.read_bytes() == now for path in paths)


def _limit(plan: Plan) -> int | None:
    """The most new rows that an increment reads; None for all."""
    source = plan.stages[0]
    return source.most_rows if isinstance(source, Source) else None


def _fingerprint(plan: Plan, root: Path) -> str:
    """The hash of the input and of the settings of `read`."""
    return Receipts(plan, root, {}).fingerprint(0, None)


def _check_folder(plan: Plan, root: Path) -> None:
    """Raises `InputError` if the folder has an ordinary run, or a release of another format."""
    if any(root.glob("[0-9][0-9]-*/")):
        raise InputError(
            f"{root} holds an ordinary run, so it cannot become incremental: choose another folder "
            "with --out"
        )
    release = current_release(root)
    if release is None or not release.rows_kept:
        return
    kind = plan.kind_before(-1)
    now = ", ".join(all_formats(plan.stages[-1].model_dump()["format"], kind))
    was = ", ".join(all_formats(release.settings["format"], type(kind)(release.kind)))
    if now != was:
        raise InputError(
            f"the release in {root} has the format `{was}`, and the recipe writes `{now}`: an "
            f"incremental run keeps its formats; set `write: {{format: [{was}]}}`, or choose "
            "another folder with --out"
        )


def _check_kind(plan: Plan, run: Path) -> None:
    """Raises `InputError` if an unfinished increment began with another kind of records."""
    read = read_manifest(run) if has_begun(run) else None
    if read is not None and read.kind != (now := plan.kind_before(1)):
        raise InputError(
            f"the unfinished increment {run} began with {read.kind}, and the recipe reads {now}: "
            "finish it with the recipe it began with, or delete its folder"
        )


class PushedRelease(BaseModel):
    """What was pushed last: `push.json` in the folder of an incremental run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    """The sha256 of the release's manifest."""
    targets: list[str]


def _to_push(plan: Plan, root: Path) -> PushedRelease | None:
    targets = [f"{one.repo}@{one.revision}" for one in plan.stages if isinstance(one, Push)]
    sha256 = sha256_file(root / RELEASE / NAME)
    return PushedRelease(release=sha256, targets=targets) if targets else None


def _pushed(root: Path) -> PushedRelease | None:
    try:
        return PushedRelease.model_validate_json((root / "push.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


async def _push(plan: Plan, root: Path, progress: Progress, ask: Ask | None) -> None:
    """Pushes the current release, unless that was done."""
    if await asyncio.to_thread(up_to_date, plan, root):
        return
    for stage in plan.stages:
        if isinstance(stage, Push):
            agreed = progress.agreed if stage.approve else None
            if stage.approve and ask is not None and not progress.can_ask:
                question = await asyncio.to_thread(stage.question, root, progress.say)
                answer = await ask(question)
                agreed = partial(_answered, answer)
            publish = partial(publish_release, root / RELEASE, stage, say=progress.say)
            if not await asyncio.to_thread(publish, agreed=agreed):
                raise RefusedError(
                    f"nobody approved the push to {stage.repo}, so nothing was published; run the "
                    f"same command again, or `synth push {root} --repo {stage.repo}`"
                )
    wanted = _to_push(plan, root)
    assert wanted is not None, "the recipe pushes"
    write_bytes(root / "push.json", wanted.model_dump_json(indent=1).encode() + b"\n")


def _answered(answer: bool, _question: str) -> bool:
    return answer
