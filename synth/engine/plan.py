"""The plan of a run (the validated recipe for the engine), and the paths in the run folder.

outputs/quickstart/
  00-read/  kept/00000.parquet  rejected/00000.parquet  receipts/00000.json  manifest.json
  01-evolve/  … and journal/00000.sqlite
  release/  README.md  data/train-00000-of-00001.parquet  manifest.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.engine.guards import Guards
from synth.engine.stage import AskingStage, CorpusStage, Sink, Stage
from synth.kind import Kind
from synth.store.increments import INCREMENTS, reusable_runs
from synth.store.manifest import NAME, stage_label
from synth.teacher.caps import BudgetConfig
from synth.teacher.config import TeacherConfig

RELEASE = "release"
PLAN = "plan"
"""The folder inside a run folder where `synth plan` runs its sample."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages and settings of a run."""

    name: str
    seed: int
    shard_rows: int
    """Records per shard inside the run. A shard is one task, is resumed as a whole, and must fit in
    memory."""
    teacher: TeacherConfig | None
    stages: tuple[Stage, ...]
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe as the user wrote it, for the card."""
    incremental: bool = False
    """Whether each run is an increment with the new rows of the input."""
    guards: Guards = field(default_factory=Guards)
    budget: BudgetConfig | None = None
    """Not part of `recipe`: a changed budget makes no finished work stale."""
    teachers: Mapping[str, TeacherConfig] = field(default_factory=dict)
    """Further teachers, by the names that stages use."""
    dask: str | None = None
    """Address of the Dask scheduler whose workers do the work on shards, if there is one."""
    shards_at_once: int = 8
    """Maximum number of shards that the run's own process works on at the same time. Limits memory,
    which holds each of these shards as a whole."""
    workers: int | None = None
    """Processes for shards that keep a core busy; None for one per core. Not part of `recipe`, as
    `budget`."""

    def kind_before(self, index: int) -> Kind:
        """The kind of records that stage `index` reads."""
        kind = Kind.NOTHING
        for stage in self.stages[:index]:
            kind = stage.makes(kind)
        return kind

    def originals(self, index: int) -> int | None:
        """The index of the stage whose output stage `index` reads besides its input, or None."""
        stage = self.stages[index]
        named = stage.originals_before if isinstance(stage, CorpusStage) else None
        names = [one.name for one in self.stages[:index]]
        return names.index(named) - 1 if named in names else None

    @property
    def target(self) -> int | None:
        """The index of the sink that wants an exact number of rows, or None."""
        for index, stage in enumerate(self.stages):
            if isinstance(stage, Sink) and stage.goals((), self.kind_before(index)):
                return index
        return None

    @property
    def asks_teacher(self) -> bool:
        """Whether any stage asks a teacher."""
        return any(stage.asks_teacher for stage in self.stages)

    def teacher_of(self, index: int) -> str | None:
        """The name of the teacher that a stage asks, "" for the recipe's `teacher`. None if it asks
        none. Teachers with equal settings are one, which has the first of their names."""
        stage = self.stages[index]
        if not stage.asks_teacher:
            return None
        named = stage.teacher if isinstance(stage, AskingStage) else None
        known = self._teachers()
        wanted = known.get(named or "")
        return next((name for name, config in known.items() if config == wanted), named or "")

    def asked(self) -> dict[str, TeacherConfig]:
        """The teachers that stages ask, by name, in the order of these stages."""
        names = map(self.teacher_of, range(len(self.stages)))
        known = self._teachers()
        return {name: known[name] for name in names if name is not None and name in known}

    def _teachers(self) -> dict[str, TeacherConfig]:
        return {**({} if self.teacher is None else {"": self.teacher}), **self.teachers}


@dataclass(frozen=True, slots=True)
class StageFolder:
    """The files of one stage."""

    path: Path

    @classmethod
    def of(cls, run: Path, index: int, name: str) -> StageFolder:
        """The folder of the run's stage `index`."""
        return cls(run / stage_label(index, name))

    @property
    def manifest(self) -> Path:
        """The path of the stage's manifest."""
        return self.path / NAME

    def kept(self, shard: int) -> str:
        """Path of a shard of kept rows, relative to the folder."""
        return f"kept/{shard:05d}.parquet"

    def rejected(self, shard: int) -> str:
        """Path of a shard of rejected rows, relative to the folder."""
        return f"rejected/{shard:05d}.parquet"

    def receipt(self, shard: int) -> Path:
        """The path of a shard's receipt."""
        return self.path / f"receipts/{shard:05d}.json"

    def journal(self, shard: int) -> Path:
        """The path of a shard's journal."""
        return self.path / f"journal/{shard:05d}.sqlite"

    def journals(self) -> list[Path]:
        """The journals of all stages of this name, in the run and in its sample (`synth plan`).
        The stage's number changes when a recipe gets another stage before it. See `reusable_runs`
        for those of incremental runs."""
        name, run = self.path.name.partition("-")[2], self.path.parent
        run = run.parent if run.name == PLAN else run
        found = f"[0-9][0-9]-{name}/journal/*.sqlite"
        wanted = (found, f"{PLAN}/{found}")
        runs = [run, *reusable_runs(run)]
        return sorted(path for one in runs for where in wanted for path in one.glob(where))

    def work(self, shard: int | None = None) -> Path:
        """The folder for intermediate files of one shard, or of the stage."""
        return self.path / "work" / ("" if shard is None else f"{shard:05d}")


def all_journals(run: Path) -> Iterator[Path]:
    """The journals of all stages of the run, of its sample, and of its increments."""
    for where in ("", f"{PLAN}/", f"{INCREMENTS}/*/"):
        yield from sorted(run.glob(f"{where}[0-9][0-9]-*/journal/*.sqlite"))
