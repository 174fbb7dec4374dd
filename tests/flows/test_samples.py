"""Samples are traced to their seeds; a run's manifests are those of its finished stages."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.evolved import evolved_in_words, tried_operations
from flows.samples import sample_rows
from flows.terminal import print_operations
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.operations import Checkable, Operation
from synth.generate.rewrite import Rewrite
from synth.generate.styles import Style
from synth.release.write import Write
from synth.store import shards
from synth.store.manifest import run_manifests
from tests.fake_teacher import asked_prompt, demand, scripted
from tests.lines import Given, plan

PROMPTS = tuple(f"Why is number {n} odd?" for n in range(10))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits journal entries at once, so that the tests run fast."""
    monkeypatch.setattr("synth.teacher.journal.COMMIT_AFTER_S", 0.01)


def say(body: dict[str, Any], _before: int) -> str:
    prompt = asked_prompt(body).removeprefix("<prompt>\n").removesuffix("\n</prompt>\nNew prompt:")
    if "<source>" in prompt:
        return "=== faq ===\nQ: Why? A: " + prompt.split("<source>\n")[1].split("\n")[0]
    return f"{prompt} {demand(body['seed'])}"


def run(folder: Path, *stages: Stage) -> None:
    async def work() -> None:
        async with (
            scripted(say) as teacher,
            open_runner(plan(*stages, url=teacher.url), folder) as runner,
        ):
            await run_stages(runner)

    asyncio.run(work())


def samples(folder: Path, rows: int) -> list[dict[str, str]]:
    found = sample_rows(folder, run_manifests(folder), rows)
    assert all(len(row.pop("id")) == 32 for row in found)
    return found


def test_an_answer_leads_back_over_its_prompt_to_its_seed(tmp_path: Path) -> None:
    line = (Given(prompts=PROMPTS), Evolve(rounds=2, keep="latest"), Distill(samples=2), Write())
    run(tmp_path, *line)
    shown = samples(tmp_path, 5)
    assert len(shown) == 5
    for row in shown:
        assert row["seed"] in PROMPTS
        assert row["prompt"].startswith(row["seed"])
        assert row["prompt"] != row["seed"]
        assert row["result"].startswith(row["prompt"])
        assert [line.split(":")[0] for line in row["how"].split(", ")] == [
            "evolve",
            "evolve",
            "distill",
        ]


def test_a_rewrite_leads_back_to_its_document(tmp_path: Path) -> None:
    run(tmp_path, Given(texts=("A page.", "Another.")), Rewrite(styles=(Style.FAQ,)), Write())
    assert samples(tmp_path, 2) == [
        {"seed": text, "result": f"Q: Why? A: {text}", "how": "rewrite: faq/college", "checks": ""}
        for text in ("A page.", "Another.")
    ]


def test_what_did_not_change_is_shown_once(tmp_path: Path) -> None:
    run(tmp_path / "a", Given(prompts=PROMPTS), Write())
    assert samples(tmp_path / "a", 1) == [{"seed": PROMPTS[5], "how": "", "checks": ""}]
    run(tmp_path / "b", Given(texts=("A page.",)))
    assert samples(tmp_path / "b", 1) == [{"seed": "A page.", "how": "", "checks": ""}]


def test_a_sample_has_the_verdicts_that_apply_to_it(tmp_path: Path) -> None:
    from filters.quality.stage import Quality
    from filters.verify.stage import Verify

    quality = Quality.model_validate(["length"])
    verify = Verify.model_validate({"checks": ["maths", "instructions"], "reject": []})
    run(tmp_path, Given(prompts=PROMPTS, answer="7"), Distill(), quality, verify)
    [sample] = samples(tmp_path, 1)
    assert sample["how"] == "distill: answer"
    assert sample["checks"] == "maths: unreadable"  # the instructions do not apply


def test_a_release_records_the_thresholds_beside_the_scores(tmp_path: Path) -> None:
    from filters.quality.stage import Quality
    from synth.store.manifest import load_manifest

    quality = Quality.model_validate(["refusal"])
    run(tmp_path, Given(prompts=PROMPTS), Distill(), quality, Write())
    manifest = load_manifest(tmp_path / "release/manifest.json")
    assert manifest is not None
    settings = {"filters": [{"refusal": {"threshold": 0.4}}], "spare": {}}
    assert manifest.scored_by == {"02-quality": settings}


@pytest.mark.parametrize(
    ("rows", "seeds"),
    [(1, [5]), (2, [2, 7]), (3, [1, 5, 8]), (10, [*range(10)]), (99, [*range(10)])],
)
def test_samples_are_spread_evenly_over_the_run(
    tmp_path: Path, rows: int, seeds: list[int]
) -> None:
    run(tmp_path, Given(prompts=PROMPTS))
    assert [row["seed"] for row in samples(tmp_path, rows)] == [PROMPTS[n] for n in seeds]


@pytest.mark.parametrize("rows", [0, -1])
def test_no_samples_are_asked_for(tmp_path: Path, rows: int) -> None:
    run(tmp_path, Given(prompts=PROMPTS))
    assert samples(tmp_path, rows) == []
    assert sample_rows(tmp_path, [], 3) == []


def test_only_the_shards_of_the_samples_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Given(prompts=PROMPTS * 4))
    opened = []
    whole = shards.read_shard
    monkeypatch.setattr("flows.samples.read_shard", lambda path: opened.append(path) or whole(path))
    assert len(samples(tmp_path, 2)) == 2
    assert len(set(opened)) == 2


def test_an_unfinished_run_has_the_manifests_up_to_where_it_is(tmp_path: Path) -> None:
    run(tmp_path, Given(prompts=PROMPTS), Distill(), Write())
    assert [m.stage for m in run_manifests(tmp_path)] == ["read", "distill", "write"]
    (tmp_path / "01-distill/manifest.json").unlink()
    assert [m.stage for m in run_manifests(tmp_path)] == ["read"]
    shutil.rmtree(tmp_path / "00-read")
    assert run_manifests(tmp_path) == []


def test_stages_of_an_earlier_recipe_are_not_shown(tmp_path: Path) -> None:
    run(tmp_path, Given(prompts=PROMPTS), Evolve(), Distill(), Write())
    run(tmp_path, Given(prompts=PROMPTS), Distill(), Write())
    assert [m.stage for m in run_manifests(tmp_path)] == ["read", "distill", "write"]
    assert samples(tmp_path, 1)[0]["how"] == "distill: answer"


def test_evolved_rows_and_unchanged_seeds_are_counted_separately(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (Given(prompts=PROMPTS), Evolve(rounds=2), Distill(samples=2), Write())
    run(tmp_path, *line)
    counts = "60 rows: 40 evolved, 20 seeds as they came"
    print_operations(tmp_path, run_manifests(tmp_path))
    assert counts in capsys.readouterr().out
    assert f"{counts}." in (tmp_path / "release/README.md").read_text()


def test_a_run_without_evolve_does_not_mention_evolved_rows(tmp_path: Path) -> None:
    run(tmp_path, Given(prompts=PROMPTS), Distill(), Write())
    assert evolved_in_words(tmp_path, run_manifests(tmp_path)) is None
    assert "evolved" not in (tmp_path / "release/README.md").read_text()


def test_attached_constraints_count_as_rows_and_not_as_attempts(
    tmp_path: Path,
) -> None:
    attach = Checkable(by="program")
    evolve = Evolve(operations=(Operation.CHECKABLE,), checkable=attach, keep="latest")
    run(tmp_path, Given(prompts=PROMPTS), evolve, Write())
    manifests = run_manifests(tmp_path)
    assert manifests[1].tried == 0
    assert evolved_in_words(tmp_path, manifests) == "10 rows: 10 evolved, 0 seeds as they came"
    assert set(tried_operations(tmp_path, manifests[1])) == {"checkable"}
