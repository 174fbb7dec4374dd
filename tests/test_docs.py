"""README and docs are correct: commands run, recipes are valid, links resolve."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from filters.catalogue import FILTERS, VERIFIERS
from filters.dedup.stage import METHODS
from flows import strict_yaml
from flows.cli import _parser
from flows.prefect_server import await_answer, started, template
from flows.recipe import STAGES, StageEntry
from flows.recipe_file import SHIPPED, load_recipe
from flows.reference import JOBS, PAGE, reference
from synth.paths import path_context
from synth.teacher.caps import BudgetConfig
from synth.teacher.config import TeacherConfig
from tests.hub_stand_in import hub_stand_in
from tests.test_reasons import is_known

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKED = list(dict.fromkeys(re.findall(r"\]\((docs/[\w-]+\.md)\)", README)))
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", *LINKED)}
WITH_LINKS = (*PAGES, "CONTRIBUTING.md", "outputs/README.md", "filters/verify/sandbox/README.md")
TEACHER = "http://127.0.0.1:8000/v1"  # the tests use the fake teacher instead
SEEDS = ROOT / "seeds" / "starter"
FILES = {  # names of the reader's own files in the examples
    "my.jsonl": (SEEDS / "short_tasks.jsonl").read_text(encoding="utf-8"),
    "good.jsonl": (SEEDS / "examples.jsonl").read_text(encoding="utf-8"),
    "graded.jsonl": '{"prompt": "1 + 1?", "text": "2", "score": 4}\n',
    "answer.json": '{"type": "object"}',
    "my_words.txt": "fiddlesticks\n",
    **dict.fromkeys(
        ("chats.jsonl", "humaneval.jsonl", "our-exam.jsonl", "pages.parquet", "tools.json"), "{}"
    ),
    "prompts.jsonl": '{"prompt": "1 + 1?"}\n',
    "prompts/mine.md": (ROOT / "synth/generate/prompts/rewrite/faq.md").read_text(encoding="utf-8"),
}


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


BLOCKS = [
    Block(page, language, text)
    for page, content in PAGES.items()
    for language, text in re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", content)
]
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in BLOCKS
    if block.language == "bash"
    for line in block.text.splitlines()
    if line.strip()
]


def asked(command: str, teacher: str) -> list[str]:
    """Splits a command into words and replaces the recipe's teacher with the fake."""
    words = shlex.split(command.replace(TEACHER, teacher))
    needs_one = words[1] in ("run", "preview", "plan") and "--teacher" not in words
    return [*words, "--teacher", teacher] if needs_one else words


def with_files(folder: Path) -> Path:
    """The folder with the files that the pages name."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "seeds").symlink_to(ROOT / "seeds")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder to work in and an environment: `synth` on the path, a Prefect server, a Hub."""
    folder = with_files(tmp_path_factory.mktemp("docs"))
    with started(template(print)) as server, hub_stand_in() as hub:
        await_answer(server)
        env = {
            **os.environ,
            **hub.env(folder / "hf"),
            "HF_TOKEN": "hf_of_the_docs",
            "PREFECT_API_URL": server.url,
            "DO_NOT_TRACK": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        yield folder, env


# in one process: most of what a command costs is its imports
ONE_AFTER_THE_OTHER = """
import json, sys
from flows.cli import main

commands, blocks = json.load(sys.stdin)
for words in commands:
    print("$", *words, flush=True)
    print("$", *words, file=sys.stderr, flush=True)
    if code := main(words):
        sys.exit(code)
for block in blocks:
    exec(block, {})
"""


def test_all_commands_run_in_order(place: tuple[Path, dict[str, str]], teacher_url: str) -> None:
    folder, env = place
    commands = [asked(command, teacher_url) for command in COMMANDS if command.startswith("synth ")]
    assert len(commands) >= 20
    python = [
        block.text.replace(TEACHER, teacher_url) for block in BLOCKS if block.language == "python"
    ]
    for process, given in (
        (commands[0], ""),  # as it is installed
        (
            [sys.executable, "-c", ONE_AFTER_THE_OTHER],
            json.dumps([[words[1:] for words in commands[1:]], python]),
        ),
    ):
        done = subprocess.run(
            process, cwd=folder, env=env, input=given, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "'role': 'user'" in done.stdout
    assert re.search(r"tokens: [\d,]+ in, [\d,]+ out; per released row", done.stdout)
    given_reasons = {
        reason
        for path in folder.glob("outputs/*/[0-9]*/manifest.json")
        for shard in json.loads(path.read_bytes())["shards"]
        for reason in shard["reasons"]
    }
    assert given_reasons
    assert not [reason for reason in given_reasons if not is_known(reason)]


def test_every_other_bash_command_is_one_that_ci_runs() -> None:
    others = {command for command in COMMANDS if not command.startswith("synth ")}
    assert others == {"make demo", "make test"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: install", makefile, re.MULTILINE)
    assert re.search(r"^test: install lint types", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_commands_that_need_more_than_a_test_has_are_understood() -> None:
    shown = "".join(b.text for b in BLOCKS if b.language in ("text", "console"))
    lines = [line.removeprefix("$ ") for line in shown.splitlines()]
    commands = [line for line in lines if line.startswith("synth ")]
    assert commands
    for command in commands:
        _parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=lambda b: b.page)
def test_recipes_are_valid(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_files(tmp_path))
    text = block.text.replace("${DATA}", ".")
    given = strict_yaml.parse(text.encode(), block.page).value
    if isinstance(given, list):
        check_stages(given)
    elif set(given) == {"teacher"}:
        TeacherConfig.model_validate(given["teacher"])
    elif set(given) == {"budget"}:
        BudgetConfig.model_validate(given["budget"])
    else:
        (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
        load_recipe("./recipe.yaml")


@pytest.mark.parametrize("page", PAGES)
def test_settings_in_sentences_are_valid(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_files(tmp_path))
    prose = re.sub(r"(?ms)^```.*?^```$", "", PAGES[page])
    for setting in re.findall(r"`(\w+: [\[{][^`…]*[\]}])`", prose):
        given = strict_yaml.parse(setting.encode(), page).value
        [name] = given
        if name in STAGES:
            check_stages([given])
        elif name in FILTERS:
            check_stages([{"quality": [given]}])
        elif name in VERIFIERS:
            check_stages([{"verify": [given]}])
        elif name in METHODS:
            check_stages([{"dedup": given}])


def check_stages(stages: list[object]) -> None:
    """Each is a line of a recipe."""
    for stage in stages:
        StageEntry.model_validate(stage, context=path_context((Path.cwd(), ROOT)))


def test_the_readme_is_short_and_names_every_page() -> None:
    assert len(README.splitlines()) <= 200
    assert sorted(LINKED) == sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))


def test_its_recipe_is_the_shipped_one() -> None:
    [recipe] = [b.text for b in BLOCKS if b.page == "README.md" and b.language == "yaml"]
    assert recipe == (SHIPPED / "quickstart.yaml").read_text(encoding="utf-8")


def test_its_output_has_the_stages_of_that_recipe() -> None:
    [output] = [b.text for b in BLOCKS if b.page == "README.md" and b.language == "console"]
    stages = [f"{n:02d}-{one.name}" for n, one in enumerate(load_recipe("quickstart").stages)]
    assert re.findall(r"(?m)^\d\d-\w+", output) == stages


def test_the_reference_has_every_stage_once() -> None:
    assert sorted(chain.from_iterable(JOBS.values())) == sorted(STAGES)


def test_the_reference_is_that_of_today() -> None:
    assert reference() == PAGE.read_text(encoding="utf-8"), "run `make docs`"


@pytest.mark.parametrize("page", WITH_LINKS)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), target


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of the page's headings."""
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES)
def test_files_and_benchmarks_that_it_names_exist(page: str) -> None:
    text = PAGES[page]
    ours = r"`((?:flows|synth|seeds|filters|tests|benchmarks|docs)/[\w./-]*)`"
    paths = [ROOT / one for one in re.findall(ours, text)]
    benchmarks = re.findall(r"python -m benchmarks\.(\w+)", text)
    paths += [ROOT / "benchmarks" / f"{one}.py" for one in benchmarks]
    assert not [path for path in paths if not path.exists()]
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= set(targets)


def test_the_files_that_the_examples_need_are_all_used() -> None:
    everything = "".join(PAGES.values())
    assert not [name for name in FILES if name not in everything]
