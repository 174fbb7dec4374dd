"""`python -m benchmarks --all`: a table with a row for each result, and for each failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import processes
from benchmarks.processes import elsewhere
from tests.synth.teacher.fleets import wait_for

RESULT = {
    "name": "pii",
    "figure": 0.98,
    "unit": "F1",
    "peer": "Presidio",
    "peer_figure": 0.49,
    "ratio": 2.0,
    "better": "higher",
    "goal": 0.95,
}


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Runs this code as a benchmark."""

    def run(code: str, limit_s: float = 20) -> list[dict[str, object]]:
        (tmp_path / "benchmarks").mkdir()
        (tmp_path / "benchmarks" / "__init__.py").touch()
        (tmp_path / "benchmarks" / "one.py").write_text(code, encoding="utf-8")
        monkeypatch.setattr(command, "ROOT", tmp_path)
        monkeypatch.delenv("PYTHONPATH", raising=False)
        return command.run("one", limit_s)

    return run


def test_every_benchmark_is_listed_and_training_is_not():
    found = command.benchmarks()
    assert {"heuristics", "minhash", "verify"} <= set(found)
    assert not {"train_refusal", "report", "corpus"} & set(found)
    assert all(found.values())


def test_results_are_lines_of_json_among_others(runs):
    code = 'print(\'a table\')\nprint(\'{"name": "one", "figure": 1}\')'
    assert runs(code) == [{"name": "one", "figure": 1}]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no peer')", "failed: no peer"),
        ("import sys; print('no data', file=sys.stderr); sys.exit(77)", "skipped: no data"),
        ("import sys; sys.exit(3)", "failed"),
        (
            'print(\'{"name": "one"}\', flush=True); 1 / 0',
            "failed: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_benchmark_that_fails_gives_its_reason(runs, code, reason):
    assert runs(code) == [{"name": "one", "reason": reason}]


def test_a_benchmark_that_takes_too_long_ends_with_its_processes(runs, tmp_path):
    pid = tmp_path / "pid"
    child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}, {str(pid)!r}])"
    )
    assert runs(code, limit_s=3) == [{"name": "one", "reason": "stopped after 3 s"}]
    wait_for(lambda: is_gone(pid.read_text(encoding="utf-8")))


def is_gone(pid: str) -> bool:
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()  # a zombie has none
    except OSError:
        return True


def test_no_benchmark_starts_when_the_time_is_over():
    assert command.run("heuristics", 0) == [
        {"name": "heuristics", "reason": "not run: the 30 minutes of --all are over"}
    ]


def test_the_table_is_replaced_and_the_page_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        f"# Before\n\n{command.BEGIN}\nold\n{command.END}\n\nAfter.\n", encoding="utf-8"
    )
    for _ in range(2):
        command.write(page, [RESULT, {"name": "two", "reason": "failed: a | b"}])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Before\n\n{command.BEGIN}\n\nMeasured on 2")
    assert text.endswith(f"{command.END}\n\nAfter.\n")
    assert "| pii | 0.98 | F1 | Presidio | 0.49 | 2 | ≥ 0.95 |\n" in text
    assert "| two | failed: a / b |  |  |  |  |  |\n" in text
    assert "old" not in text


@pytest.mark.parametrize(
    ("better", "figure", "met"),
    [
        ("higher", 0.95, True),
        ("higher", 0.94, False),
        ("lower", 0.95, True),
        ("lower", 0.96, False),
    ],
)
def test_a_missed_goal_is_marked(better, figure, met):
    line = command.line({**RESULT, "better": better, "figure": figure})
    assert line.endswith(": missed |") != met


def test_the_page_has_a_place_for_the_table():
    text = command.PAGE.read_text(encoding="utf-8")
    assert text.index(command.BEGIN) < text.index(command.END)


def test_a_function_runs_in_a_process_of_its_own_with_its_costs():
    reply = elsewhere("tests.test_benchmarks:doubled", number=4)
    assert reply.pop("cpu_s") < 1
    assert reply.pop("peak_mb") > 1
    assert reply == {"double": 8, "process": "-c"}


def doubled(number: int) -> dict[str, object]:
    return {"double": 2 * number, "process": sys.argv[0]}


def test_a_function_that_fails_ends_the_benchmark(capfd):
    with pytest.raises(SystemExit, match="doubled failed with exit code 1"):
        elsewhere("tests.test_benchmarks:doubled", number=None)
    assert "TypeError" in capfd.readouterr().err


def test_each_peer_has_pins_of_all_that_it_needs():
    for path in processes.PEERS.glob("*.py"):
        if path.stem != "__init__":
            pins = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
            assert all("==" in pin and "://" not in pin for pin in pins if not pin.startswith("#"))
            assert any(pin.startswith(path.stem) for pin in pins)
