"""CONTRIBUTING.md is correct: its examples apply and pass, and the names in it exist."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.lines import released
from tests.lines import rows as rows_of

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROSE = re.sub(r"(?ms)^```.*?^```$", "", TEXT)
EXAMPLES: dict[str, str] = dict(
    re.findall(r"(?ms)^## Add an? (\w+)\n(?:(?!^## ).)*?^```diff\n(.*?)^```$", TEXT)
)
NEEDED = (
    "docs", "filters", "flows", "seeds", "synth", "tests", "constraints.txt", "pyproject.toml",
)  # fmt: skip
# tests that run for every one of a kind, the example's among them
SHARED = {
    "reader": [],
    "operation": ["tests/synth/generate/test_template.py"],
    "filter": ["tests/filters/test_hostile.py", "tests/test_reasons.py"],
    "verifier": ["tests/filters/test_verify.py", "tests/test_reasons.py"],
    "backend": [],
    "stage": ["tests/test_reasons.py"],
}
# the project may be installed from its own folder: the copy has to win
RUN = """
import sys
import filters, flows, pytest, seeds, synth
elsewhere = [m.__file__ for m in (filters, flows, seeds, synth) if sys.argv[1] not in m.__file__]
assert not elsewhere, elsewhere
sys.exit(pytest.main(sys.argv[2:]))
"""

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git applies the examples")


def copy_of_the_house(folder: Path) -> Path:
    """The packages, their tests and settings in a folder of their own."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run(command: list[str], folder: Path, text: str = "", modules: Path | None = None) -> str:
    """Runs the command with the modules of that folder and returns its output; it must succeed."""
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PYTEST"))
    }
    env |= {
        "PYTHONPATH": str(modules or folder),
        "GIT_CEILING_DIRECTORIES": str(folder),  # git applies to no repository around it
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def apply(patch: str, folder: Path) -> list[str]:
    """Applies the patch; the files that it touches."""
    run(["git", "apply", "-"], folder, patch)
    return re.findall(r"(?m)^\+\+\+ b/(\S+)$", patch)


def block(language: str) -> str:
    """The one code block in this language."""
    [found] = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT)
    return str(found)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A copy with all examples in it, and the Python files that they touch."""
    folder = copy_of_the_house(tmp_path_factory.mktemp("grown"))
    touched = [path for patch in EXAMPLES.values() for path in apply(patch, folder)]
    return folder, sorted({path for path in touched if path.endswith(".py")})


def test_each_kind_has_one_example():
    assert set(EXAMPLES) == set(SHARED)
    assert TEXT.count("```diff") == len(EXAMPLES)


def own_tests(kinds: Iterable[str], folder: Path) -> None:
    """Runs the tests of these examples, and those that they share with others of their kind."""
    files = [path for kind in kinds for path in re.findall(r"(?m)^\+\+\+ b/(\S+)$", EXAMPLES[kind])]
    new = {Path(path).stem.removeprefix("test_") for path in files if not (ROOT / path).exists()}
    shared = [path for kind in kinds for path in SHARED[kind]]
    tests = sorted({*(path for path in files if path.startswith("tests/")), *shared})
    chosen = " or ".join([*sorted(new), "house", "glossary"])
    # addopts off: one process, since the modules of that one are known to be the copy's
    options = ["-o", "addopts=", "-m", "not faults", "-p", "no:cacheprovider", "-k", chosen]
    command = [sys.executable, "-c", RUN, str(folder), *options, *tests, "tests/test_house.py"]
    said = run(command, folder)
    assert [path for path in tests if f"{path} ." not in said] == []


@needs_git
def test_the_tests_of_the_examples_pass(grown):
    own_tests(EXAMPLES, grown[0])


@needs_git
@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_applies_without_the_others(kind):
    run(["git", "apply", "--check", "-"], ROOT, EXAMPLES[kind])


@needs_git
@pytest.mark.faults  # takes 30 s: six copies, six processes
@pytest.mark.parametrize("kind", EXAMPLES)
def test_its_tests_pass_without_the_others(kind, tmp_path):
    apply(EXAMPLES[kind], copy_of_the_house(tmp_path))
    own_tests([kind], tmp_path)


@needs_git
def test_the_examples_together_are_clean_for_ruff(grown):
    folder, files = grown
    run([sys.executable, "-m", "ruff", "format", "--no-cache", "--check", *files], folder)
    run([sys.executable, "-m", "ruff", "check", "--no-cache", *files], folder)


@needs_git
@pytest.mark.skipif(
    not (ROOT / ".mypy_cache").is_dir(), reason="mypy takes 20 s when it starts from nothing"
)
def test_the_examples_together_are_clean_for_mypy(grown):
    folder, files = grown
    with contextlib.suppress(shutil.Error):  # another mypy may be writing its files
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    checked = [path for path in files if not path.startswith("tests/")]
    run([sys.executable, "-m", "mypy", *checked], folder)


def test_code_of_ones_own_lies_beside_the_recipe(tmp_path):
    [module] = re.findall(r"`(\w+/\w+\.py)` lies beside your recipe", TEXT)
    (tmp_path / module).parent.mkdir()
    (tmp_path / module).write_text(block("python"), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(block("yaml"), encoding="utf-8")
    long = f"Why is the sky {'so ' * 40}blue?"
    given = [
        {"prompt": "2 + 3?", "response": "5", "answer": "5"},
        {"prompt": "2 + 3?", "response": "6", "answer": "5"},
        {"prompt": "Why is the sky blue?", "response": "It is the air."},
        {"prompt": "Why not now?", "response": "WHO KNOWS?"},
        {"prompt": long, "response": "It is the air."},
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, given)), encoding="utf-8")
    script = "from flows.api import run; run('recipe.yaml', out='calm')"
    run([sys.executable, "-c", script], tmp_path, modules=ROOT)
    kept = released(tmp_path / "calm")
    assert [json.loads(row["meta"]) for row in kept] == [{"answer_words": 1}, {"answer_words": 4}]
    assert [row["scores"][-2]["verdict"] for row in kept] == ["pass", "not_applicable"]
    left = rows_of(tmp_path / "calm", "*/rejected/*.parquet")
    assert [(row["reason"], row["by"]) for row in left] == [
        ("too_loud", "shouting"), ("too_long", "short"), ("answer_wrong", "exact"),
    ]  # fmt: skip


def test_what_it_names_exists():
    targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(re.findall(r"(?m)(?:^|`)make ([a-z]+)", PROSE + block("bash"))) <= set(targets)
    missing = {
        path
        for path in re.findall(r"`([\w./-]+\.(?:py|md|txt|toml|yaml))`", PROSE)
        if not (ROOT / path).exists()
    }
    assert missing == {"my_pkg/my_mod.py"}
