"""Console progress: a redrawn line on a terminal, plain lines elsewhere, an accurate time left."""

from __future__ import annotations

import io
from typing import Any

import pytest

from flows import progress
from flows.progress import PLAIN_EVERY_S, TERMINAL_EVERY_S, ConsoleProgress
from synth.store.manifest import Manifest, ShardFile, ShardReceipt
from synth.teacher.protocol import Reply

GOOD = Reply("x", "x", finish_reason="stop", tokens_out=100)
BAD = Reply("", "", fault="reply_empty")


class Terminal(io.StringIO):
    """Reports that it is a terminal, and shows what a user would see on it."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines, column = [""], 0
        for letter in self.getvalue():
            if letter == "\r":
                column = 0
            elif letter == "\n":
                lines.append("")
                column = 0
            else:
                lines[-1] = lines[-1][:column] + letter + lines[-1][column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]


class Clock:
    """A clock that the test advances."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    return found


def ended(kept: int, rejected: int = 0, *, came: int | None = None, **fields: Any) -> Manifest:
    file = ShardFile(path="x", rows=kept, bytes=1, sha256="")
    rows_in = kept + rejected if came is None else came
    shard = ShardReceipt(
        shard=0,
        fingerprint="",
        rows_in=rows_in,
        rows_made=kept + rejected - rows_in,
        kept=file,
        rejected=file.model_copy(update={"rows": rejected}),
        reasons={},
        **fields,
    )
    about: dict[str, Any] = {"fingerprint": "", "settings": {}, "code": "", "seed": 7}
    return Manifest(stage="distill", index=3, kind="answers", shards=[shard], **about)


def test_without_a_terminal_there_are_few_plain_lines(clock: Clock) -> None:
    out = io.StringIO()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 1_000)
    for _ in range(100):
        clock.now += PLAIN_EVERY_S / 50
        shown.reply(3, GOOD, reused=False)
        shown.rows_done(3, 2)
    shown.stage_ends(ended(190, 10, tokens_out=10_000), skipped=False)
    assert out.getvalue().splitlines() == [
        "03-distill     98/1,000 rows, 500 tokens/s, yield 100%, 1:32 left",
        "03-distill     198/1,000 rows, 500 tokens/s, yield 100%, 1:21 left",
        "03-distill         190 kept of 200 (95%), 500 tokens/s, 20.0 s",
    ]


def test_a_terminal_has_one_redrawn_line(clock: Clock) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 1_000)
    for _ in range(10):
        clock.now += TERMINAL_EVERY_S
        shown.rows_done(3, 100)
    assert out.screen() == ["03-distill     1,000/1,000 rows, 0:00 left"]
    assert out.getvalue().count("\r") == 10
    shown.stage_ends(ended(1_000), skipped=False)
    assert out.screen() == ["03-distill       1,000 kept of 1,000 (100%), 2.0 s", ""]


def test_a_short_line_leaves_nothing_of_the_long_one_before(clock: Clock) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 100_000)
    clock.now += 3_600
    shown.rows_done(3, 1)
    assert out.screen()[-1].endswith("left")
    shown.stage_starts(4, "write", None)
    clock.now += 1
    shown.rows_done(4, 1)
    assert out.screen() == ["04-write       1 rows"]


def test_a_message_does_not_mix_with_the_line(clock: Clock) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 10)
    clock.now += 1
    shown.rows_done(3, 5)
    shown.say("uploaded")
    clock.now += 1
    shown.rows_done(3, 1)
    assert out.screen() == ["uploaded", "03-distill     6/10 rows, 0:01 left"]


def test_a_line_never_wraps(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 1_000_000)
    clock.now += 60
    shown.reply(3, GOOD, reused=True)
    shown.rows_done(3, 1)
    assert [len(line) for line in out.screen()] == [39]


def test_a_stage_that_breaks_off_leaves_a_clean_line(clock: Clock) -> None:
    out = Terminal()

    def break_off() -> None:
        with ConsoleProgress(out) as shown:
            shown.stage_starts(3, "distill", 10)
            clock.now += 1
            shown.rows_done(3, 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert out.screen() == [""]


def test_the_time_left_is_not_flattered_by_what_an_earlier_run_did(clock: Clock) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 1_000)
    shown.rows_found(3, 900)
    clock.now += 10
    shown.rows_done(3, 10)
    assert out.screen() == ["03-distill     910/1,000 rows, 1:30 left"]


@pytest.mark.parametrize(
    ("rows", "left"), [(2, "0:01"), (61, "1:00"), (3_600, "59:59"), (36_001, "10:00:00")]
)
def test_the_time_left_reads_as_a_clock(clock: Clock, rows: int, left: str) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(0, "x", rows)
    clock.now += 1
    shown.rows_done(0, 1)
    assert out.screen()[0].endswith(f", {left} left")


def test_without_a_row_done_there_is_no_time_left(clock: Clock) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 10)
    clock.now += 1
    shown.reply(3, BAD, reused=False)
    assert out.screen() == ["03-distill     0/10 rows, 0 tokens/s, yield 0%"]


def test_replies_from_the_journal_are_counted_but_not_in_the_speed(clock: Clock) -> None:
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 10)
    shown.reply(3, GOOD, reused=True)
    shown.reply(3, GOOD, reused=True)
    clock.now += 1
    shown.reply(3, GOOD, reused=False)
    shown.reply(3, BAD, reused=False)
    clock.now += 1
    shown.rows_done(3, 0)
    assert out.screen() == ["03-distill     0/10 rows, 50 tokens/s, yield 75%, 2 from the journal"]
    shown.stage_ends(ended(3, 1, reused=2, tokens_out=300), skipped=False)
    line = "03-distill           3 kept of 4 (75%), 50 tokens/s, 2 replies from the journal, 2.0 s"
    assert out.screen() == [line, ""]


def test_the_speed_is_not_flattered_by_the_replies_of_an_earlier_run(clock: Clock) -> None:
    out = io.StringIO()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 10)
    shown.rows_found(3, 9)
    clock.now += 2
    shown.reply(3, GOOD, reused=False)
    shown.stage_ends(ended(10, tokens_out=1_000, reused=7), skipped=False)
    assert out.getvalue() == "03-distill          10 kept of 10 (100%), 50 tokens/s, 2.0 s\n"


def test_a_skipped_stage_is_reported(clock: Clock) -> None:
    out = io.StringIO()
    ConsoleProgress(out).stage_ends(ended(1_234, 5), skipped=True)
    assert out.getvalue() == "03-distill       1,234 rows, already finished\n"


def test_rows_that_were_made_count(clock: Clock) -> None:
    out = io.StringIO()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 10)
    shown.stage_ends(ended(30, 10, came=10), skipped=False)
    assert "30 kept of 40 (75%)" in out.getvalue()


def test_a_stage_without_rows_has_no_share(clock: Clock) -> None:
    out = io.StringIO()
    shown = ConsoleProgress(out)
    shown.stage_starts(9, "push", 0)
    shown.stage_ends(ended(0), skipped=False)
    assert "0 kept of 0 (-), 0.0 s" in out.getvalue()


@pytest.mark.parametrize(("kept", "colour"), [(4, "31"), (5, "33"), (10, "")])
def test_on_a_terminal_rejects_are_yellow_and_a_poor_yield_is_red(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, kept: int, colour: str
) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    shown = ConsoleProgress(out)
    shown.stage_starts(3, "distill", 10)
    shown.stage_ends(ended(kept, 10 - kept), skipped=False)
    assert out.getvalue().startswith(f"\x1b[{colour}m" if colour else "03-distill")


def test_a_long_message_is_wrapped_between_words_on_a_terminal_and_whole_in_a_log(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    message = "WARNING: only 3 of 100 answers could be read with this teacher"
    terminal, log = Terminal(), io.StringIO()
    for out in (terminal, log):
        ConsoleProgress(out).say(message)
    assert log.getvalue() == f"{message}\n"
    assert terminal.screen() == [
        "WARNING: only 3 of 100 answers could be",
        "read with this teacher",
        "",
    ]
