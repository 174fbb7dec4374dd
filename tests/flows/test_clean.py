"""`synth show --clean`: a finished run stays finished and whole, and can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import api
from flows.cli import main
from synth.engine.audit import audit
from synth.errors import ExitCode
from tests.faults.trials import Heard, Pipeline, hashes, teaching


@pytest.fixture
def heard() -> Iterator[Heard]:
    with teaching() as one:
        yield one


def test_a_cleaned_run_stays_finished_until_its_recipe_changes(
    heard: Heard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline, run = Pipeline(tmp_path, heard).write(), tmp_path / "run"

    def go(*overrides: str) -> str:
        api.run(str(pipeline.recipe), out=run, overrides=overrides)
        return capsys.readouterr().err

    go()
    whole = hashes(run)
    released = {path: digest for path, digest in whole.items() if path.startswith("release/")}
    assert not list(run.glob("*-dedup/work")), "signatures of a finished stage"
    asked = len(heard.asked)
    assert main(["show", str(run), "--clean"]) == ExitCode.OK
    assert "freed" in capsys.readouterr().out
    assert not [path for path in hashes(run) if "/kept/" in path]
    assert not [line for one in audit(run) for line in one.wrong]
    row = next(api.Run(run).rows())
    for options in ([], ["--rejected"], ["--json"], ["--check"]):
        assert main(["show", str(run), *options]) == ExitCode.OK
    assert main(["trace", row["id"], "--run", str(run)]) == ExitCode.OK
    assert "1. read" in capsys.readouterr().out
    assert main(["report", str(run)]) == ExitCode.INVALID
    assert "was cleaned" in capsys.readouterr().err

    assert "already finished" in go()
    assert {path: d for path, d in hashes(run).items() if path.startswith("release/")} == released

    said = go("stages.write.test_share=0.5")
    assert "were removed by `synth show --clean` and are made again" in said
    assert len(heard.asked) == asked, "the journal has the replies"
    go()
    assert hashes(run) == whole
    assert not [line for one in audit(run) for line in one.wrong]


def test_an_unfinished_run_is_not_cleaned(
    heard: Heard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline, run = Pipeline(tmp_path, heard).write(), tmp_path / "run"
    pipeline.killed(run, where="rename 03-distill/manifest.json")
    before = hashes(run)
    assert main(["show", str(run), "--clean"]) == ExitCode.INVALID
    assert "has no finished release" in capsys.readouterr().err
    assert hashes(run) == before
