"""Prints the trip of one record through the quickstart: calls from one of our files into another.

    python -m tests.trip

The engine runs the recipe without Prefect, with the fake teacher, on one prompt. A line is a call
into another file, below the call that made it, stage by stage; repeats within a stage are left out.
The counts at the end say how
many files a reader must open to follow a record, and how many pairs of files call each other.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from flows.recipe_file import load_recipe
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from tests.fake_teacher import served

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flows", "seeds", "filters", "synth")
FILES = {
    str(path): str(path.relative_to(ROOT))
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}


@dataclass
class Visit:
    """A call into a file, and the calls from there into other files: by stage, file, function."""

    file: str = ""
    calls: dict[tuple[str, str, str], Visit] = field(default_factory=dict)


class Running(NamedTuple):
    """A running function: the visit that it belongs to, None during an import, and its caller."""

    visit: Visit | None
    caller: Running | None


class Trip(Progress):
    """Follows calls on all threads. Tasks and threads start at the place of their creator."""

    def __init__(self) -> None:
        self.start = Visit()
        self.on = False
        self.stage = ""
        self._here: ContextVar[Running] = ContextVar("here")
        self._root = Running(self.start, None)

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        """Later calls are those of this stage."""
        self.stage = f"{index:02d}-{name}"

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """A profile function, as `sys.setprofile` takes it."""
        file = FILES.get(frame.f_code.co_filename)
        if not self.on or file is None or event not in ("call", "return"):
            return
        here = self._here.get(self._root)
        if event == "return":
            self._here.set(here.caller or here)
            return
        visit, name = here.visit, frame.f_code.co_qualname
        if name == "<module>":
            visit = None
        elif visit is not None and visit.file != file:
            visit = visit.calls.setdefault((self.stage, file, name), Visit(file))
        self._here.set(Running(visit, here))


async def travel(folder: Path, url: str) -> Trip:
    """One record from reading to release."""
    trip = Trip()
    threading.setprofile(trip.profile)  # before the pool's threads start
    plan = load_recipe("quickstart", teacher=url, limit=1)
    async with open_runner(plan, folder, trip) as runner:
        sys.setprofile(trip.profile)
        trip.on = True
        await run_stages(runner)
        trip.on = False
    return trip


def tell(visit: Visit, pairs: Counter[tuple[str, str]], depth: int = 0) -> None:
    """Prints the calls below a visit, and counts them by pair of files."""
    stage = ""
    for (its_stage, file, function), below in visit.calls.items():
        if depth == 1 and its_stage != stage:
            stage = its_stage
            print(f"\n{stage}")
        print(f"{'  ' * depth}{file}: {function}")
        if visit.file:
            pairs[visit.file, file] += 1
        tell(below, pairs, depth + 1)


def main() -> None:
    """Prints the trip and the counts."""
    with tempfile.TemporaryDirectory() as folder, served() as teacher:
        trip = asyncio.run(travel(Path(folder, "run"), teacher.url))
    pairs: Counter[tuple[str, str]] = Counter()
    tell(trip.start, pairs)
    files = {file for pair in pairs for file in pair}
    both = {frozenset(pair) for pair in pairs if pair[::-1] in pairs}
    print(
        f"\n{len(files)} of {len(FILES)} files, {len(pairs)} pairs of caller and callee, "
        f"{len(both)} pairs that call both ways"
    )
    for one in sorted(map(sorted, both)):
        print("  both ways:", " and ".join(one))


if __name__ == "__main__":
    main()
