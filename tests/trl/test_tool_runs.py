"""Tools travel from the user's file through the teacher to the release, in structure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from flows.cli import main
from tests.trl.tool_runs import ARGUMENTS, OPENAI, WEATHER, distilled, used

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": ARGUMENTS},
}
TOOLS = [{"type": "function", "function": WEATHER}]


def released(folder: Path) -> list[dict]:
    [file] = folder.glob("data/*.parquet")
    return [
        {
            **row,
            "messages": [json.loads(turn) for turn in row["messages"]],
            "tools": json.loads(row["tools"]),
        }
        for row in pq.read_table(file).to_pylist()
    ]


def test_distilled_calls_and_answers_are_released_in_structure(tmp_path: Path) -> None:
    call, answer = released(distilled(tmp_path / "run"))
    asked = {"role": "user", "content": "Rain in Oslo?"}
    assert call["messages"] == [asked, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    first, second, third, last = answer["messages"]
    assert first == OPENAI["messages"][0]
    assert second["tool_calls"][0]["function"]["arguments"] == ARGUMENTS
    assert third == OPENAI["messages"][2]
    assert last == {"role": "assistant", "content": "No, it is cold."}
    assert call["tools"] == answer["tools"] == TOOLS


def test_a_used_tool_is_released_in_structure(tmp_path: Path) -> None:
    [row] = released(used(tmp_path / "run"))
    assert row["messages"] == [
        {"role": "user", "content": "Rain in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": '{"rain":true}', "tool_call_id": "call_1", "name": "weather"},
        {"role": "assistant", "content": "Yes, it rains."},
    ]
    assert row["tools"] == TOOLS


def test_such_a_release_is_filtered_without_loss(tmp_path: Path) -> None:
    release = distilled(tmp_path / "run")
    out = tmp_path / "filtered"
    assert main(["filter", str(release), "--with", "length", "--out", str(out)]) == 0
    names = ("id", "messages", "tools")
    before, after = (
        [{n: row[n] for n in names} for row in released(one)] for one in (release, out / "release")
    )
    assert after == before


def test_calls_and_tools_are_shown_by_trace(tmp_path: Path, capsys) -> None:
    release = distilled(tmp_path / "run")
    [wanted, _] = [row["id"] for row in released(release)]
    shutil.copytree(release, tmp_path / "pulled/release")
    capsys.readouterr()
    for run in ("run", "pulled"):
        assert main(["trace", wanted, "--run", str(tmp_path / run)]) == 0
        shown = capsys.readouterr().out
        assert "[user]\n  │ Rain in Oslo?" in shown
        assert '<tool_call>\n  │ {"name": "weather", "arguments": {"city":"Oslo"}}' in shown
        assert (", tools weather:" in shown) == (run == "run")
