"""Samples lead back to their seeds; a run's manifests are those of the stages that have ended."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.samples import run_manifests, sample_rows
from synth.engine.line import open_workshop, run_line
from synth.engine.stage import Stage
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.rewrite import Rewrite, Style
from synth.store import shards
from synth.store.write import Write
from tests.fake_teacher import asked_prompt, demand, scripted
from tests.lines import Given, plan

PROMPTS = tuple(f"Why is number {n} odd?" for n in range(10))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal does not wait for company, so that the tests do not either."""
    monkeypatch.setattr("synth.teacher.journal.COMMIT_AFTER_S", 0.01)


def say(body: dict[str, Any], _before: int) -> str:
    told = asked_prompt(body).removeprefix("<prompt>\n").removesuffix("\n</prompt>")
    if "<source>" in told:
        return "=== faq ===\nQ: Why? A: " + told.split("<source>\n")[1].split("\n")[0]
    return f"{told} {demand(body['seed'])}"


def run(folder: Path, *stages: Stage) -> None:
    async def work() -> None:
        async with (
            scripted(say) as teacher,
            open_workshop(plan(*stages, url=teacher.url), folder) as shop,
        ):
            await run_line(shop)

    asyncio.run(work())


def samples(folder: Path, rows: int) -> list[dict[str, str]]:
    return sample_rows(folder, run_manifests(folder), rows)


def test_an_answer_leads_back_over_its_prompt_to_its_seed(tmp_path: Path) -> None:
    line = (Given(prompts=PROMPTS), Evolve(rounds=2, keep="latest"), Distill(samples=2), Write())
    run(tmp_path, *line)
    told = samples(tmp_path, 5)
    assert len(told) == 5
    for row in told:
        assert row["seed"] in PROMPTS
        assert row["prompt"].startswith(row["seed"])
        assert row["prompt"] != row["seed"]
        assert row["result"].startswith(row["prompt"])
        assert [line.split(":")[0] for line in row["how"].splitlines()] == [
            "evolve",
            "evolve",
            "distill",
        ]


def test_a_rewrite_leads_back_to_its_document(tmp_path: Path) -> None:
    run(tmp_path, Given(texts=("A page.", "Another.")), Rewrite(styles=(Style.FAQ,)), Write())
    assert samples(tmp_path, 2) == [
        {"seed": text, "result": f"Q: Why? A: {text}", "how": "rewrite: faq/college"}
        for text in ("A page.", "Another.")
    ]


def test_what_did_not_change_is_shown_once(tmp_path: Path) -> None:
    run(tmp_path / "a", Given(prompts=PROMPTS), Write())
    assert samples(tmp_path / "a", 1) == [{"seed": PROMPTS[5], "how": ""}]
    run(tmp_path / "b", Given(texts=("A page.",)))
    assert samples(tmp_path / "b", 1) == [{"seed": "A page.", "how": ""}]


def test_verdicts_are_told_and_mere_keeps_are_not(tmp_path: Path) -> None:
    from filters.quality.stage import Quality
    from filters.verify.stage import Verify

    quality = Quality.model_validate(["length"])
    run(tmp_path, Given(prompts=PROMPTS), Distill(), quality, Verify.model_validate(["maths"]))
    assert samples(tmp_path, 1)[0]["how"] == "distill: answer\nmaths: unverified"


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
    monkeypatch.setattr(shards, "read_shard", lambda path: opened.append(path) or whole(path))
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
