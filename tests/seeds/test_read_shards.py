"""Shards: their size, their order, the limit, and memory that does not grow with the input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seeds.read import Read

ROOT = Path(__file__).parents[2]
PEAK = """
import sys
from pathlib import Path
from seeds.read import Read
for path in sys.argv[1:]:
    rows = sum(len(o.kept) + len(o.rejected) for o in Read(prompts=path).shards(2000))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's too
    print(rows, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def lines(count: int, bad_every: int = 0) -> str:
    return "".join(
        "oops\n" if bad_every and i % bad_every == 1 else json.dumps({"prompt": f"p{i}"}) + "\n"
        for i in range(count)
    )


def test_shards_hold_exactly_the_rows_asked_for(write, read):
    paths = [write("a.jsonl", lines(25, bad_every=4)), write("b.jsonl", lines(7))]
    sizes = [len(o.kept) + len(o.rejected) for o in read(rows=10, prompts=paths).outcomes]
    assert sizes == [10, 10, 10, 2]


def test_last_shard_is_not_empty(write, read):
    assert len(read(rows=10, prompts=write("a.jsonl", lines(20))).outcomes) == 2


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (10, 10), (11, 11), (99, 32)])
def test_limit_counts_kept_and_set_aside(write, read, limit, rows):
    paths = [write("a.jsonl", lines(25, bad_every=4)), write("b.jsonl", lines(7))]
    result = read(rows=10, prompts=paths, limit=limit)
    assert len(result.kept) + len(result.rejected) == rows


TOOL = {"type": "function", "function": {"name": "f", "description": "x" * 400}}


@pytest.mark.parametrize(
    "long",
    [
        {"prompt": "x" * 400},
        {"answer": "x" * 400},
        {"tests": "x" * 400},
        {"tools": [TOOL]},
        {"response": "x" * 400},
        {"response": "ok", "reasoning": "x" * 400},
        {"response": "ok", "rejected": "x" * 400},
        {"anything": "x" * 400},
    ],
    ids=lambda long: list(long)[-1],
)
def test_shard_ends_early_where_its_text_would_fill_memory(write, monkeypatch, long):
    monkeypatch.setattr("synth.engine.numbering.SHARD_BYTES", 1000)
    monkeypatch.setattr("seeds.assemble.TABLE_BYTES", 1000)
    path = write("a.jsonl", (json.dumps({"prompt": "Why?", **long}) + "\n") * 7)
    source = Read(answers=path) if "response" in long else Read(prompts=path)
    assert [len(o.kept) for o in source.shards(100)] == [3, 3, 1]
    [part] = source.input_parts()
    assert [len(table) for table in part.tables()] == [3, 3, 1]


def test_reading_twice_gives_the_same_tables(write):
    path = write("a.jsonl", lines(500, bad_every=7))
    first, second = (list(Read(prompts=path).shards(64)) for _ in range(2))
    assert first == second


def test_same_rows_have_the_same_ids_in_every_format(write, read, tmp_path):
    rows = [{"prompt": f"What is {i}?", "answer": f"{i}", "kind": "maths, too"} for i in range(300)]
    same = tmp_path / "same"
    ids = set()
    contents = {
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "csv": b"prompt,answer,kind\n"
        + b"".join(f'{r["prompt"]},{r["answer"]},"{r["kind"]}"\n'.encode() for r in rows),
    }
    pq.write_table(pa.Table.from_pylist(rows), same)
    contents["parquet"] = same.read_bytes()
    with pa.ipc.new_stream(str(same), pa.Table.from_pylist(rows).schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows))
    contents["arrow"] = same.read_bytes()
    for name, content in contents.items():
        same.write_bytes(content)
        ids.add(tuple(row["id"] for row in read(prompts=same, format=name).kept))
    assert len(ids) == 1
    assert len(ids.pop()) == 300


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="a process's peak memory is read from /proc"
)


def peaks(*paths: Path) -> list[tuple[int, int]]:
    """Rows read from each, and the megabytes that a fresh process has needed at most by then."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


@needs_proc
def test_memory_does_not_grow_with_the_input(write):
    row = json.dumps({"prompt": "What is six times seven? " * 12, "kind": "maths"}) + "\n"
    few, many = write("few.jsonl", row * 4_000), write("many.jsonl", row * 80_000)  # 26 MB
    small, large = peaks(few, many)
    assert (small[0], large[0]) == (4_000, 80_000)
    assert large[1] - small[1] < 13


@needs_proc
def test_line_that_is_too_long_is_never_held(write):
    short = write("short.jsonl", lines(1))
    path = write("long.jsonl", lines(1) + '{"prompt": "' + "x" * 60_000_000 + '"}\n' + lines(1))
    before, after = peaks(short, path)
    assert after[0] == 3
    assert after[1] - before[1] < 30
