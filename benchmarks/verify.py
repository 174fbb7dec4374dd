"""Cost of checks: sandboxed runs and bare interpreter starts, `maths` and math-verify.

All are measured in turn within one run, because the machine's speed drifts; figures are medians
over the rounds. "Cold" starts a fresh interpreter in a sandbox for each program, as for an
interpreter that a recipe names; "warm" is how Python answers are run. Both sides of a ratio use all
cores, except math-verify, which runs in one process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from math_verify import parse, verify

from benchmarks.report import options, result, skip, table
from filters.verify.maths.verifier import Maths
from filters.verify.sandbox import literal
from filters.verify.sandbox.pool import AT_ONCE, Sandbox
from filters.verify.sandbox.run import SandboxLimits, run_program
from synth.batch import Batch
from synth.record import new_record, records_table

PEERS = {"sandbox, cold": "bare start", "sandbox, warm": "bare start", "maths": "math-verify"}
GOALS = {"sandbox, cold": 0.5, "sandbox, warm": 3.0, "maths": 10.0}
PROGRAM = """
def primes(n):
    sieve = [True] * n
    for i in range(2, n):
        if sieve[i]:
            for j in range(i * i, n, i):
                sieve[j] = False
    return [i for i in range(2, n) if sieve[i]]
print(primes(int(input())))
"""
STDIN = "50\n"
OUTPUT = "[2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]\n"
BUDGET = SandboxLimits(60.0, 512 << 20)
FORMS = (  # a gold answer, and an equal answer in another form
    (r"\frac{{{n}}}{{{m}}}", r"{n}/{m}"),
    (r"\sqrt{{{n}}} + {m}", r"{m} + \sqrt{{{n}}}"),
    (r"{n}x^2 + {m}x", r"x({n}x + {m})"),
    (r"{n}", r"{n}.0"),
    (r"({n}, {m})", r"({n},{m})"),
    (r"\{{{n}, {m}\}}", r"\{{{m}, {n}\}}"),
    (r"{n}\pi", r"\pi \cdot {n}"),
    (r"{n}", r"{n}"),
)


def interpreter() -> str:
    """A Python that every user can run, because sandboxed processes have their own user."""
    for path in (
        os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
        "/usr/bin/python3",
    ):
        parents = Path(path).parents
        if Path(path).exists() and all(parent.stat().st_mode & 0o001 for parent in parents):
            return os.path.realpath(path)
    return skip("this machine has no Python that every user can run: install one under /usr")


def per_second(work: Callable[[], None], runs: int) -> float:
    """How often per second the work is done, on all cores."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        started = time.perf_counter()
        list(threads.map(lambda _: work(), range(runs)))
        return runs / (time.perf_counter() - started)


def bare(python: str) -> None:
    """Runs the program in a new interpreter, without a sandbox."""
    done = subprocess.run([python, "-c", PROGRAM], input=STDIN, capture_output=True, text=True)
    assert done.stdout == OUTPUT, done


def sandboxed(sandbox: Sandbox, job: bytes, role: str) -> None:
    """Runs the program in a new sandbox."""
    output = sandbox.use(lambda lane: run_program(lane, job, STDIN, BUDGET, role=role))
    assert output.text == OUTPUT, output


def pairs(count: int) -> list[tuple[str, str]]:
    """Pairs of a gold answer and a text with an equal answer in another form."""
    numbers = [(7 * i % 83 + 3, 11 * i % 89 + 2) for i in range(count)]
    forms = [FORMS[i % len(FORMS)] for i in range(count)]
    return [
        (gold.format(n=n, m=m), f"So we get\n$\\boxed{{{given.format(n=n, m=m)}}}$")
        for (n, m), (gold, given) in zip(numbers, forms, strict=True)
    ]


def maths_peer(rows: list[tuple[str, str]]) -> float:
    """Verdicts per second of math-verify, called as in its README."""
    started = time.perf_counter()
    for gold, text in rows:
        verify(parse(f"${gold}$"), parse(text))
    return len(rows) / (time.perf_counter() - started)


def maths_ours(rows: list[tuple[str, str]]) -> float:
    """Verdicts per second of `maths`, called as in a stage."""
    records = [new_record(prompt="?", text=t, reference={"answer": g}) for g, t in rows]
    batch = Batch(records_table(records))
    started = time.perf_counter()
    Maths().check(batch)
    return len(rows) / (time.perf_counter() - started)


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, rounds=5, programs=20, answers=160)
    python, rows, runs = interpreter(), pairs(given.answers), given.programs
    program = literal.encode_text(PROGRAM)
    command = literal.encode([python, python, "-c", PROGRAM])
    rates: dict[str, list[float]] = {}

    def measured(name: str, rate: float) -> None:
        rates.setdefault(name, []).append(rate)

    for imports in (maths_ours, maths_peer):
        imports(rows[:20])
    with Sandbox() as warm, Sandbox(python) as cold:
        per_second(lambda: sandboxed(cold, command, "command"), runs)  # starts the lanes
        per_second(lambda: sandboxed(warm, program, "script"), runs)
        for _ in range(given.rounds):
            measured("bare start", per_second(lambda: bare(python), runs))
            measured("sandbox, cold", per_second(lambda: sandboxed(cold, command, "command"), runs))
            measured("sandbox, warm", per_second(lambda: sandboxed(warm, program, "script"), runs))
            measured("math-verify", maths_peer(rows))
            measured("maths", maths_ours(rows))
        walls = str(warm.backend)
    middle = {name: statistics.median(found) for name, found in rates.items()}
    ratios = {
        name: statistics.median(
            ours / theirs for ours, theirs in zip(rates[name], rates[peer], strict=True)
        )
        for name, peer in PEERS.items()
    }
    table(
        ["work", "per second", "ratio to peer", "goal"],
        [
            [
                name,
                f"{rate:.0f}",
                f"{ratios[name]:.2f}" if name in ratios else "",
                str(GOALS.get(name, "")),
            ]
            for name, rate in middle.items()
        ],
    )
    print(f"\nsandbox: {walls}; peers: {python} -c, and math-verify in this process")
    for name, ratio in ratios.items():
        theirs = middle[name] / ratio  # of the median round
        unit, goal = f"per second: {name}", GOALS[name] * theirs
        result("verify", middle[name], unit, (PEERS[name], theirs), goal)


if __name__ == "__main__":
    main()
