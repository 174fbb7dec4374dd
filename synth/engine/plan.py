"""A plan: the validated recipe as the engine needs it, and the paths in the run folder.

outputs/quickstart/
  00-read/  kept/00000.parquet  rejected/00000.parquet  receipts/00000.json  manifest.json
  01-evolve/  … and journal/00000.sqlite
  release/  README.md  data/train-00000-of-00001.parquet  manifest.json
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.engine.stage import Stage
from synth.kind import Kind
from synth.store.manifest import NAME
from synth.teacher.config import TeacherConfig

RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does."""

    name: str
    seed: int
    shard_rows: int
    """Records per shard inside the run: the unit of a task, of resume and of memory."""
    teacher: TeacherConfig | None
    stages: tuple[Stage, ...]
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe as written, for the card."""

    def kind_before(self, index: int) -> Kind:
        """The kind of the records that stage `index` gets."""
        kind = Kind.NOTHING
        for stage in self.stages[:index]:
            kind = stage.makes(kind)
        return kind

    @property
    def asks_teacher(self) -> bool:
        """Whether any stage needs one."""
        return any(stage.asks_teacher for stage in self.stages)


@dataclass(frozen=True, slots=True)
class StageFolder:
    """The files of one stage."""

    path: Path

    @classmethod
    def of(cls, run: Path, index: int, name: str) -> StageFolder:
        """The folder of the run's stage `index`."""
        return cls(run / f"{index:02d}-{name}")

    @property
    def manifest(self) -> Path:
        """The stage's receipt."""
        return self.path / NAME

    def kept(self, shard: int) -> str:
        """Path of a shard of kept rows, relative to the folder."""
        return f"kept/{shard:05d}.parquet"

    def rejected(self, shard: int) -> str:
        """Path of a shard of rejected rows, relative to the folder."""
        return f"rejected/{shard:05d}.parquet"

    def receipt(self, shard: int) -> Path:
        """The receipt of a shard."""
        return self.path / f"receipts/{shard:05d}.json"

    def journal(self, shard: int) -> Path:
        """The journal of a shard."""
        return self.path / f"journal/{shard:05d}.sqlite"

    def work(self, shard: int | None = None) -> Path:
        """Where a stage keeps intermediate files, of one shard or of all."""
        return self.path / "work" / ("" if shard is None else f"{shard:05d}")
