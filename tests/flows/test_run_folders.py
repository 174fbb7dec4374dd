"""`synth show --check`, `synth show A B`, `synth run --from` and `--fresh`, on real run folders."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from flows import api, run_command
from flows.cli import main
from synth.engine.lock import locked
from synth.errors import ExitCode

RECIPE = """\
name: mine
teacher: {url: %s}
stages:
  - read: {prompts: in.jsonl}
  - distill: {samples: 2}
  - quality: [length: {min_words: 2}]
  - write
"""
PROMPTS = ("How far is the moon?", "How old is the sun?", "How deep is the sea?")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher_url: str) -> Path:
    """A folder with a recipe and its input, where `synth run` works without Prefect."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"prompt": one}) for one in PROMPTS))
    (tmp_path / "mine.yaml").write_text(RECIPE % teacher_url)
    monkeypatch.setattr(
        run_command,
        "_run_flow",
        lambda arguments, folder, _copy, _progress: api.run(
            "mine.yaml", out=folder, overrides=arguments.set
        ),
    )
    return tmp_path


def flip(path: Path) -> None:
    """Flips a bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_check_has_a_line_per_stage_and_names_what_is_wrong(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mine.yaml"]) == ExitCode.OK
    capsys.readouterr()
    assert main(["show", "outputs/mine", "--check"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["00-read", "ok:"],
        ["01-distill", "ok:"],
        ["02-quality", "ok:"],
        ["03-write", "ok:"],
        ["release", "ok:"],
    ]
    assert lines[1].endswith("1 shards, 3 rows in, 3 made, 6 kept, 0 rejected, 3 replies")
    flip(here / "outputs/mine/01-distill/kept/00000.parquet")
    assert main(["show", "outputs/mine", "--check"]) == ExitCode.INFRASTRUCTURE
    out, err = capsys.readouterr()
    assert "01-distill     1 problem: " in out
    assert "outputs/mine/01-distill/kept/00000.parquet is damaged" in out
    assert "run its recipe again" in err
    assert main(["run", "mine.yaml"]) == ExitCode.OK
    assert (
        "01-distill/00000 was damaged: it is made again, byte for byte" in capsys.readouterr().err
    )
    assert main(["show", "outputs/mine", "--check"]) == ExitCode.OK


def test_a_damaged_release_is_not_announced_as_finished(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", "mine.yaml"])
    [data] = (here / "outputs/mine/release/data").glob("*.parquet")
    before = data.read_bytes()
    flip(data)
    capsys.readouterr()
    assert main(["run", "mine.yaml"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "nothing was left to do" not in err
    assert f"03-write    damaged: {data.relative_to(here)} is damaged" in err
    assert "dataset: outputs/mine/release" in out
    assert data.read_bytes() == before


def test_a_run_at_work_and_a_folder_of_no_run_are_not_checked(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(here), "--check"]) == ExitCode.INVALID
    main(["run", "mine.yaml"])
    with locked(here / "outputs/mine"):
        assert main(["show", "outputs/mine", "--check"]) == ExitCode.LOCKED
    assert "in use by process" in capsys.readouterr().err


def test_a_changed_setting_is_named_at_the_start(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", "mine.yaml"])
    capsys.readouterr()
    assert main(["run", "mine.yaml", "--set", "stages.distill.samples=3"]) == ExitCode.OK
    err = capsys.readouterr().err
    assert "found in outputs/mine:" in err
    assert "  01-distill  stale: samples 2 → 3; 3 replies in its journals" in err
    assert "  02-quality  waits for 01-distill" in err


def test_two_runs_are_compared(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "mine.yaml", "--out", "a"])
    (here / "in.jsonl").write_text((here / "in.jsonl").read_text().replace("moon", "Mars"))
    main(["run", "mine.yaml", "--out", "b", "--set", "stages.quality.0.length.min_words=1"])
    capsys.readouterr()
    assert main(["show", "a", "b"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert "min_words 2 → 1" in "\n".join(lines)
    assert ["distill", "3", "6", "0", "3", "6", "0"] in [line.split() for line in lines]
    counts = {line[2:12].strip(): line[12:].split()[0] for line in lines[-4:]}
    assert counts == {"same": "4", "only in A": "2", "only in B": "2", "changed": "0"}
    assert main(["show", "a", "a"]) == ExitCode.OK
    assert "no setting differs" in capsys.readouterr().out
    assert main(["show", "a", "b", "--check"]) == ExitCode.INVALID


def test_from_a_stage_and_fresh(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["run", "mine.yaml"])
    capsys.readouterr()
    assert main(["run", "mine.yaml", "--from", "distill"]) == ExitCode.OK
    err = capsys.readouterr().err
    assert "00-read     done: 3 rows" in err
    assert "6 replies from the journal" in err
    assert main(["run", "mine.yaml", "--from", "evolve"]) == ExitCode.INVALID
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["run", "mine.yaml", "--fresh"]) == ExitCode.INVALID
    assert (
        "--fresh deletes the finished work in outputs/mine and 3 journaled replies: add --yes"
    ) in capsys.readouterr().err
    assert (here / "outputs/mine/release").is_dir()
    assert main(["run", "mine.yaml", "--fresh", "--yes"]) == ExitCode.OK
    err = capsys.readouterr().err
    assert "from the journal" not in err
    assert "found in" not in err
    with pytest.raises(SystemExit, match=str(int(ExitCode.INVALID))):
        main(["run", "mine.yaml", "--from", "read", "--fresh"])


@pytest.mark.parametrize(("answer", "code"), [("n", ExitCode.INVALID), ("y", ExitCode.OK)])
def test_fresh_asks_on_a_terminal(
    here: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: ExitCode
) -> None:
    main(["run", "mine.yaml"])
    made = (here / "outputs/mine/00-read/manifest.json").stat().st_mtime_ns
    asked = []

    def reply(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", reply)
    assert main(["run", "mine.yaml", "--fresh"]) == code
    assert "Delete the finished work in outputs/mine and 3 journaled replies?" in asked[0]
    kept = (here / "outputs/mine/00-read/manifest.json").stat().st_mtime_ns == made
    assert kept == (answer == "n")
