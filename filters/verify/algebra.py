"""Comparing formulas by computer algebra, in child processes that can be killed at any time.

A formula such as 9^{9^{9^9}} never comes back, and a time limit inside the process would not help:
the number is made in one call of C. So a child that is late is killed, and another one is started.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from filters.verify.compare import Pair
from synth.verdicts import Check, Verdict

START_S = 60.0  # importing the algebra system takes half a second on an idle core


class ChildDiedError(Exception):
    """The child ended or closed its output before it answered."""


class Child:
    """One child process, asked one question at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "filters.verify.algebra_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for the run, which ends its children itself
        )
        self.buffer = b""
        try:
            self.read_line(START_S)
        except (TimeoutError, ChildDiedError):
            self.kill()
            raise

    def ask(self, pair: Pair, limit_s: float) -> Check:
        """The child's answer; TimeoutError or ChildDiedError where there is none."""
        assert self.process.stdin is not None
        question = {"gold": pair.gold, "given": pair.given, "limit_s": limit_s}
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
        except OSError as error:
            raise ChildDiedError from error
        answer = json.loads(self.read_line(limit_s))
        if "fault" in answer:
            return Check(Verdict.UNVERIFIED, answer["fault"])
        if answer["equal"]:
            return Check(Verdict.PASS, "equal by algebra")
        return Check(Verdict.FAIL, "not equal by algebra")

    def read_line(self, limit_s: float) -> bytes:
        """The child's next line; TimeoutError after `limit_s` seconds."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                data = os.read(self.process.stdout.fileno(), 65_536)
                if not data:
                    raise ChildDiedError
                self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        """Ends the child at once, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Children:
    """The children that are idle, for whoever asks next; at most one per core at work."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[Child] = []
        self.most = os.cpu_count() or 1
        self.slots = threading.Semaphore(self.most)

    def compare(self, pairs: Sequence[Pair], limit_s: float) -> list[Check]:
        """One check per pair, in order, each within `limit_s` seconds of work."""
        with ThreadPoolExecutor(min(self.most, len(pairs) or 1)) as threads:
            return list(threads.map(lambda pair: self.compare_one(pair, limit_s), pairs))

    def compare_one(self, pair: Pair, limit_s: float) -> Check:
        """The check of one pair; a child that is late or dead is replaced."""
        with self.slots:
            try:
                child = self.take()
            except (OSError, TimeoutError, ChildDiedError):
                return Check(Verdict.ERROR, "the algebra process does not start")
            try:
                check = child.ask(pair, limit_s)
            except TimeoutError:
                child.kill()
                return Check(Verdict.UNVERIFIED, f"no result within {limit_s:g} s")
            except ChildDiedError:
                child.kill()
                return Check(Verdict.ERROR, "the algebra process died")
            with self.lock:
                self.idle.append(child)
            return check

    def take(self) -> Child:
        """An idle child that lives, or a new one."""
        with self.lock:
            while self.idle:
                child = self.idle.pop()
                if child.process.poll() is None:
                    return child
                child.kill()
        return Child()

    def close(self) -> None:
        """Ends the idle children."""
        with self.lock:
            while self.idle:
                self.idle.pop().kill()


CHILDREN = Children()
atexit.register(CHILDREN.close)
