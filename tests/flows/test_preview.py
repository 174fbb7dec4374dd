"""`synth preview` shows one input row whole and the others briefly, even if no row is left."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.cli import main
from synth.errors import ExitCode

RECIPE = """\
name: mine
teacher: {url: URL}
stages:
  - read: {prompts: prompts.jsonl}
  - distill: {samples: 2, system: Be brief.}
  - quality: [length]
  - verify: {checks: [maths], reject: []}
  - write: {format: prompt_completion}
"""
PROMPTS = ["What is 2 + 2?", "What is <b>3 & 3</b>?", "What is 4 + 4?"]


@pytest.fixture
def recipe(tmp_path: Path, teacher_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    rows = (json.dumps({"prompt": prompt, "answer": "4"}) for prompt in PROMPTS)
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows))
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("URL", teacher_url))
    return "mine.yaml"


def test_one_row_is_shown_whole_and_the_others_briefly(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", recipe, "--rows", "3"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "first reply: " in err
    lines = out.splitlines()
    start = lines.index("What is 2 + 2?")
    assert lines[start + 1] == "gold: 4"
    assert lines[start + 2].startswith("as sent, temperature ")
    assert lines[start + 3 : start + 7] == [
        "  [system]",
        "  │ Be brief.",
        "  [user]",
        "  │ What is 2 + 2?",
    ]
    assert [line for line in lines if line.startswith(("1. ", "2. "))] == ["1. kept", "2. kept"]
    assert sum(line.lstrip().startswith("maths: ") for line in lines) == 2
    assert any(line.startswith("  completion: ") for line in lines)
    brief = [line for line in lines if line.startswith("2 kept")]
    assert [line[10:].split(" → ")[0] for line in brief] == PROMPTS[1:]
    assert any("3 prompts, 6 answers (2 samples each)" in line for line in lines)


def test_rejected_rows_and_reasons_are_shown_where_no_row_is_left(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = ["--set", "stages.quality=[{length: {min_words: 900}}]"]
    assert main(["preview", recipe, "--rows", "2", *strict]) == ExitCode.EMPTY
    out, err = capsys.readouterr()
    assert out.count("rejected by length: too_few_words") == 2
    assert "2 rejected: too_few_words 2" in out
    assert "0 kept, 4 rejected: too_few_words 4" in out
    assert "synth: no row is left; the reasons are above" in err


def test_a_page_in_no_folder_is_refused_before_anything_runs(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", recipe, "--html", "nowhere/page.html"]) == ExitCode.INVALID
    assert (
        capsys.readouterr().err
        == "synth: --html nowhere/page.html: folder nowhere does not exist\n"
    )


class Page(HTMLParser):
    """Collects what a page would fetch or run, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "b"):
            self.active.append(tag)
        self.active += [name for name, _ in attrs if name in ("src", "href", "onclick", "style")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_fetches_and_runs_nothing_and_shows_every_text_as_text(recipe: str) -> None:
    assert main(["preview", recipe, "--rows", "3", "--html", "page.html"]) == ExitCode.OK
    document = Path("page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(document)
    assert page.active == []
    assert "prefers-color-scheme: dark" in document
    assert "url(" not in document
    for prompt in PROMPTS:
        assert prompt in page.text
    assert "3 prompts, 6 answers (2 samples each)" in page.text
    assert "prompt as sent, temperature" in page.text


def test_a_chat_that_ends_in_a_tools_result_is_shown_by_the_users_turn(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3 degrees", "tool_call_id": "c"},
    ]
    Path("prompts.jsonl").write_text(json.dumps({"messages": turns, "answer": "3"}))
    assert main(["preview", recipe, "--html", "page.html"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert "How warm is it?" in lines
    assert "prompt: How warm is it?" in lines
    page = Page()
    page.feed(Path("page.html").read_text(encoding="utf-8"))
    assert page.text.count("3 degrees") == 2  # as sent, and in the released row
    assert '{"name": "weather", "arguments": {}}' in page.text  # as sent
    assert '{"role": "tool", "content": "3 degrees"' in page.text  # released
