"""Progress on the console: one line per stage, redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import Self, TextIO

from rich.console import Console
from rich.text import Text

from flows.terminal import yield_style
from synth.engine.progress import Progress
from synth.store.manifest import Manifest, stage_label
from synth.teacher.protocol import Reply

TERMINAL_EVERY_S = 0.2
PLAIN_EVERY_S = 10.0


@dataclass(slots=True)
class _Running:
    name: str
    rows: int | None
    started: float
    found: int = 0
    """Rows already finished by an earlier run; excluded from the estimate of time left."""
    done: int = 0
    tokens: int = 0
    asked: int = 0
    reused: int = 0
    faults: int = 0


@dataclass(slots=True)
class ConsoleProgress(Progress):
    """Shows rows, tokens per second, yield so far and time left.

    As a context manager, clears a half-written line when a stage is interrupted.
    """

    out: TextIO = field(default_factory=lambda: sys.stderr)
    _running: _Running | None = None
    _shown: float = 0.0
    _wide: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()
        self.out.flush()

    @property
    def _terminal(self) -> bool:
        return self.out.isatty()

    def say(self, message: str) -> None:
        self._print(message, "yellow" if message.startswith("WARNING") else "")

    def _print(self, message: str, style: str) -> None:
        """Prints a message. Wraps it between words on a terminal; keeps it on one line in a log."""
        self._clear()
        Console(file=self.out).print(Text(message, style), soft_wrap=not self._terminal)
        self.out.flush()

    @property
    def can_ask(self) -> bool:
        return self._terminal and sys.stdin.isatty()

    def agreed(self, question: str) -> bool:
        """Asks on the terminal. Without one, nobody can be asked."""
        if not self.can_ask:
            return False
        self.say(question)
        return input("Publish it? [y/N] ").strip().lower() in ("y", "yes")

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        self._running = _Running(stage_label(index, name), rows, time.monotonic())
        self._shown = time.monotonic()

    def rows_found(self, index: int, rows: int) -> None:  # noqa: ARG002  one stage runs at a time
        if self._running:
            self._running.found += rows
            self._running.done += rows

    def rows_done(self, index: int, rows: int) -> None:  # noqa: ARG002  as above
        if self._running:
            self._running.done += rows
            self._maybe_show()

    def reply(self, index: int, reply: Reply, reused: bool) -> None:  # noqa: ARG002  as above
        if self._running:
            self._running.asked += 1
            self._running.reused += reused
            self._running.faults += reply.fault is not None
            self._running.tokens += 0 if reused else reply.tokens_out
            self._maybe_show()

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        now, name = time.monotonic(), manifest.label
        stage, self._running = self._running or _Running(name, None, now), None
        seconds = now - stage.started
        rows = manifest.rows_in + manifest.rows_made
        if skipped:
            self.say(f"{name:<14} {manifest.rows_kept:>7,} rows, already finished")
            return
        share = f"{manifest.rows_kept / rows:.0%}" if rows else "-"
        speed = f", {stage.tokens / max(seconds, 1e-9):,.0f} tokens/s" if stage.tokens else ""
        journal = f", {stage.reused:,} replies from the journal" if stage.reused else ""
        hits = manifest.prefix_hit_rate
        cache = f", prefix cache {hits:.0%}" if stage.tokens and hits is not None else ""
        self._print(
            f"{name:<14} {manifest.rows_kept:>7,} kept of {rows:,} ({share})"
            f"{speed}{cache}{journal}, {seconds:.1f} s",
            yield_style(manifest),
        )

    def _maybe_show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= (TERMINAL_EVERY_S if self._terminal else PLAIN_EVERY_S):
            self._shown = now
            self._show(now)

    def _show(self, now: float) -> None:
        stage = self._running
        assert stage is not None
        seconds = now - stage.started
        parts = [f"{stage.done:,}" + (f"/{stage.rows:,} rows" if stage.rows else " rows")]
        if stage.asked:
            parts.append(f"{stage.tokens / seconds:,.0f} tokens/s")
            parts.append(f"yield {1 - stage.faults / stage.asked:.0%}")
        if stage.reused:
            parts.append(f"{stage.reused:,} from the journal")
        made = stage.done - stage.found
        if stage.rows and made:
            parts.append(f"{_clock(seconds / made * (stage.rows - stage.done))} left")
        line = f"{stage.name:<14} {', '.join(parts)}"
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            line = line[: columns - 1]  # a wrapped line cannot be redrawn
            self.out.write("\r" + line.ljust(self._wide))
            self._wide = len(line)
            self.out.flush()
        else:
            print(line, file=self.out, flush=True)

    def _clear(self) -> None:
        if self._wide:
            self.out.write("\r" + " " * self._wide + "\r")
            self._wide = 0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
