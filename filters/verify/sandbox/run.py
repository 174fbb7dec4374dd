"""One run in a lane: tests against an answer in two sandboxes, or a program with its input.

    tests --call--> here --call--> answer --literal--> here --literal--> tests --verdict--> here

What passes through is counted and timed, and not looked into: the tests decode it, in their own
sandbox. The verdict is theirs, and they hear nothing of the answer but literals.
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
class Budget:
    """What one answer may use for one run."""

    seconds: float
    """Of wall clock, while it is its turn."""
    memory_bytes: int

    @property
    def limits(self) -> ResourceLimits:
        """What the kernel holds it to."""
        return ResourceLimits(int(self.seconds) + 1, self.memory_bytes)


class OutsideKillError(Exception):
    """Something from outside (the kernel short of memory, say) has killed the sandboxed process."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The code to be checked, and the prompt's code that it may build on."""

    prompt: str
    blocks: Sequence[str]
    """In the order of the answer; at least one."""
    marked: bool
    """Whether the answer marks them as code."""
    ready: bool = False
    """Whether LeetCode's imports are made for it, see `inside.READY`."""

    def job(self) -> bytes:
        """As the sandboxed process reads it."""
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
    budget: Budget,
    *,
    in_place: bool = False,
    altered: bool = False,
) -> Check:
    """The verdict of the tests (an encoded job) about the answer.

    `in_place`: what a call changes in a list, set or dict is changed for the tests, too.
    An `answer` that is no `Submission` is a value that every call gives, and `altered` puts another
    value in place of each that the answer gives: both show what the tests are worth. Raises
    `SandboxFault` and `OutsideKillError`, which say nothing about the answer.
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
    return check._replace(note=f"{_plain(check.note)}{_took(children[-1])}")


def _took(child: SandboxedProcess) -> str:
    """Its processor time, so coarse that another run says the same."""
    used = child.end.cpu_s if child.end else 0.0
    step = next((step for step in STEPS_S if used < step), None)
    return f" (under {step} s)" if step else f" (over {STEPS_S[-1]} s)"


def _relay(
    lane: Lane,
    tester: SandboxedProcess,
    candidate: SandboxedProcess | None,
    constant: bytes,
    budget: Budget,
    *,
    altered: bool,
) -> Check:
    """Carries calls and literals between the two until there is a verdict."""
    left = {child.id: budget.seconds for child in (tester, candidate) if child}
    if candidate is not None:
        ready = _turn(lane, candidate, left, budget)  # none of the answer has run so far
        if ready == PROSE:
            return Check(Verdict.UNVERIFIED, "no code in the answer")
        if isinstance(ready, str):
            return Check(Verdict.FAIL, f"the answer {ready}")
    calls = 0
    while True:
        said = _turn(lane, tester, left, budget)
        if isinstance(said, str):
            # what they do with the answer's values may be why, so it is not left open
            return Check(Verdict.ERROR, f"the tests {said}")
        if said[:1] == DONE:
            return _verdict(said[1:], calls, candidate)
        if said[:1] != CALL:
            return Check(Verdict.ERROR, "the tests say what is neither a call nor a verdict")
        calls += 1
        if candidate is None:
            tester.send(constant)
            continue
        candidate.send(said[1:])
        reply = _turn(lane, candidate, left, budget)
        if isinstance(reply, str):
            asked = said[1 : 1 + STDERR_CHARS].decode(errors="replace")
            return Check(Verdict.FAIL, f"call {calls}, {asked}: the answer {reply}"[:NOTE_CHARS])
        tester.send(alter(reply) if altered else reply)


def alter(reply: bytes) -> bytes:
    """The reply with another value of the same kind, which tests cannot know, and arguments too."""
    salt = hashlib.sha256(reply).hexdigest()
    try:
        _, value, arguments = json.loads(reply)
        return json.dumps(["value", _unlike(value, salt), _unlike(arguments, salt)]).encode()
    except (ValueError, TypeError, RecursionError):
        return reply  # the tests do not accept it


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
    lane: Lane, child: SandboxedProcess, left: dict[int, float], budget: Budget
) -> bytes | str:
    """The next frame of the child, or what it did in place of one."""
    started = time.monotonic()
    in_time = lane.pump(
        lambda: child.has_frame or child.read < 0 or child.flooded, started + left[child.id]
    )
    left[child.id] -= time.monotonic() - started
    if child.has_frame:
        said = child.take()
        return said if said is not None else f"said more than {MOST_BYTES >> 20} MB"
    if not in_time:
        return OUT_OF_TIME
    if child.flooded:
        return f"wrote more than {MOST_BYTES >> 20} MB"
    # Its output ends before it does: how it ended by itself is worth waiting for.
    lane.pump(lambda: child.end is not None, time.monotonic() + GRACE_S)
    lane.finish([child])
    return _ended(child, budget)


def _ended(child: SandboxedProcess, budget: Budget) -> str:
    """How a child ended that was not told to."""
    assert child.end is not None
    status = child.end.status
    if child.killed:
        return "closed its output"
    if status == KILLED and child.end.cpu_s > budget.seconds:
        return OUT_OF_TIME  # the kernel counts the time of all threads
    if status == KILLED:
        raise OutsideKillError
    how = f"was ended by signal {-status}" if status < 0 else f"ended with exit code {status}"
    said = bytes(child.said).decode(errors="replace").strip()
    return f"{how}{_last_line(said)}"


def _last_line(said: str) -> str:
    return f": {said.splitlines()[-1][:STDERR_CHARS]}" if said else ""


def _plain(note: str) -> str:
    """The note without addresses, which differ from run to run, and as text that can be stored."""
    text = note.encode(errors="replace").decode()
    return ADDRESS.sub("0x\u2026", text)


def _verdict(told: bytes, calls: int, candidate: SandboxedProcess | None) -> Check:
    """What the tests say, believed as far as they have asked the answer at all."""
    try:
        fields: dict[str, Any] = json.loads(told)
        verdict, note = Verdict(fields["verdict"]), str(fields["note"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Check(Verdict.ERROR, "the tests say what is no verdict")
    if verdict is Verdict.PASS and not calls:
        return Check(Verdict.UNVERIFIED, "the tests ask nothing of the answer")
    said = bytes(candidate.said).decode(errors="replace").strip() if candidate else ""
    if verdict is Verdict.FAIL and said:
        note += f"; standard error{_last_line(said)}"
    return Check(verdict, note[:NOTE_CHARS])


@dataclass(frozen=True, slots=True)
class Output:
    """What a program wrote to standard output, whole, or why there is no whole output."""

    text: str
    problem: str = ""


def run_program(lane: Lane, program: bytes, stdin: str, budget: Budget, *, role: str) -> Output:
    """What the program (an encoded job of the role) does with the input.

    Raises `SandboxFault` and `OutsideKillError`, which say nothing about the program.
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
