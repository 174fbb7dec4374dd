"""`code` on HumanEval: canonical solutions pass, empty ones and mutants do not."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from filters.verify.code import Code
from filters.verify.code_judge import Judge
from filters.verify.code_tests import read_tests
from filters.verify.sandbox.pool import AT_ONCE, Sandbox
from filters.verify.sandbox.run import Budget
from seeds.read import Read
from synth.batch import Batch
from synth.record import records_table
from synth.verdicts import Verdict
from tests.filters.mutants import mutants

KILLED = Path(__file__).with_name("humaneval_killed.json")
"""By task: how many one-edit mutants its canonical solution has, and, as bits in hexadecimal, first
mutant lowest, which of them the upstream tests kill. Made by running prompt, mutant, tests and
`check(entry_point)` as one program: it survives if that ends with exit code 0 within 6 s."""

pytestmark = pytest.mark.gold


@pytest.fixture(scope="module")
def problems(gold) -> list[dict[str, Any]]:
    """The problems, each with the record that `read` makes of it."""
    rows = gold("humaneval.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "humaneval.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        [outcome] = Read(prompts=(path,)).shards(1000)
    records = outcome.kept.to_pylist()
    return [{**row, "record": record} for row, record in zip(rows, records, strict=True)]


def verdicts(problems: list[dict[str, Any]], texts: list[str]) -> list[Verdict]:
    """What `code` says about one answer to each problem."""
    rows = [{**row["record"], "text": text} for row, text in zip(problems, texts, strict=True)]
    return [check.verdict for check in Code().check(Batch(records_table(rows)))]


def test_every_canonical_solution_passes_and_no_empty_one(problems):
    solutions = [row["canonical_solution"] for row in problems]
    found = verdicts(problems * 3, [*solutions, *["    return None\n"] * 82, *[""] * 82])
    assert found == [*["pass"] * 82, *["fail"] * 164]


def test_mutants_that_the_upstream_tests_kill_stay_killed(problems, sandbox: Sandbox):
    judge = Judge(sandbox, [], Budget(0.15, 512 << 20))  # short: some mutants never end
    pinned = json.loads(KILLED.read_text(encoding="ascii"))
    tasks = []
    for row in problems:
        count, _, bits = pinned.get(row["task_id"], "0:0").partition(":")
        made = list(mutants(row["prompt"] + row["canonical_solution"], row["entry_point"]))
        assert len(made) == int(count)
        tests = read_tests(row["record"]["reference"]["tests"], row["prompt"])
        tasks += [
            (row["prompt"], f"```python\n{mutant}\n```", tests)
            for number, mutant in enumerate(made)
            if int(bits, 16) >> number & 1
        ]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(lambda task: judge.check(*task).verdict, tasks))
    assert len(found) == 313
    assert Verdict.PASS not in found
    assert Verdict.ERROR not in found
