"""The watchdog: whatever came of its command ends with the run, in order where it can."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from synth.teacher.vllm import watchdog
from tests.synth.teacher.fleets import alive, new_mark, wait_for

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's subreaper")
# a daemon: forked twice, in a session of its own, deaf to SIGTERM; its parent is gone at once
DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        time.sleep(60)
    print("up", flush=True)
    os._exit(0)
os.wait()
time.sleep({stays})
"""


def watched(mark: str, *command: str, grace_s: float = 0.3) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, str(grace_s), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"FAKE_MARK": mark, "PATH": "/usr/bin:/bin"},
        start_new_session=True,
    )


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


@pytest.mark.parametrize(
    ("code", "told"), [("exit 3", 3), ("kill -9 $$", 128 + signal.SIGKILL), ("true", 0)]
)
def test_it_ends_with_its_commands_code(code: str, told: int) -> None:
    child = watched(new_mark(), "sh", "-c", code)
    assert child.wait(10) == told
    child.communicate()


def test_a_command_that_cannot_run_is_told_in_the_log() -> None:
    child = watched(new_mark(), "/nowhere/vllm", "serve")
    said, _ = child.communicate(timeout=10)
    assert child.returncode == 127
    assert said.startswith(b"cannot run /nowhere/vllm: ")


def test_the_command_may_end_in_order() -> None:
    child = watched(
        new_mark(), "sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; sleep 60 & wait"
    )
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    said, _ = child.communicate(timeout=10)  # closes the pipe
    assert said == b"bye\n"
    assert child.returncode == watchdog.ENDED_BY_US


@linux
@pytest.mark.parametrize("stays", [60, 0])
def test_a_daemon_does_not_get_away(stays: int) -> None:
    mark = new_mark()
    child = watched(mark, *python(DAEMON.format(stays=stays)))
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    if stays:
        wait_for(lambda: len(alive(mark)) == 3)  # watchdog, command, daemon
        assert child.stdin
        child.stdin.close()
    assert child.wait(10) == (watchdog.ENDED_BY_US if stays else 0)
    assert not alive(mark)
    child.stdout.close()


def test_a_signal_ends_it_too() -> None:
    child = watched(new_mark(), "sh", "-c", "echo up; sleep 60")
    assert child.stdout
    child.stdout.readline()
    time.sleep(0.05)  # it is waiting for the pipe
    child.terminate()
    assert child.wait(10) == watchdog.ENDED_BY_US
    child.communicate()


@linux
def test_told_twice_it_grants_no_grace() -> None:
    mark = new_mark()
    child = watched(mark, *python(DAEMON.format(stays=60)), grace_s=60)
    assert child.stdout
    assert child.stdin
    child.stdout.readline()
    child.stdin.close()
    time.sleep(0.3)
    assert child.poll() is None
    child.terminate()
    child.wait(5)
    assert not alive(mark)
    child.stdout.close()


@linux
def test_a_killed_watchdogs_command_is_told_to_end() -> None:
    mark = new_mark()
    child = watched(mark, "sh", "-c", "echo up; sleep 60")
    assert child.stdout
    child.stdout.readline()
    child.kill()
    child.wait()
    # the shell's own child is an orphan then: only the first process is told
    wait_for(lambda: len(alive(mark)) <= 1)
    for process in alive(mark):
        subprocess.run(["kill", "-9", str(process)], check=False)
    child.stdout.close()
