"""The sandbox as the run sees it: what holds, what is refused, and whose fault a fault is."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path

import pytest

from filters.verify.code import Code
from filters.verify.code_judge import twice
from filters.verify.sandbox import backend, canary, literal, seccomp
from filters.verify.sandbox.backend import Backend, NoSandboxError, missing
from filters.verify.sandbox.canary import attacks, prove
from filters.verify.sandbox.lane import Lane, SandboxFault
from filters.verify.sandbox.literal import NotLiteralError, TooLargeError, same
from filters.verify.sandbox.pool import Sandbox
from filters.verify.sandbox.run import (
    Output,
    OutsideKillError,
    SandboxLimits,
    Submission,
    check_function,
    run_program,
)
from filters.verify.sandbox.seal import ResourceLimits
from filters.verify.stage import Verify
from synth.batch import Batch
from synth.engine.plan import Plan
from synth.engine.run import open_runner
from synth.errors import InfrastructureFault
from synth.record import new_record, records_table
from synth.verdicts import Check, Verdict

BUDGET = SandboxLimits(20.0, 192 << 20)
ENDLESS = "print('on', flush=True)\nwhile True: pass"


def ran(lane: Lane, code: str) -> Output:
    """What a program gives out."""
    return run_program(lane, literal.encode_text(code), "", BUDGET, role="script")


def children_of(pid: int) -> list[int]:
    """The processes whose parent this is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def until(condition) -> None:
    """Waits for it, at most 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def no_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without bubblewrap and Landlock."""
    monkeypatch.setattr(backend.shutil, "which", lambda _: None)
    monkeypatch.setattr(backend, "landlock_abi", lambda: 0)


def test_one_kind_of_walls_at_least_holds_here(sandbox):
    assert sandbox.backend in [one for one in Backend if missing(one) is None]


def test_without_walls_the_run_is_refused_before_anything_is_written(monkeypatch, tmp_path):
    no_walls(monkeypatch)
    plan = Plan("x", 0, 10, None, (Verify.model_validate("code"),))

    async def go() -> None:
        async with open_runner(plan, tmp_path / "run"):
            pytest.fail("it was opened")

    with pytest.raises(NoSandboxError, match="apt-get install bubblewrap") as refused:
        asyncio.run(go())
    assert "bwrap is not on the PATH" in str(refused.value)
    assert "the kernel has none" in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_without_walls_no_answer_is_run(monkeypatch):
    no_walls(monkeypatch)
    monkeypatch.setattr(Lane, "spawn", lambda *_: pytest.fail("it was run"))
    row = new_record(prompt="?", text="x = 1", reference={"tests": "assert f(1) == 1"})
    batch = Batch(records_table([row, new_record(prompt="?", text="4")]))
    with pytest.raises(NoSandboxError):
        Code().check(batch)
    optional = Code(required=False)
    optional.preflight()
    assert [check.verdict for check in optional.check(batch)] == ["unverified", "not_applicable"]


def test_every_canary_can_sing(tmp_path):
    """Without walls the attacks come through, so a canary that is silent has been stopped."""
    tmp_path.chmod(0o777)
    (tmp_path / "secret").write_text("canary")
    program = literal.decode_text(attacks(str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"OWN": "x"}
    )
    *sung, last = done.stdout.splitlines()
    assert last == canary.ENDED
    not_everywhere = {"is root", "makes namespaces", "lists processes"}
    named = set(re.findall(r'^    "(.+)": ', canary.PROGRAM, re.MULTILINE))
    assert len(named) == 14
    assert not_everywhere | set(sung) == named


def test_a_breach_is_a_refusal(monkeypatch):
    monkeypatch.setattr(canary, "PROGRAM", canary.PROGRAM.replace("os.fork", "os.getpid"))
    with pytest.raises(NoSandboxError, match="still starts a process"), Sandbox():
        pytest.fail("it was entered")


def test_a_sandbox_that_goes_in_mid_run_is_replaced_once_then_raises(sandbox):
    runs = []

    def work(lane: Lane, *, deaths: int) -> Output:
        runs.append(lane)
        child = lane.spawn("script", BUDGET.limits, stdin=b"")
        try:
            child.send(literal.encode_text(ENDLESS if len(runs) <= deaths else "print('on')"))
            lane.pump(lambda: bool(child.received), time.monotonic() + 20)
            if len(runs) <= deaths:
                os.killpg(lane.process.pid, signal.SIGKILL)
            lane.pump(lambda: child.end is not None, time.monotonic() + 20)
        finally:
            lane.finish([child])
        return Output(bytes(child.received).decode())

    assert sandbox.use(lambda lane: work(lane, deaths=1)).text == "on\n"
    assert len(set(map(id, runs))) == 2
    runs.clear()
    with pytest.raises(InfrastructureFault, match="the sandbox has ended"):
        sandbox.use(lambda lane: work(lane, deaths=2))


def run_endless_program(lane: Lane) -> None:
    """A program that must be ended."""
    ran(lane, ENDLESS)


def ask_endless_function(lane: Lane) -> None:
    """An answer that must be ended, while it is asked."""
    tests = literal.encode({"tests": "assert f() == 1", "prompt": ""})
    check_function(
        lane, tests, Submission("", ["def f():\n  while True: pass"], marked=True), BUDGET
    )


@pytest.mark.parametrize("start", [run_endless_program, ask_endless_function])
def test_a_kill_from_outside_is_no_fault_of_the_answer(sandbox, start):
    def work(lane: Lane) -> None:
        def kill() -> None:
            until(lambda: any(cpu_of(child) > 0.05 for child in children_of(lane.process.pid)))
            os.kill(max(children_of(lane.process.pid), key=cpu_of), signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            start(lane)
        finally:
            thread.join()

    if sandbox.backend is Backend.BUBBLEWRAP:
        pytest.skip("the zygote's children are behind two processes of bubblewrap")
    with pytest.raises(OutsideKillError):
        sandbox.use(work)


def cpu_of(pid: int) -> float:
    """The processor time that the process has used, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_note_can_be_stored_whatever_the_tests_say(sandbox):
    forged = (
        'import os\nm = b\'D{"verdict": "fail", "note": "\\\\ud800 at 0x7f0123456789"}\'\n'
        "os.write(4, len(m).to_bytes(4, 'big') + m)\nos._exit(0)"
    )
    tests = literal.encode({"tests": forged, "prompt": ""})
    check = sandbox.use(lambda lane: check_function(lane, tests, None, BUDGET))
    assert check == Check(Verdict.FAIL, "? at 0x… (under 1 s)")


def test_what_is_killed_from_outside_twice_is_an_error():
    outcomes = [OutsideKillError, None]

    def work() -> Check:
        if outcomes.pop(0):
            raise OutsideKillError
        return Check(Verdict.FAIL)

    assert twice(work).verdict is Verdict.FAIL
    outcomes[:] = [OutsideKillError] * 2
    assert twice(work).verdict is Verdict.ERROR


def test_a_child_that_cannot_be_sealed_is_a_fault(sandbox):
    def work(lane: Lane) -> Output:
        child = lane.spawn("script", ResourceLimits(1, 1 << 63), stdin=b"")
        try:
            lane.pump(lambda: child.end is not None, time.monotonic() + 20)
        finally:
            lane.finish([child])
        return Output("")

    with pytest.raises(SandboxFault, match="could not be sealed"):
        sandbox.use(work)


def test_nothing_is_left_when_a_check_has_ended():
    before = children_of(os.getpid())
    row = new_record(prompt="?", text="def f(x): return x", reference={"tests": "assert f(1) == 1"})
    assert Code().check(Batch(records_table([row])))[0].verdict is Verdict.PASS
    assert children_of(os.getpid()) == before


def test_nothing_is_left_when_the_run_is_killed():
    program = (
        "import sys, time\n"
        "from filters.verify.sandbox.pool import Sandbox\n"
        "from filters.verify.sandbox import literal\n"
        "from filters.verify.sandbox.run import SandboxLimits\n"
        f"program = literal.encode_text({ENDLESS!r})\n"
        "def work(lane):\n"
        "  child = lane.spawn('script', SandboxLimits(60, 1 << 28).limits, stdin=b'')\n"
        "  child.send(program)\n"
        "  lane.pump(lambda: bool(child.received), time.monotonic() + 60)\n"
        "  print(lane.process.pid, flush=True)\n"
        "  time.sleep(60)\n"
        "with Sandbox() as sandbox: sandbox.use(work)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with run, run.stdout:
        session = int(run.stdout.readline())
        run.kill()
    until(lambda: not in_session(session))


def in_session(session: int) -> list[str]:
    """The processes of the session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def test_a_lane_serves_many_and_the_canaries_again(sandbox):
    def work(lane: Lane) -> list[str]:
        prove(lane)
        return [ran(lane, f"import os; print({n}, os.listdir('/proc/self/fd'))").text for n in "12"]

    assert sandbox.use(work) == ["", ""]
    assert sandbox.use(lambda lane: [ran(lane, f"print({n})").text for n in range(5)]) == [
        f"{n}\n" for n in range(5)
    ]


def test_the_standard_library_is_whole_and_nothing_else_is_there(sandbox):
    program = (
        "import asyncio, concurrent.futures, csv, ctypes, decimal, email.mime.text, fractions\n"
        "import hashlib, heapq, json, lzma, numbers, sqlite3, statistics, unittest, xml.dom, zlib\n"
        "from zoneinfo import ZoneInfo; ZoneInfo('Europe/Berlin')\n"
        "async def f(): await asyncio.sleep(0); return 3\n"
        "print(asyncio.run(f()))\n"
        "with concurrent.futures.ThreadPoolExecutor(4) as t: print(sum(t.map(abs, [-1, 2])))\n"
        "for name in ('numpy', 'pyarrow', 'pip', 'synth'):\n"
        "  try: __import__(name); print(name)\n  except ImportError: pass\n"
    )
    assert sandbox.use(lambda lane: ran(lane, program)) == Output("3\n3\n")


def test_two_runs_of_one_answer_are_the_same(sandbox):
    program = "import random; print(random.random(), hash('x'), list({'a', 'b', 'c'}))"
    first, second = (sandbox.use(lambda lane: ran(lane, program)).text for _ in range(2))
    with Sandbox() as other:
        assert first == second == other.use(lambda lane: ran(lane, program)).text


def test_the_filter_knows_every_call_on_both_machines():
    for machine in seccomp.MACHINES:
        sealed = seccomp.program(machine, may_execute=False)
        assert len(sealed) % 8 == 0
        assert len(sealed) < len(seccomp.program(machine, may_execute=True))
        assert len(sealed) // 8 < 4096  # the most that the kernel takes


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(2**100), 1.5, float("inf"), "", "\ud800\0", b"\0", 2j, [], [[]], (), (1,),
        {}, {1: {2: 3}}, {(1, 2): [3]}, set(), {1, "a"}, frozenset({1}), range(3), [{"t": 1}],
        Fraction(1, 3), Decimal("1.50"), date(2024, 2, 29), timedelta(9),
        datetime(1, 2, 3, 4, 5, 6, 7),  # noqa: DTZ001  programs have no zone
    ],
)  # fmt: skip
def test_a_literal_crosses_unchanged(value):
    again = literal.decode(literal.encode(value))
    assert (again, type(again)) == (value, type(value))


def test_what_is_no_literal_or_too_large_does_not_cross():
    deep: list[object] = []
    deep.append(deep)
    for value in (deep, "x" * literal.MOST_BYTES, count(), range(10**18)):
        with pytest.raises(TooLargeError):
            literal.encode(value)
    for value in (object(), print, [Path()], iter([print])):
        with pytest.raises(NotLiteralError):
            literal.encode(value)


def test_an_iterator_arrives_as_one():
    again = literal.decode(literal.encode(map(str, range(3))))
    assert (next(again), list(again)) == ("0", ["1", "2"])


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"q": 1}', b'{"t": 1}', b'{"s": [[]]}', b"[" * 100_000, b'{"i": "x"}',
             b'{"r": [0, 1, 0]}', b"\xff", b'{"t": [], "s": []}', b"{}", b'{"d": [1]}', b"9" * 5000,
             b'{"x": ["os.system", "true"]}', b'{"x": ["fractions.Fraction", 1, 0]}']
)  # fmt: skip
def test_bytes_that_are_no_literal_are_a_value_error(data):
    with pytest.raises(ValueError):
        literal.decode(data)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (10**400, 1.0, False),
        (1, True, False),
        ("1", 1, False),
        (0.1 + 0.2, 0.3, True),
        (1e-300, 0.0, False),
        (5.196176253962744, 5.196164639727311, True),
        (5.1962, 5.196164639727311, True),
        (5.197, 5.196164639727311, False),
        (123456.78, 123456.79, False),
        (float("nan"), float("nan"), True),
        (float("inf"), float("inf"), True),
        (float("inf"), 1e308, False),
        ([1], (1,), False),
        ([1, 2], [1], False),
        ({1}, {1.0}, False),
        ({1: 2}, {1: 2}, True),
        ({1: 2}, {True: 2}, False),
        ({1: [2.0]}, {1: [2]}, True),
    ],
)
def test_equal_is_equal_with_types_but_numbers_are_as_in_json(one, other, equal):
    assert same(one, other) is equal
