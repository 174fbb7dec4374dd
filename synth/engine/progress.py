"""The reports of a running engine. The engine calls a `Progress`, and the caller displays it."""

from __future__ import annotations

from synth.store.manifest import Manifest
from synth.teacher.protocol import Reply


class Progress:
    """Ignores all reports. Subclass it and override the methods you want to show."""

    def say(self, message: str) -> None:
        """A line that the user should read."""

    @property
    def can_ask(self) -> bool:
        """Whether the user can be asked while the run goes on."""
        return False

    def agreed(self, question: str) -> bool:  # noqa: ARG002  nobody can be asked
        """Asks the user to approve something. False if nobody can be asked."""
        return False

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        """A stage starts with `rows` input rows; None if the number is not known yet."""

    def rows_found(self, index: int, rows: int) -> None:
        """An earlier run has finished this many of the stage's input rows."""

    def rows_done(self, index: int, rows: int) -> None:
        """This many more of the stage's input rows are finished."""

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        """A reply has arrived, from the teacher or from the journal (`reused`)."""

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        """A stage has finished. `skipped` means that an earlier run had finished it."""
