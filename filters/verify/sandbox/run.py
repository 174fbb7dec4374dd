"""One run in a lane: tests against an answer in two sandboxes, or a program with its input.

    tests --call--> here --call--> answer --literal--> here --literal--> tests --verdict--> here

This process counts and times the frames but does not decode them: the tests do, in their sandbox.
The tests decide the verdict, and they receive only literals from the answer.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from filters.verify.sandbox import literal
from filters.verify.sandbox.inside import PROSE
from filters.verify.sandbox.lane import Lane, SandboxedProcess
from filters.verify.sandbox.literal import MOST_BYTES
from filters.verify.sandbox.seal import ResourceLimits
from filters.verify.sandbox.tester import CALL, DONE, IN_PLACE, ON_COPIES
from synth.verdicts import Check, Verdict

KILLED: Final = -9
OUT_OF_TIME: Final = "ran out of time"
NOTE_CHARS: Final = 500
GRACE_S: Final = 1.0
STDERR_CHARS: Final = 160
STEPS_S: Final = (1, 3, 10, 30, 100)
ADDRESS: Final = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits for one run of one answer."""

    seconds: float
    """Wall-clock time; it counts only while the process is expected to reply."""
    memory_bytes: int

    @property
    def limits(self) -> ResourceLimits:
        """The limits that the kernel enforces."""
        return ResourceLimits(int(self.seconds) + 1, self.memory_bytes)


class OutsideKillError(Exception):
    """Something outside killed the sandboxed process, such as the kernel when memory ran out."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The code to check, and the prompt's code that it may build on."""

    prompt: str
    blocks: Sequence[str]
    """In the order of the answer; at least one."""
    marked: bool
    """Whether the answer marks them as code."""
    ready: bool = False
    """Whether LeetCode's imports are available to it, see `inside.READY`."""

    def job(self) -> bytes:
        """The encoding that the sandboxed process reads."""
        return literal.encode(
            {
                "prompt": self.prompt,
                "blocks": list(self.blocks),
                "marked": self.marked,
                "ready": self.ready,
            }
        )


def check_function(
    lane: Lane,
    tests: bytes,
    answer: Submission | object,
    budget: SandboxLimits,
    *,
    in_place: bool = False,
    altered: bool = False,
) -> Check:
    """Runs the tests (an encoded job) against the answer and returns their verdict.

    With `in_place`, the tests also see how a call changes a list, set or dict. To detect tests that
    prove nothing, pass a constant as `answer`, which every call then returns, or set `altered`,
    which replaces each result by another value. `SandboxFault` and `OutsideKillError` say nothing
    about the answer.
    """
    children: list[SandboxedProcess] = []
    try:
        tester = lane.spawn("tests", budget.limits)
        children.append(tester)
        tester.send((IN_PLACE if in_place else ON_COPIES) + tests)
        candidate = None
        if isinstance(answer, Submission):
            candidate = lane.spawn("candidate", budget.limits)
            children.append(candidate)
            candidate.send(answer.job())
        constant = b"" if candidate else literal.encode(["value", answer, None])
        check = _relay(lane, tester, candidate, constant, budget, altered=altered)
    finally:
        lane.finish(children)
    return check._replace(note=f"{_plain(check.note)}{_cpu_time(children[-1])}")


def _cpu_time(child: SandboxedProcess) -> str:
    """The processor time, rounded coarsely so that repeated runs give the same note."""
    used = child.end.cpu_s if child.end else 0.0
    step = next((step for step in STEPS_S if used < step), None)
    return f" (under {step} s)" if step else f" (over {STEPS_S[-1]} s)"


def _relay(
    lane: Lane,
    tester: SandboxedProcess,
    candidate: SandboxedProcess | None,
    constant: bytes,
    budget: SandboxLimits,
    *,
    altered: bool,
) -> Check:
    """Passes calls and results between tests and answer until the tests reach a verdict."""
    left = {child.id: budget.seconds for child in (tester, candidate) if child}
    if candidate is not None:
        ready = _turn(lane, candidate, left, budget)  # arrives before the answer's code runs
        if ready == PROSE:
            return Check(Verdict.UNVERIFIED, "no code in the answer")
        if isinstance(ready, str):
            return Check(Verdict.FAIL, f"the answer {ready}")
    calls = 0
    while True:
        frame = _turn(lane, tester, left, budget)
        if isinstance(frame, str):
            # the answer's values may be the cause, so this is an error and not `unverified`
            return Check(Verdict.ERROR, f"the tests {frame}")
        if frame[:1] == DONE:
            return _verdict(frame[1:], calls, candidate)
        if frame[:1] != CALL:
            return Check(Verdict.ERROR, "the tests sent neither a call nor a verdict")
        calls += 1
        if candidate is None:
            tester.send(constant)
            continue
        candidate.send(frame[1:])
        reply = _turn(lane, candidate, left, budget)
        if isinstance(reply, str):
            call = frame[1 : 1 + STDERR_CHARS].decode(errors="replace")
            return Check(Verdict.FAIL, f"call {calls}, {call}: the answer {reply}"[:NOTE_CHARS])
        tester.send(alter(reply) if altered else reply)


def alter(reply: bytes) -> bytes:
    """Replaces the reply's value and arguments by others of the same kind that no test expects."""
    salt = hashlib.sha256(reply).hexdigest()
    try:
        _, value, arguments = json.loads(reply)
        return json.dumps(["value", _unlike(value, salt), _unlike(arguments, salt)]).encode()
    except (ValueError, TypeError, RecursionError):
        return reply  # unreadable, so the tests reject it anyway


def _unlike(value: Any, salt: str) -> Any:
    """Another value, packed as `literal` packs it."""
    match value:
        case bool():
            return not value
        case int() | float():
            return -abs(value) - 1 - int(salt[:2], 16)
        case list():
            return [*(_unlike(item, salt) for item in value), salt]
        case {"d": [*pairs]}:
            return {"d": [*([key, _unlike(item, salt)] for key, item in pairs), [salt, salt]]}
        case {"t": [*_]} | {"s": [*_]} | {"f": [*_]} | {"g": [*_]}:
            return {tag: _unlike(items, salt) for tag, items in value.items()}
    return salt


def _turn(
    lane: Lane, child: SandboxedProcess, left: dict[int, float], budget: SandboxLimits
) -> bytes | str:
    """The child's next frame, or a phrase that says why it sent none."""
    started = time.monotonic()
    in_time = lane.pump(
        lambda: child.has_frame or child.read < 0 or child.flooded, started + left[child.id]
    )
    left[child.id] -= time.monotonic() - started
    if child.has_frame:
        frame = child.take()
        return frame if frame is not None else f"sent more than {MOST_BYTES >> 20} MB"
    if not in_time:
        return OUT_OF_TIME
    if child.flooded:
        return f"wrote more than {MOST_BYTES >> 20} MB"
    # Output closes shortly before the process ends, so wait for its exit status.
    lane.pump(lambda: child.end is not None, time.monotonic() + GRACE_S)
    lane.finish([child])
    return _ended(child, budget)


def _ended(child: SandboxedProcess, budget: SandboxLimits) -> str:
    """How a child ended that we did not kill."""
    assert child.end is not None
    status = child.end.status
    if child.killed:
        return "closed its output"
    if status == KILLED and child.end.cpu_s > budget.seconds:
        return OUT_OF_TIME  # the kernel's limit counts the time of all threads
    if status == KILLED:
        raise OutsideKillError
    how = f"was ended by signal {-status}" if status < 0 else f"ended with exit code {status}"
    stderr = bytes(child.stderr).decode(errors="replace").strip()
    return f"{how}{_last_line(stderr)}"


def _last_line(stderr: str) -> str:
    return f": {stderr.splitlines()[-1][:STDERR_CHARS]}" if stderr else ""


def _plain(note: str) -> str:
    """The note as storable text, without memory addresses, which differ from run to run."""
    text = note.encode(errors="replace").decode()
    return ADDRESS.sub("0x\u2026", text)


def _verdict(packed: bytes, calls: int, candidate: SandboxedProcess | None) -> Check:
    """The verdict of the tests; a pass without a single call is `unverified`."""
    try:
        fields: dict[str, Any] = json.loads(packed)
        verdict, note = Verdict(fields["verdict"]), str(fields["note"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Check(Verdict.ERROR, "the tests sent an invalid verdict")
    if verdict is Verdict.PASS and not calls:
        return Check(Verdict.UNVERIFIED, "the tests never call the answer")
    stderr = bytes(candidate.stderr).decode(errors="replace").strip() if candidate else ""
    if verdict is Verdict.FAIL and stderr:
        note += f"; standard error{_last_line(stderr)}"
    return Check(verdict, note[:NOTE_CHARS])


@dataclass(frozen=True, slots=True)
class Output:
    """A program's standard output, and why it is incomplete if it is."""

    text: str
    problem: str = ""


def run_program(
    lane: Lane, program: bytes, stdin: str, budget: SandboxLimits, *, role: str
) -> Output:
    """Runs the program (an encoded job of the role) on the input and returns its output.

    `SandboxFault` and `OutsideKillError` say nothing about the program.
    """
    child = lane.spawn(role, budget.limits, stdin=stdin.encode(errors="surrogatepass"))
    try:
        child.send(program)
        in_time = lane.pump(
            lambda: (child.end is not None and child.read < 0) or child.flooded,
            time.monotonic() + budget.seconds,
        )
    finally:
        lane.finish([child])
    text = bytes(child.received).decode(errors="replace")
    if child.flooded:
        return Output(text, f"wrote more than {MOST_BYTES >> 20} MB")
    if not in_time:
        return Output(text, OUT_OF_TIME)
    if child.end is not None and child.end.status == 0:
        return Output(text)
    return Output(text, _ended(child, budget))
