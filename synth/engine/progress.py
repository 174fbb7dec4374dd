"""What a run reports while it works. The engine calls a `Progress`; the caller displays it."""

from __future__ import annotations

from synth.store.manifest import Manifest
from synth.teacher.protocol import Reply


class Progress:
    """Ignores all reports. Subclass it and override what you want to show."""

    def say(self, message: str) -> None:
        """A line that the user should read."""

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        """A stage starts with `rows` input rows (None: not known yet)."""

    def rows_found(self, index: int, rows: int) -> None:
        """An earlier run finished so many of the stage's input rows."""

    def rows_done(self, index: int, rows: int) -> None:
        """So many more of the stage's input rows are finished."""

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        """The teacher has answered, or the journal (`reused`)."""

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        """A stage is finished; `skipped` if nothing had to be done."""
