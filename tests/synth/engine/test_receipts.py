"""What makes finished work stale, and what does not."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from filters.dedup.minhash import MinHash
from filters.dedup.stage import Dedup
from filters.quality.refusal import Refusal
from filters.quality.stage import Quality
from filters.verify.maths.verifier import Maths
from filters.verify.stage import Verify
from seeds import clean
from seeds.read import Read
from synth.engine.plan import Plan
from synth.engine.receipts import Receipts
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.operations import Operation
from synth.generate.rewrite import Rewrite
from synth.generate.styles import Style
from synth.generate.template import Template
from synth.kind import Kind
from synth.model import Model
from synth.release.write import Write
from synth.store.manifest import Manifest, ShardFile, ShardReceipt, load_manifest
from synth.teacher.config import TeacherConfig
from synth.teacher.protocol import Identity, Sampling
from tests.fake_teacher import scripted
from tests.lines import Given, plan, shard_bytes

TEACHER = Identity("qwen", "v1")
PROMPTS = tuple(f"What is {n}?" for n in range(10))
LINE = (Given(prompts=PROMPTS), Evolve(rounds=2), Dedup.model_validate({"exact": {}}), Distill())


def before(*hashes: str) -> Manifest:
    """The manifest of a stage that left these shards."""
    shards = [
        ShardReceipt(
            shard=n,
            fingerprint="",
            rows_in=1,
            rows_made=0,
            kept=ShardFile(path=f"kept/{n:05d}.parquet", rows=1, bytes=1, sha256=one),
            rejected=ShardFile(path=f"rejected/{n:05d}.parquet", rows=0, bytes=1, sha256=""),
            reasons={},
        )
        for n, one in enumerate(hashes)
    ]
    about: dict[str, Any] = {"fingerprint": "", "settings": {}, "code": "", "seed": 7}
    return Manifest(stage="x", index=0, kind="prompts", shards=shards, **about)


def fingerprints(
    made: Plan, teacher: Identity | None = TEACHER, given: Manifest | None = None
) -> list[str]:
    """Of each stage of the plan, the first without an input."""
    receipts = Receipts(made, Path("run"), {"": teacher} if teacher else {})
    given = given or before("a", "b")
    return [receipts.fingerprint(n, given if n else None) for n in range(len(made.stages))]


def stale(one: list[str], other: list[str]) -> list[int]:
    """Which stages the change makes stale by themselves, their input being the same."""
    return [n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]


BASE = plan(*LINE)


@pytest.mark.parametrize(
    ("changed", "which"),
    [
        (plan(*LINE[:3], Distill(samples=2)), [3]),
        (plan(*LINE[:3], Distill(sampling=Sampling(temperature=0.1))), [3]),
        (plan(LINE[0], Evolve(rounds=3), *LINE[2:]), [1]),
        (plan(LINE[0], LINE[1], Dedup.model_validate({"minhash": {}}), LINE[3]), [2]),
        (plan(Given(prompts=PROMPTS[1:]), *LINE[1:]), [0]),
        (replace(BASE, seed=8), [0, 1, 2, 3]),
        (replace(BASE, shard_rows=5), [0]),
    ],
)
def test_a_changed_setting_makes_its_own_stage_stale(changed: Plan, which: list[int]) -> None:
    assert stale(fingerprints(BASE), fingerprints(changed)) == which


@pytest.mark.parametrize("teacher", [Identity("llama", "v1"), Identity("qwen", "v2")])
def test_another_teacher_makes_those_stale_that_ask_it(teacher: Identity) -> None:
    assert stale(fingerprints(BASE), fingerprints(BASE, teacher)) == [1, 3]


def test_another_input_makes_a_stage_stale() -> None:
    assert stale(fingerprints(BASE), fingerprints(BASE, given=before("a", "c"))) == [1, 2, 3]
    assert stale(fingerprints(BASE), fingerprints(BASE, given=before("a"))) == [1, 2, 3]
    assert stale(fingerprints(BASE), fingerprints(BASE, given=before("b", "a"))) == [1, 2, 3]


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, teacher=TeacherConfig(url="http://gpu-2:8000/v1", concurrency=7)),
        replace(BASE, name="other"),
        replace(BASE, recipe={"description": "other"}),
    ],
)
def test_address_name_and_words_make_nothing_stale(changed: Plan) -> None:
    assert fingerprints(changed) == fingerprints(BASE)


def test_stages_behind_it_do_not_count() -> None:
    longer = fingerprints(plan(*LINE, Dedup.model_validate({"fuzzy": {}})))
    assert longer[: len(LINE)] == fingerprints(BASE)


def test_what_the_records_are_counts() -> None:
    quality: tuple[Stage, ...] = (Dedup.model_validate({"exact": {}}),)
    one = fingerprints(plan(Given(prompts=("a",)), *quality))
    other = fingerprints(plan(Given(texts=("a",)), *quality))
    assert stale(one, other) == [0, 1]


@pytest.mark.parametrize(
    ("module", "stage", "first"),
    [
        ("evolve", Evolve(operations=(Operation.REASON,)), Given(prompts=("a",))),
        ("styles", Rewrite(styles=(Style.FAQ,)), Given(texts=("a",))),
    ],
)
def test_an_edited_prompt_file_makes_its_stage_stale(
    monkeypatch: pytest.MonkeyPatch, module: str, stage: Stage, first: Given
) -> None:
    made = plan(first, stage)
    was = fingerprints(made)
    edited = Template("", "", "edited")
    monkeypatch.setattr(f"synth.generate.{module}.shipped", lambda _name: edited)
    assert stale(was, fingerprints(made)) == [1]


def test_a_comment_in_the_code_makes_nothing_stale(tmp_path: Path) -> None:
    path = tmp_path / "edited_clean.py"
    path.write_text("# a comment\n" + Path(clean.__file__).read_text())
    spec = spec_from_file_location("edited_clean", path)
    assert spec is not None
    assert spec.loader is not None
    edited = module_from_spec(spec)
    spec.loader.exec_module(edited)
    first = Given(texts=("a",))
    assert fingerprints(plan(first, edited.Clean())) == fingerprints(plan(first, clean.Clean()))


def test_a_raised_version_makes_its_stage_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    was = fingerprints(BASE)
    monkeypatch.setattr(Distill, "version", 2)
    assert stale(was, fingerprints(BASE)) == [3]


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        (Refusal, Quality.model_validate([{"length": {}}, "refusal"])),
        (Maths, Verify.model_validate(["maths"])),
        (MinHash, Dedup.model_validate({"exact": {}, "minhash": {}})),
    ],
)
def test_a_raised_version_of_a_part_makes_its_stage_stale(
    monkeypatch: pytest.MonkeyPatch, part: type[Model], stage: Stage
) -> None:
    made = plan(Given(prompts=("a",)), stage, Dedup.model_validate({"exact": {}}))
    was = fingerprints(made)
    monkeypatch.setattr(part, "version", part.version + 1)  # type: ignore[attr-defined]
    assert stale(was, fingerprints(made)) == [1]


def read(path: Path, content: str, **settings: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return fingerprints(plan(Read(prompts=(path,), **settings)))[0]


def test_where_an_input_lies_and_when_it_was_written_do_not_count(tmp_path: Path) -> None:
    here = read(tmp_path / "here/p.jsonl", '{"prompt": "a"}\n')
    there = read(tmp_path / "on/another/disk/p.jsonl", '{"prompt": "a"}\n')
    assert here == there
    os.utime(tmp_path / "here/p.jsonl", (1, 1))
    assert read(tmp_path / "here/p.jsonl", '{"prompt": "a"}\n') == here


def test_an_inputs_content_name_and_reading_count(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    told = [
        read(path, '{"prompt": "a"}\n'),
        read(path, '{"prompt": "b"}\n'),
        read(tmp_path / "q.jsonl", '{"prompt": "a"}\n'),
        read(path, '{"prompt": "a"}\n', limit=1),
        read(path, '{"prompt": "a"}\n', columns={"prompt": "prompt"}),
    ]
    assert len(set(told)) == len(told)


def test_a_shard_depends_on_its_own_input_and_a_corpus_stage_on_all() -> None:
    receipts = Receipts(BASE, Path("run"), {"": TEACHER})
    one, other = before("a", "b"), before("a", "c")

    def changed(index: int) -> list[int]:
        prints = ([receipts.shard_fingerprint(index, n, m) for n in (0, 1)] for m in (one, other))
        return stale(*prints)

    assert changed(3) == [1]
    assert changed(2) == [0, 1]


def run(made: Plan, folder: Path) -> list[Manifest]:
    async def work() -> list[Manifest]:
        async with open_runner(made, folder) as runner:
            return await run_stages(runner)

    return asyncio.run(work())


SHORT = (Given(prompts=PROMPTS), Dedup.model_validate({"exact": {}}), Write())


def test_each_manifest_is_read_at_most_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read once a shard, 10,000 shards cost 2,300 CPU seconds a stage."""
    read: Counter[Path] = Counter()

    def counted(path: Path) -> Manifest | None:
        read[path] += 1
        return load_manifest(path)

    made = plan(Given(prompts=PROMPTS), Dedup.model_validate({"exact": {}}), shard_rows=2)

    async def work() -> None:
        async with open_runner(made, tmp_path) as runner:
            await run_stages(runner)

    monkeypatch.setattr("synth.engine.receipts.load_manifest", counted)
    asyncio.run(work())
    assert read.pop(tmp_path / "00-read/manifest.json") == 2  # its date outlives a new manifest
    assert max(read.values()) == 1
    assert len(load_manifest(tmp_path / "01-dedup/manifest.json").shards) == 5


def test_a_run_folder_may_move(tmp_path: Path) -> None:
    run(plan(*SHORT), tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("[!.]*.*")}
    run(plan(*SHORT), tmp_path / "b")
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("[!.]*.*")}


def test_a_shorter_run_leaves_no_shards_of_the_longer_one(tmp_path: Path) -> None:
    run(plan(*SHORT), tmp_path)
    (tmp_path / "01-dedup/kept/.00000.parquet.4711.tmp").write_bytes(b"of a killed run")
    (tmp_path / "01-dedup/kept/notes of mine.txt").write_bytes(b"by hand")
    run(plan(Given(prompts=PROMPTS[:5]), *SHORT[1:]), tmp_path)
    for part, suffix in (("kept", "parquet"), ("rejected", "parquet"), ("receipts", "json")):
        for stage in ("00-read", "01-dedup"):
            there = sorted(path.name for path in (tmp_path / stage / part).glob("*"))
            wanted = [f"{n:05d}.{suffix}" for n in (0, 1)]
            assert there == wanted + ["notes of mine.txt"] * (stage[1:] + part == "1-dedupkept")


def test_a_stage_of_an_earlier_recipe_no_longer_counts_as_finished(tmp_path: Path) -> None:
    run(plan(*SHORT), tmp_path)
    run(plan(SHORT[0], SHORT[2]), tmp_path)
    assert {path.parent.name for path in tmp_path.glob("*/manifest.json")} == {
        "00-read",
        "01-write",
        "release",
    }
    kept = shard_bytes(tmp_path / "01-dedup")
    assert kept
    run(plan(*SHORT), tmp_path)
    assert shard_bytes(tmp_path / "01-dedup") == kept
    assert (tmp_path / "02-write/manifest.json").exists()


def test_a_manifest_names_the_teacher_only_where_one_was_asked(tmp_path: Path) -> None:
    async def work() -> list[Manifest]:
        async with scripted(lambda _body, _before: "Yes.") as server:
            made = plan(Given(prompts=PROMPTS), Distill(), Write(), url=server.url)
            async with open_runner(made, tmp_path) as runner:
                return await run_stages(runner)

    told = [manifest.teacher and manifest.teacher.model for manifest in asyncio.run(work())]
    assert told == [None, "scripted", None]
    released = load_manifest(tmp_path / "release/manifest.json")
    assert released is not None
    assert released.teacher is not None
    assert released.teacher.model == "scripted"


def test_the_words_of_a_recipe_are_written_anew_and_nothing_else_is(tmp_path: Path) -> None:
    run(plan(*SHORT), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("0[01]*/**/*.*")}
    data = shard_bytes(tmp_path / "release")
    run(replace(plan(*SHORT), recipe={"description": "In other words."}), tmp_path)
    assert "In other words." in (tmp_path / "release/README.md").read_text()
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("0[01]*/**/*.*")}
    assert shard_bytes(tmp_path / "release") == data


def test_a_manifest_says_what_it_rests_on(tmp_path: Path) -> None:
    run(plan(*SHORT), tmp_path)
    manifest = load_manifest(tmp_path / "01-dedup/manifest.json")
    assert manifest is not None
    assert (manifest.stage, manifest.index, manifest.kind) == ("dedup", 1, Kind.PROMPTS)
    assert (manifest.seed, manifest.recipe, manifest.teacher) == (7, "test", None)
    assert manifest.settings == {"exact": {}}
