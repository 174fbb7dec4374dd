"""The report's figures and rows agree with the run that they come from."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows import api
from flows.cli import main
from flows.report import examples, passed
from flows.report.command import update_report, write_report
from flows.report.examples import Draw, Example
from flows.report.figures import Measures
from flows.report.histogram import BINS, Values
from flows.report.limits import PARTS, limits
from flows.report.measures import OTHER, UNCHANGED, measured
from flows.report.summary import NAME, RunSummary, summarise
from flows.terminal import REPORT
from synth.errors import ExitCode
from synth.store.manifest import Manifest
from tests.flows.reported import HOSTILE, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Manifest]]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("report")
        patch.chdir(folder)
        return make_run(folder)


@pytest.fixture(scope="module")
def found(run: tuple[Path, list[Manifest]]) -> Measures:
    return measured(*run)


def drawn(run: Path, manifests: list[Manifest]) -> list[Example]:
    draw = Draw(run, manifests)
    measured(run, manifests, draw.add)
    return draw.examples()


@pytest.fixture(scope="module")
def rows(run: tuple[Path, list[Manifest]]) -> list[Example]:
    return drawn(*run)


def test_the_tokens_of_the_operations_add_up_to_those_of_the_stages(
    run: tuple[Path, list[Manifest]], found: Measures
) -> None:
    for name in ("tokens_in", "tokens_out"):
        paid = Counter({one.stage: getattr(one, name) for one in summarise(*run).stages})
        for stage in ("evolve", "distill"):
            [label] = [one.label for one in run[1] if one.stage == stage]
            of_stage = [getattr(one, name) for one in found.operations if one.stage == stage]
            assert sum(of_stage) == paid[label] > 0
    assert {one.operation for one in found.operations if one.stage == "evolve"} == {
        "deepen",
        "persona",
        UNCHANGED,
        OTHER,
    }


def test_each_reply_is_counted_once_and_each_accepted_row_by_operation(
    run: tuple[Path, list[Manifest]], found: Measures
) -> None:
    released = run[1][-1].rows_kept
    [answers] = [one for one in found.operations if one.stage == "distill"]
    [made] = [one for one in run[1] if one.stage == "distill"]
    assert answers.replies == made.rows_in + made.rows_made
    assert answers.accepted == found.accepted == released == 30
    assert answers.tokens_per_accepted == (answers.tokens_in + answers.tokens_out) / released


def test_scores_are_those_that_the_stage_added_with_its_limits(
    run: tuple[Path, list[Manifest]], found: Measures
) -> None:
    first, second = (one for one in found.scores if one.score == "length")
    stages = {one.label: one for one in run[1]}
    for figures in (first, second):
        stage = stages[figures.stage]
        assert figures.rows == stage.rows_in
        assert figures.rejected == stage.rows_rejected
        assert sum(bar.kept + bar.rejected for bar in figures.bins) == figures.rows
    assert first.limits == {"min_words": 4, "max_words": 30}
    assert second.limits == {"min_words": 8, "max_words": 100_000}
    [gain] = [one for one in found.scores if one.score == "gain"]
    [evolved] = [one for one in run[1] if one.stage == "evolve"]
    assert gain.rejected == evolved.reasons["judged_no_gain"] > 0


@pytest.mark.parametrize("score", PARTS)
def test_each_part_names_the_settings_that_its_score_is_compared_with(score: str) -> None:
    part = PARTS[score]
    named = {key for key in vars(part)["compared_with"] if key != 1}
    assert named <= part.model_fields.keys()


@pytest.mark.parametrize(
    ("settings", "score", "expected"),
    [
        ({"filters": [{"gopher": {"min_words": 50}}]}, "gopher", {"limit": 1}),
        (
            {"filters": [{"length": {"min_words": "auto", "max_words": 9}}]},
            "length",
            {"max_words": 9},
        ),
        ({"filters": [{"use": "mine:Loud", "with": {}}]}, "loud", {}),
        ({"minhash": {"threshold": 0.8}}, "minhash", {"threshold": 0.8}),
        ({"score": "style", "min_score": 3}, "style", {"min_score": 3}),
        ({"score": "judge", "min_score": None}, "judge", {}),
        ({"judge": {"min_gain": 1}}, "gain", {"min_gain": 1}),
        ({"min_likeness": 0.5}, "round_trip", {"min_likeness": 0.5}),
    ],
)
def test_the_limits_of_a_score_are_settings_of_the_part_that_gives_it(
    settings: dict[str, Any], score: str, expected: dict[str, float]
) -> None:
    assert limits(settings, score) == expected


def test_rounds_lengths_contamination_and_openings(found: Measures) -> None:
    assert {one.round for one in found.rounds} == {1, 2}
    assert sum(one.tried - one.survived for one in found.rounds) == 2
    assert {one.texts: one.rows for one in found.lengths} == {
        "seed prompts": 10,
        "accepted prompts": 30,
        "accepted answers": 30,
    }
    [compared] = found.contamination
    assert (compared.against, compared.rows, compared.found) == (["exam"], 10, {"ngram_of_exam": 1})
    [prompts] = [one for one in found.diversity if one.texts == "prompts"]
    assert sum(prompts.openings.values()) <= prompts.sampled == 30


def test_the_rows_have_each_reason_and_lead_from_the_seed_to_the_verdicts(
    run: tuple[Path, list[Manifest]], rows: list[Example]
) -> None:
    there = Counter((one.stage, one.reason) for one in rows)
    funnel = {(one.label, reason): n for one in run[1] for reason, n in one.reasons.items()}
    assert {key: n for key, n in there.items() if key[1]} == funnel
    assert sum(n for (_, reason), n in there.items() if not reason) == 30
    whole = next(one for one in rows if not one.reason and len(one.steps) == 3)
    titles = [step.title.split(",")[0] for step in whole.steps]
    assert titles[0] == "read: jsonl"
    assert titles[1] in ("evolve: deepen", "evolve: persona")
    assert titles[2] == "distill: answer"
    seed, child, end = [step.text for step in whole.steps]
    assert child.startswith(seed)  # the fake teacher appends to a prompt
    assert child == whole.turns[-1][1] != seed
    assert end == ""
    assert {"length", "maths"} <= {name for name, *_ in whole.scores}


def test_the_sample_is_the_same_each_time_and_fits(
    run: tuple[Path, list[Manifest]], rows: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [asdict(one) for one in drawn(*run)] == [asdict(one) for one in rows]
    monkeypatch.setattr(examples, "MAX_BYTES", 20_000)
    few = drawn(*run)
    assert 15_000 < sum(one.bytes for one in few) <= 20_000
    assert {one.reason for one in few} == {one.reason for one in rows}
    monkeypatch.setattr(examples, "OF_EACH_REASON", 1)
    monkeypatch.setattr(examples, "ACCEPTED", 2)
    ids = [one.id for one in drawn(*run) if not one.reason]
    assert ids == sorted(one.id for one in rows if not one.reason)[:2]


def test_hostile_texts_never_become_markup(run: tuple[Path, list[Manifest]]) -> None:
    page = write_report(*run).read_text(encoding="utf-8")
    assert "<img" not in page
    assert page.count("</script>") == 4
    assert HOSTILE.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026") in page
    assert len(page) < 1_000_000


def test_run_json_has_the_figures_and_the_report_is_made_again_only_when_needed(
    run: tuple[Path, list[Manifest]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run[0]
    for name in (NAME, REPORT):
        (folder / name).unlink(missing_ok=True)
    assert main(["show", str(folder), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["measures"] is None
    assert main(["report", str(folder)]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[0].startswith(f"report:  {folder / REPORT} (0.")
    saved = RunSummary.model_validate_json((folder / NAME).read_bytes())
    assert (saved.state, saved.released, saved.seed) == ("finished", 30, 5)
    assert saved.measures == measured(*run)
    for one in saved.stages:
        assert one.rows_in + one.rows_made == one.rows_kept + one.rows_rejected
    assert saved.verdicts["release"].rows == 30
    assert main(["show", str(folder), "--json"]) == ExitCode.OK
    assert capsys.readouterr().out == (folder / NAME).read_text()
    made = (folder / NAME).stat().st_mtime_ns
    update_report(folder)
    assert (folder / NAME).stat().st_mtime_ns == made
    (folder / REPORT).unlink()
    update_report(folder)
    assert (folder / REPORT).is_file()
    assert main(["show", str(folder)]) == ExitCode.OK
    assert f"report:  {folder / REPORT}" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--check"], ["--rejected"], ["other"]])
def test_json_goes_with_nothing_else(
    run: tuple[Path, list[Manifest]], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(run[0]), *options, "--json"]) == ExitCode.INVALID
    assert "--json shows the figures of one run" in capsys.readouterr().err


def test_an_unfinished_run_and_one_without_rows_have_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"text": "one"}\n{"text": "two words"}')
    Path("mine.yaml").write_text(
        "name: mine\nstages: [{read: {web: in.jsonl}}, {quality: [length: {min_words: 3}]}, write]"
    )
    with pytest.raises(Exception, match="no row is left after quality"):
        api.run("mine.yaml", out=Path("run"))
    update_report(Path("run"))
    ended = RunSummary.model_validate_json(Path("run", NAME).read_bytes())
    assert (ended.state, ended.released, ended.tokens_in_per_released) == ("no_rows_left", 0, None)
    Path("run/01-quality/manifest.json").unlink()
    assert main(["report", "run"]) == ExitCode.OK
    begun = RunSummary.model_validate_json(Path("run", NAME).read_bytes())
    assert (begun.state, begun.measures and begun.measures.accepted) == ("unfinished", 2)
    Path("run/00-read/manifest.json").unlink()
    update_report(Path("run"))  # nothing to report yet
    assert main(["report", "run"]) == ExitCode.INVALID
    assert main(["show", "run", "--json"]) == ExitCode.INVALID
    assert "no stage of run is finished yet" in capsys.readouterr().err


def test_one_shard_after_the_other_is_read(
    run: tuple[Path, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts are read where they begin and end only, no file twice, and none without rows."""
    read: list[str] = []
    whole = passed.read_shard

    def noted(path: Path, columns: list[str] | None = None):
        assert columns is not None
        read.append(f"{path.parent.parent.name}/{path.parent.name}/{path.name}")
        texts = {"text", "context"} & set(columns)
        assert not texts or path.parent.parent.name in ("00-read", "06-verify")
        return whole(path, columns)

    monkeypatch.setattr(passed, "read_shard", noted)
    assert measured(*run).texts_every == 1
    filled = [
        file.rows
        for stage in run[1]
        for shard in stage.shards
        for file in ([] if stage.releases else [shard.kept]) + [shard.rejected]
        if file.rows
    ]
    assert len(set(read)) == len(read) == len(filled)


def test_texts_of_a_large_run_are_those_of_one_shard_in_several(
    run: tuple[Path, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured(*run)
    monkeypatch.setattr(passed, "MEASURED_TEXTS", max(one.rows_kept for one in run[1]) // 3)
    some = measured(*run)
    shown = {one.id for one in drawn(*run) if not one.reason}
    assert len(shown) == next(one.rows for one in some.lengths if one.texts == "accepted answers")
    seeds = [
        [one.rows for one in found.lengths if one.texts == "seed prompts"]
        for found in (whole, some)
    ]
    assert (whole.texts_every, some.texts_every) == (1, 3)
    assert seeds[1] < seeds[0]
    assert (some.accepted, some.operations, some.scores) == (
        whole.accepted,
        whole.operations,
        whole.scores,
    )


def test_it_makes_no_difference_how_many_shards_are_read_together(
    run: tuple[Path, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    together, rows = measured(*run), drawn(*run)
    assert len([*passed.passed_shards(*run, [])]) == len(run[1]) - 1
    monkeypatch.setattr(passed, "ROWS_AT_ONCE", 1)
    assert len([*passed.passed_shards(*run, [])]) > len(run[1])
    assert (measured(*run), drawn(*run)) == (together, rows)


def test_a_histogram_counts_every_value_and_keeps_the_tails() -> None:
    values = Values()
    values.add(np.array([*range(1, 1001), np.nan], float))
    values.add(np.array([1e6]), rejected=True)
    bins = values.bins()
    assert len(bins) == BINS
    assert sum(bar.kept for bar in bins) == 1000
    assert [bar.rejected for bar in bins] == [0] * (BINS - 1) + [1]
    quantiles = values.quantiles()
    assert quantiles is not None
    assert (quantiles.p5, quantiles.p50, quantiles.p95) == (51, 501, 951)
    assert bins[0].high / bins[0].low == pytest.approx(bins[9].high / bins[9].low)


def test_small_whole_numbers_have_a_bar_each() -> None:
    values = Values()
    values.add(np.array([0, 0, 2, 3], float))
    assert [bar.low for bar in values.bins()] == [-0.5, 0.5, 1.5, 2.5]
    assert [bar.kept for bar in values.bins()] == [2, 0, 1, 1]
    assert Values().bins() == []
    assert Values().quantiles() is None


def test_values_are_counted_to_three_digits_in_bounded_memory() -> None:
    values = Values()
    values.add(np.random.default_rng(0).random(200_000))
    assert len(values.kept) < 6_000
    assert values.both.total() == 200_000
    one = Values()
    one.add(np.array([-0.123456, 123_456.0, 0.30000000000000004]))
    assert sorted(one.kept) == [-0.123, 0.3, 123_000]


def test_report_works_from_a_thread(run: tuple[Path, list[Manifest]]) -> None:
    """As a flow calls it."""
    asyncio.run(asyncio.to_thread(update_report, run[0]))
    assert (run[0] / REPORT).is_file()
