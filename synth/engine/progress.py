"""What a run tells while it works. The engine calls a `Progress`; how it looks is the caller's."""

from __future__ import annotations

from synth.store.manifest import Manifest
from synth.teacher.protocol import Reply


class Progress:
    """Hears nothing of it. Subclass and override what you want to show."""

    def say(self, message: str) -> None:
        """A line that the user should read."""

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        """A stage begins; `rows` come in (None: not known yet)."""

    def rows_found(self, index: int, rows: int) -> None:
        """So many of its input rows were finished by an earlier run."""

    def rows_done(self, index: int, rows: int) -> None:
        """So many more of its input rows are finished."""

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        """The teacher (or the journal) has answered."""

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        """A stage is finished; `skipped` when nothing had to be done."""
