"""Ids depend only on content, so unchanged rows of a changed input keep their ids."""

from __future__ import annotations

import json

import pytest

ROWS = [
    {"prompt": "What is 1 + 1?", "answer": "2", "kind": "maths"},
    {"prompt": "Name a lake.", "answer": None, "kind": "facts"},
    {"prompt": "Name a lake.", "answer": "Garda", "kind": "facts"},
    {"prompt": "What is 2 + 2?", "answer": "4", "kind": "maths"},
]
EDITED = [{**ROWS[0], "answer": "two"}, *ROWS[1:3], {**ROWS[3], "kind": "sums"}]


def ids(read, path):
    return [row["id"] for row in read(prompts=path).kept]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def known(read, write):
    return ids(read, write("a.jsonl", lines(ROWS)))


@pytest.mark.parametrize(
    "rows",
    [ROWS, sorted(ROWS, key=lambda row: row["prompt"]), ROWS[::-1], EDITED],
    ids=["renamed", "sorted", "reversed", "gold and metadata edited"],
)
def test_the_same_content_has_the_same_ids(read, write, known, rows):
    assert sorted(ids(read, write("other/b.jsonl", lines(rows)))) == sorted(known)


def test_rows_before_it_change_no_id(read, write, known):
    more = [{"prompt": f"New {n}."} for n in range(3)]
    assert ids(read, write("b.jsonl", lines(more + ROWS)))[3:] == known
    paths = [write("0.jsonl", lines(more)), write("a.jsonl", lines(ROWS))]
    assert ids(read, paths)[3:] == known


@pytest.mark.parametrize("copied", ROWS)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_an_exact_copy_has_one_new_id(read, write, known, copied, at):
    found = ids(read, write("a.jsonl", lines([*ROWS[:at], copied, *ROWS[at:]])))
    assert set(known) < set(found)
    assert len(found) == len(set(found)) == len(known) + 1


def test_a_copy_in_another_file_is_another_record(read, write, known):
    found = ids(read, [write("a.jsonl", lines(ROWS)), write("b.csv", "prompt\nName a lake.\n")])
    assert found[:4] == known
    assert found[4] not in known


def test_rejected_rows_have_ids_of_their_own_lines(read, write):
    one = read(prompts=write("a.jsonl", lines(ROWS) + "oops\n[]\noops\n"))
    other = read(prompts=write("b.jsonl", lines(ROWS) + "[]\noops\n"))
    ids = [row["id"] for row in one.rejected]
    assert len(set(ids)) == 3
    assert {row["id"] for row in other.rejected} == set(ids[:2])
