"""`code` on HumanEval: canonical solutions pass, empty ones and mutants do not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from filters.verify.code_judge import CodeJudge, program_in
from filters.verify.code_tests import FunctionTests, read_tests
from filters.verify.sandbox.pool import AT_ONCE, Sandbox
from filters.verify.sandbox.run import SandboxLimits, Submission, check_function
from seeds.read import Read
from synth.verdicts import Verdict
from tests.filters.mutants import mutants

PINNED = Path(__file__).with_name("humaneval_mutants.json")
"""By task, a digit for each one-edit mutant of its canonical solution: 0 survives the upstream
tests, 1 is killed by them, 2 does not end. Made by running prompt, mutant, tests and
`check(entry_point)` as one program: a mutant survives if that ends with exit code 0, and is endless
if it takes more than 6 s or 512 MB."""
SURVIVES, KILLED, ENDLESS = "012"

RIGHT = {
    "pass": {Verdict.PASS},
    "fail": {Verdict.FAIL},
    "fail-or-open": {Verdict.FAIL, Verdict.UNVERIFIED},
    "pass-or-open": {Verdict.PASS, Verdict.UNVERIFIED},
}
"""What each label of the reported cases allows."""

pytestmark = pytest.mark.gold


class Problem(NamedTuple):
    """A problem as `read` has read it."""

    prompt: str
    solution: str
    entry_point: str
    tests: FunctionTests
    mutants: str
    """The pinned digits."""


@pytest.fixture(scope="module")
def problems(gold: Callable[[str], list[dict[str, Any]]]) -> list[Problem]:
    """The problems of HumanEval that are here."""
    rows = gold("humaneval.jsonl")
    pinned = json.loads(PINNED.read_text(encoding="ascii"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "humaneval.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        [outcome] = Read(prompts=(path,)).shards(1000)
    found = []
    for row, record in zip(rows, outcome.kept.to_pylist(), strict=True):
        tests = read_tests(record["reference"]["tests"], row["prompt"])
        assert isinstance(tests, FunctionTests)
        solution, name = row["canonical_solution"], row["entry_point"]
        digits = pinned.get(row["task_id"], "")
        found.append(Problem(row["prompt"], solution, name, tests, digits))
    return found


@pytest.fixture(scope="module")
def judge(sandbox: Sandbox) -> CodeJudge:
    """Patient: none of these runs depends on how busy the machine is."""
    return CodeJudge(sandbox, [], SandboxLimits(60.0, 512 << 20))


def verdicts(judge: CodeJudge, answers: list[tuple[Problem, str]]) -> list[str]:
    """What `code` says about each answer."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        checks = threads.map(lambda a: judge.check(a[0].prompt, a[1], a[0].tests), answers)
        return [check.verdict.value for check in checks]


def test_every_canonical_solution_passes_and_no_empty_one(problems, judge):
    assert len(problems) == 82
    assert verdicts(judge, [(one, one.solution) for one in problems]) == ["pass"] * 82
    assert verdicts(judge, [(one, "    return None\n") for one in problems]) == ["fail"] * 82
    assert verdicts(judge, [(one, "") for one in problems]) == ["fail"] * 82


def test_reported_cases_get_the_verdict_that_a_person_gave(gold, sandbox):
    judge = CodeJudge(sandbox, [], SandboxLimits(3.0, 512 << 20))
    for row in gold("cases/code.jsonl"):
        given = program_in(row["prompt"]).last
        check = judge.check(given, row["response"], read_tests(row["tests"], given))
        assert check.verdict in RIGHT[row["right"]], (row, check)


def test_mutants_that_the_upstream_tests_kill_stay_killed(problems, judge, sandbox):
    by_fate: dict[str, list[tuple[Problem, str]]] = {SURVIVES: [], KILLED: [], ENDLESS: []}
    for one in problems:
        made = mutants(one.prompt + one.solution, one.entry_point)
        for fate, mutant in zip(one.mutants, made, strict=True):
            by_fate[fate].append((one, f"```python\n{mutant}\n```"))
    assert {fate: len(found) for fate, found in by_fate.items()} == {
        SURVIVES: 42,
        KILLED: 305,
        ENDLESS: 8,
    }
    assert verdicts(judge, by_fate[KILLED]) == ["fail"] * 305
    impatient = SandboxLimits(0.2, 512 << 20)
    for one, text in by_fate[ENDLESS]:
        answer = Submission(one.prompt, *program_in(text))
        check = sandbox.use(lambda lane: check_function(lane, one.tests.job, answer, impatient))  # noqa: B023
        assert check.verdict is not Verdict.PASS
