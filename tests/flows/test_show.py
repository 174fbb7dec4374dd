"""`synth show --rejected` shows why rows were rejected; a folder without a run is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows import api, run_command
from flows.cli import main
from synth.errors import ExitCode


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that rejected two rows as too short and one as too long."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"text": "one"},
        {"text": "two words"},
        {"text": "four words are kept"},
        {"text": "w " * 9},
    ]
    Path("in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rule = "length: {min_words: 3, max_words: 5}"
    assert (
        main(["filter", "in.jsonl", "--as", "web", "--with", rule, "--out", "run"]) == ExitCode.OK
    )
    return tmp_path / "run"


def test_rejected_rows_are_shown_with_reason_score_and_text(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["show", "run", "--rejected"]) == ExitCode.OK
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "3 of 3 rejected rows"
    assert [line for line in lines if line.startswith("01-quality")] == [
        "01-quality: rejected by length: too_few_words (1)",
        "01-quality: rejected by length: too_few_words (2)",
        "01-quality: rejected by length: too_many_words (9)",
    ]
    assert ["text", "two", "words"] in [line.split() for line in lines]


def test_one_reason_and_a_limit(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["show", "run", "--rejected", "too_few_words", "--rows", "1"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 2 rejected rows, too_few_words"
    assert lines[-1] == "1 more: synth show run --rejected too_few_words --rows 2"
    assert sum("rejected by" in line for line in lines) == 1


def test_an_unknown_reason_is_refused_with_those_of_the_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "run", "--rejected", "too_few"]) == ExitCode.INVALID
    assert (
        "no row of run was rejected as 'too_few'; reasons there: too_few_words 2, "
        "too_many_words 1; "
        "did you mean 'too_few_words'?"
    ) in capsys.readouterr().err


def test_the_prompt_of_a_chat_that_calls_tools_is_the_users_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "c"},
        {"role": "assistant", "content": "Three degrees."},
    ]
    Path("in.jsonl").write_text(json.dumps({"messages": turns}))
    for least in (1, 9):
        command = ["filter", "in.jsonl", "--as", "answers", "--out", str(least)]
        main([*command, "--with", f"length: {{min_words: {least}}}"])
    capsys.readouterr()
    main(["show", "1"])
    main(["show", "9", "--rejected"])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.endswith(" How warm is it?") for line in lines)
    assert "prompt How warm is it?" in lines
    assert "3" not in lines


@pytest.mark.parametrize("options", [[], ["--rejected"]])
def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(tmp_path), *options]) == ExitCode.INVALID
    assert f"{tmp_path} is not a run folder" in capsys.readouterr().err
    assert main(["show", str(tmp_path / "none"), *options]) == ExitCode.INVALID
    assert "none does not exist" in capsys.readouterr().err


def test_a_run_that_kept_no_row_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"text": "one"}')
    words = "length: {min_words: 3}"
    command = ["filter", "in.jsonl", "--as", "web", "--with", words, "--out", "run"]
    assert main(command) == ExitCode.EMPTY
    capsys.readouterr()
    assert main(["show", "run"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "0 kept, 1 rejected: too_few_words 1" in out
    assert "ended: no row is left after 01-quality." in out
    assert "rejected rows: synth show run --rejected" in out


def test_a_run_that_keeps_no_row_shows_its_funnel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"text": "one"}')
    Path("mine.yaml").write_text(
        "name: mine\nstages: [{read: {web: in.jsonl}}, {quality: [length: {min_words: 3}]}, write]"
    )
    monkeypatch.setattr(  # the same stages without Prefect
        run_command,
        "_run_flow",
        lambda _arguments, folder, _copy, _progress: api.run("mine.yaml", out=folder),
    )
    assert main(["run", "mine.yaml"]) == ExitCode.EMPTY
    out, err = capsys.readouterr()
    assert "0 kept, 1 rejected: too_few_words 1" in out
    assert "rejected rows: synth show outputs/mine --rejected" in out
    assert "no row is left after quality" in err
