"""CPU time of a release with its card and report, compared with a bare write of the same tables.

The rows are answers of 600 to 1,500 characters with trails and scores, as `read`, `distill` and
`quality` leave them. The peer writes the released tables once more with pyarrow, with the same
settings and one file at a time. Memory must not depend on the rows: `--rows 1000000` takes some
minutes and 4 GB of disk.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import drawn
from benchmarks.processes import elsewhere
from benchmarks.report import options, result, table
from flows.report.command import write_report
from synth.engine.plan import StageFolder
from synth.engine.stage import Delivery
from synth.kind import Kind
from synth.record import EMPTY_STEP, RECORD, SCORE, STEP, add_scores, append_to_lists, rejects
from synth.release.write import Write
from synth.store.manifest import Manifest, ShardReceipt, TeacherRecord, load_manifest, save
from synth.store.shards import ROW_GROUP_ROWS, write_shard

SHARD_ROWS = 1_000  # as recipes have it
TEACHER = TeacherRecord(model="Qwen/Qwen3-8B", revision="b968826d9c46dd6066d109eabc6255188de91218")
PROMPT_WORDS, ANSWER_WORDS = (15, 60), (110, 270)
REJECTED = 0.05
SCORES = ("length", "gopher", "repetition", "refusal", "language")
STAGES = (("read", Kind.PROMPTS), ("distill", Kind.ANSWERS), ("quality", Kind.ANSWERS))
GOAL_RATIO, GOAL_MB, GOAL_PAGE_MB = 2.5, 1_500, 5
PQ_SETTINGS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "write_page_checksum": True,
    "use_content_defined_chunking": True,
    "write_page_index": True,
}
"""As `synth.store.shards` writes released files."""


def texts(rng: np.random.Generator, count: int, words: tuple[int, int]) -> list[str]:
    """Texts of this many words."""
    sizes = rng.integers(*words, count)
    pool = iter(drawn(rng, int(sizes.sum())))
    return [" ".join(next(pool) for _ in range(size)) for size in sizes.tolist()]


def ids(*parts: object, count: int) -> list[str]:
    """This many ids, as long as those of records."""
    return [hashlib.sha256(repr((*parts, n)).encode()).hexdigest()[:32] for n in range(count)]


def prompts(rng: np.random.Generator, shard: int, count: int) -> pa.Table:
    """Records as `read` makes them."""
    turns = [
        [{"role": "user", "content": text[:1].upper() + text[1:] + "?"}]
        for text in texts(rng, count, PROMPT_WORDS)
    ]
    read = {**EMPTY_STEP, "stage": "read", "operation": "jsonl"}
    known = {
        "id": ids("read", shard, count=count),
        "context": turns,
        "text": [""] * count,
        "meta": [
            f'{{"kind":"{("maths", "code", "prose")[n % 3]}","page":{n}}}' for n in range(count)
        ],
        "trail": [[{**read, "parent": f"prompts.jsonl#{shard * count + n}"}] for n in range(count)],
        "scores": [[]] * count,
    }
    columns = [
        pa.array(known[field.name], field.type)
        if field.name in known
        else pa.nulls(count, field.type)
        for field in RECORD
    ]
    return pa.Table.from_arrays(columns, schema=RECORD)


def answered(rng: np.random.Generator, shard: int, table: pa.Table) -> pa.Table:
    """The prompts with answers, as `distill` makes them."""
    count = len(table)
    steps = [
        {
            **EMPTY_STEP,
            "stage": "distill",
            "operation": "answer",
            "parent": parent,
            "template": "3f9a21c0b7de5a14",
            "request": request,
            "model": TEACHER.model,
            "revision": TEACHER.revision,
            "finish_reason": "stop",
            "tokens_in": 60,
            "tokens_out": tokens,
        }
        for parent, request, tokens in zip(
            table["id"].to_pylist(),
            ids("request", shard, count=count),
            rng.integers(150, 400, count).tolist(),
            strict=True,
        )
    ]
    new = {
        "id": pa.array(ids("distill", shard, count=count)),
        "text": pa.array(texts(rng, count, ANSWER_WORDS)),
        "trail": append_to_lists(table["trail"], pa.array(steps, STEP)),
    }
    for name, column in new.items():
        table = table.set_column(RECORD.get_field_index(name), RECORD.field(name), column)
    return table.combine_chunks()


def scored(rng: np.random.Generator, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The answers with scores, as `quality` keeps and rejects them."""
    count = len(table) * len(SCORES)
    names = pa.array(list(SCORES) * len(table))
    fields = [
        names,
        pa.array(["keep"] * count),
        pa.array(rng.random(count)),
        pa.array([""] * count),
    ]
    items = pa.StructArray.from_arrays(fields, fields=list(SCORE))
    whole = add_scores(table, items, np.full(len(table), len(SCORES))).combine_chunks()
    out = rng.random(len(whole)) < REJECTED
    gone = whole.filter(pa.array(out))
    reasons = [("too_few_words", "refusal", "repeated_lines")[n % 3] for n in range(len(gone))]
    return whole.filter(pa.array(~out)), rejects(gone, reason=reasons, by="quality")


def made(folder: str, rows: int) -> dict[str, Any]:
    """Writes a run folder up to `quality`, each stage with its shards and its manifest."""
    rng, run = np.random.default_rng(0), Path(folder)
    receipts: list[list[ShardReceipt]] = [[] for _ in STAGES]
    none = rejects(RECORD.empty_table(), reason=[], by="")
    for shard in range(-(-rows // SHARD_ROWS)):
        count = min(SHARD_ROWS, rows - shard * SHARD_ROWS)
        read = prompts(rng, shard, count)
        answers = answered(rng, shard, read)
        parts = [(read, none), (answers, none), scored(rng, answers)]
        for index, (kept, gone) in enumerate(parts):
            path, tokens = f"{shard:05d}.parquet", answers["trail"].combine_chunks().flatten()
            asked = index == 1
            at = StageFolder.of(run, index, STAGES[index][0]).path
            counts = gone["reason"].value_counts().to_pylist()
            receipts[index].append(
                ShardReceipt(
                    shard=shard,
                    fingerprint="",
                    rows_in=0 if index == 0 else count,
                    rows_made=count if index == 0 else 0,
                    kept=write_shard(at, f"kept/{path}", [kept], kept.schema),
                    rejected=write_shard(at, f"rejected/{path}", [gone], gone.schema),
                    reasons={one["values"]: one["counts"] for one in counts},
                    requests=count if asked else 0,
                    tokens_in=sum(tokens.field("tokens_in").to_pylist()) if asked else 0,
                    tokens_out=sum(tokens.field("tokens_out").to_pylist()) if asked else 0,
                )
            )
    for index, (name, kind) in enumerate(STAGES):
        seal(run, index, name, kind, receipts[index])
    return {}


def seal(run: Path, index: int, name: str, kind: Kind, shards: list[ShardReceipt]) -> None:
    """Writes a stage's manifest."""
    manifest = Manifest(
        stage=name,
        index=index,
        fingerprint="",
        settings={},
        kind=kind,
        code="0",
        seed=7,
        recipe="benchmark",
        began_on="2026-01-01",
        teacher=TEACHER if name == "distill" else None,
        shards=shards,
    )
    save(manifest, StageFolder.of(run, index, name).manifest)


def manifests(run: Path) -> list[Manifest]:
    """The manifests of the stages, in order."""
    found = (load_manifest(path) for path in sorted(run.glob("[0-9]*/manifest.json")))
    return [one for one in found if one is not None]


def released(folder: str) -> dict[str, Any]:
    """Writes the release, with its card and `croissant.json`."""
    run = Path(folder)
    history = manifests(run)
    last = StageFolder.of(run, 2, "quality").path
    at = StageFolder.of(run, 3, Write.name).path
    at.mkdir()
    recipe = {"name": "benchmark", "stages": [name for name, _ in STAGES]}
    shards = [last / shard.kept.path for shard in history[-1].shards]
    began = time.monotonic()
    receipts = Write().deliver(
        Delivery(run, at, shards, history, "", "benchmark", recipe, 7, Kind.ANSWERS, [], print)
    )
    seconds = time.monotonic() - began
    seal(run, 3, Write.name, Kind.RELEASE, receipts)
    return {"seconds": seconds}


def reported(folder: str) -> dict[str, Any]:
    """Writes the report."""
    run = Path(folder)
    began = time.monotonic()
    page = write_report(run, manifests(run))
    return {"seconds": time.monotonic() - began, "page_mb": page.stat().st_size / 1e6}


def bare(folder: str) -> dict[str, Any]:
    """Writes the tables of the release with pyarrow; reading them is not counted."""
    cpu_s = seconds = 0.0
    rows = size = 0
    for path in sorted(Path(folder, "release").glob("*/*.parquet")):
        tables = groups(path)
        schema = next(tables).schema
        target = Path(folder, "bare.parquet")
        began, started = time.monotonic(), time.process_time()
        with pq.ParquetWriter(target, schema, **PQ_SETTINGS) as writer:
            cpu_s, seconds = (
                cpu_s + time.process_time() - started,
                seconds + time.monotonic() - began,
            )
            for one in groups(path):
                began, started = time.monotonic(), time.process_time()
                writer.write_table(one, row_group_size=ROW_GROUP_ROWS)
                cpu_s += time.process_time() - started
                seconds += time.monotonic() - began
                rows += len(one) * (path.parent.name == "data")
        size += target.stat().st_size
        target.unlink()
    return {"cpu_s": cpu_s, "seconds": seconds, "rows": rows, "mb": size / 1e6}


def groups(path: Path) -> Iterator[pa.Table]:
    """The row groups of a file."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number).combine_chunks()


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, rows=100_000)
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        elsewhere("benchmarks.publish:made", folder=run, rows=given.rows)
        release = elsewhere("benchmarks.publish:released", folder=run)
        report = elsewhere("benchmarks.publish:reported", folder=run)
        peer = elsewhere("benchmarks.publish:bare", folder=run)
    steps = {"release and card": release, "report": report, "bare pyarrow": peer}
    table(
        ["step", "CPU s", "seconds", "MB at the peak"],
        [
            [name, f"{one['cpu_s']:.1f}", f"{one['seconds']:.1f}", f"{one['peak_mb']:,.0f}"]
            for name, one in steps.items()
        ],
    )
    print(f"\n{peer['rows']:,} released rows, {peer['mb']:,.0f} MB of Parquet")
    result(
        "publish",
        release["cpu_s"] + report["cpu_s"],
        f"CPU s for release and report, {given.rows:,} rows",
        ("bare pyarrow", peer["cpu_s"]),
        GOAL_RATIO * peer["cpu_s"],
        "lower",
        release_s=release["cpu_s"],
        report_s=report["cpu_s"],
    )
    peak = max(release["peak_mb"], report["peak_mb"])
    unit = f"MB at the peak, {given.rows:,} rows"
    result("publish", peak, unit, ("limit for 1,000,000 rows", float(GOAL_MB)), GOAL_MB, "lower")
    unit = "MB of report.html"
    result(
        "publish", report["page_mb"], unit, ("limit", float(GOAL_PAGE_MB)), GOAL_PAGE_MB, "lower"
    )


if __name__ == "__main__":
    main()
