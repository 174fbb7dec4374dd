"""`synth filter`: any data in, rows kept and rejected with reasons and scores out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.alone import filter_stages
from flows.cli import main
from synth.errors import ExitCode, RecipeError
from tests.lines import released

GOOD = "Plants turn light into sugar, and they do so in every leaf."
PAGES = [
    {"page": GOOD, "n": 1},
    {"page": "I'm sorry, but I can't help with that.", "n": 2},
    {"page": GOOD.upper(), "n": 3},
    {"page": None, "n": 4},
    {"page": "Too few.", "n": 5},
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with pages as JSONL and Parquet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in PAGES))
    pq.write_table(pa.Table.from_pylist(PAGES), tmp_path / "pages.parquet")
    return tmp_path


def rows(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """The rows of all shards that match, in order."""
    paths = sorted(folder.glob(pattern))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("name", ["pages.jsonl", "pages.parquet"])
def test_every_row_is_kept_or_rejected_with_reason_and_scores(
    here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = "refusal, exact, length: {min_words: 5}"
    code = main(["filter", name, "--with", wanted, "--column", "text=page", "--out", "done"])
    assert code == ExitCode.OK
    [kept] = released(here / "done")
    assert (kept["text"], json.loads(kept["meta"])) == (GOOD, {"n": 1})
    assert [(score["name"], score["verdict"]) for score in kept["scores"]] == [
        ("refusal", "keep"),
        ("exact", "keep"),
        ("length", "keep"),
    ]
    left = rows(here / "done", "*/rejected/*.parquet")
    assert [(row["reason"], row["by"]) for row in left] == [
        ("missing_column", "read"),
        ("refusal", "refusal"),
        ("duplicate_exact", "exact"),
        ("too_few_words", "length"),
    ]
    shown = capsys.readouterr().out
    assert "duplicate_exact 1" in shown
    assert "done/release" in shown


def test_answers_are_judged_in_a_dataset_folder_of_chats(here: Path) -> None:
    replies = ["Because it is.", "Sure! Because it is.", "I must decline."]
    chats = [
        {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": text}]}
        for text in replies
    ]
    (here / "chats").mkdir()
    pq.write_table(pa.Table.from_pylist(chats), here / "chats/train-00000-of-00001.parquet")
    assert main(["filter", "chats", "--with", "trim", "--with", "[refusal]"]) == ExitCode.OK
    kept = released(here / "outputs/filter-chats")
    assert [row["messages"] for row in kept] == [chats[0]["messages"]] * 2
    assert [row["trail"][-1]["stage"] for row in kept] == ["read", "trim"]


def test_redacted_rows_are_kept_and_accounted_for(here: Path) -> None:
    pages = [{"text": f"{GOOD} Write to ann{n}@mail.org."} for n in range(2)] + [{"text": GOOD}]
    (here / "mail.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    wanted = "redact: [email], pii, exact"
    assert main(["filter", "mail.jsonl", "--with", wanted, "--out", "done"]) == ExitCode.OK
    kept = released(here / "done")
    assert [row["text"] for row in kept] == [f"{GOOD} Write to [EMAIL].", GOOD]
    assert [step["stage"] for step in kept[0]["trail"]] == ["read", "redact"]
    [twin] = rows(here / "done", "*/rejected/*.parquet")
    assert twin["reason"] == "duplicate_exact"


def test_the_same_command_finds_it_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["filter", "pages.jsonl", "--with", "length: {min_words: 1}", "--column", "text=page"]
    assert main(command) == main(command) == ExitCode.OK
    assert "rows, already finished" in capsys.readouterr().err


def test_a_run_folder_of_another_version_is_refused_and_its_release_read(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["filter", "pages.jsonl", "--with", "exact", "--column", "text=page", "--out"]
    assert main([*command, "old"]) == ExitCode.OK
    for path in (here / "old").glob("*/manifest.json"):
        path.write_text(path.read_text().replace('"format": 5', '"format": 2'))
    [shard] = (here / "old/release/provenance").iterdir()
    old = pq.read_table(shard).to_pylist()
    for row in old:
        row["trail"] = [{**step, "dropped": ""} for step in row["trail"]]
    pq.write_table(pa.Table.from_pylist(old), shard)
    capsys.readouterr()

    assert main([*command, "old"]) == ExitCode.INVALID
    assert capsys.readouterr().err == (
        "synth: another version of synth made old, so this version cannot continue it: choose "
        "another folder with --out, or delete this one (a release in it can still be read as "
        "input)\n"
    )
    assert main(["filter", "old/release", "--with", "refusal", "--out", "new"]) == ExitCode.OK
    kept = released(here / "new")
    assert [row["text"] for row in kept] == [GOOD, "Too few."]


def test_the_funnel_shows_why_no_row_is_left(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["filter", "pages.jsonl", "--with", "length: {min_words: 99}"]
    assert main([*command, "--column", "text=page"]) == ExitCode.EMPTY
    assert "too_few_words 4" in capsys.readouterr().out


def test_neighbours_share_a_stage_and_the_order_is_kept() -> None:
    assert filter_stages(["refusal, length: {min_words: 2}, minhash, exact, minhash, echo"]) == [
        {"quality": ["refusal", {"length": {"min_words": 2}}]},
        {"dedup": {"minhash": None, "exact": None}},
        {"dedup": {"minhash": None}},
        {"quality": ["echo"]},
    ]
    own = {"use": "my_pkg:Shouting", "with": {"max_share": 0.5}}
    assert filter_stages(["{use: 'my_pkg:Shouting', with: {max_share: 0.5}}"]) == [
        {"quality": [own]}
    ]
    assert filter_stages(["dedup: {fuzzy: {}, on: prompt}"]) == [
        {"dedup": {"fuzzy": {}, "on": "prompt"}}
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--with", "minhsh"], "--with: unknown filter 'minhsh'; known: arithmetic"),
        (["--with", "minhsh"], "; did you mean 'minhash'?"),
        (["--with", "distill"], "unknown filter 'distill'"),
        (["--with", "length: {min_word: 3}"], "--with: unknown key 'min_word' in length"),
        (
            ["--with", "minhash: {threshold: 2}"],
            "--with: minhash.threshold is 2, expected at most 1",
        ),
        (["--with", "length: {"], "--with 'length: {'"),
        (["--with", "3"], "3 is not a name"),
        (
            ["--with", "length", "--column", "page"],
            "--column 'page': expected ROLE=NAME, such as text=body",
        ),
        (["--with", "length", "--column", "text=nix"], "no column 'nix'"),
        (["--with", "length", "--column", "txt=page"], "--column: unknown role 'txt'"),
        (["--with", "length"], "has no column that is known to hold the prompt"),
        (["--with", "length", "--as", "web"], "has no column that is known to hold the text"),
        (["--with", "length", "--format", "xml"], "--format is 'xml', expected 'jsonl', 'parquet'"),
        (
            ["--with", "echo", "--split", "dev"],
            "only a dataset folder has splits, and no folder is given: remove `--split dev`",
        ),
    ],
)
def test_a_mistake_is_reported_before_anything_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["filter", "pages.jsonl", *arguments]) == ExitCode.INVALID
    assert message in capsys.readouterr().err
    assert not (here / "outputs").exists()


def test_a_missing_input_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filter", "nix.jsonl", "--with", "length"]) == ExitCode.INVALID
    assert "nix.jsonl does not exist" in capsys.readouterr().err


def test_only_names_and_parameters_are_parts() -> None:
    with pytest.raises(RecipeError, match="is not a name"):
        filter_stages(["length, 3"])
