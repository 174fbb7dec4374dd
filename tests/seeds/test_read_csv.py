"""CSV: a bad row loses only itself, even with broken quotes."""

from __future__ import annotations

import pytest

from seeds.read import Read
from synth.errors import InputError


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"x", "wrong_column_count"),
        (b"x,1,2", "wrong_column_count"),
        (b",1", "empty_text"),
        (b"caf\xe9,1", "invalid_utf8"),
        (b"a\0b,1", "nul_byte"),
        (b'"x" y,1', "broken_quotes"),
        (b'"never closed,1', "broken_quotes"),
        (b"x" * 3000 + b",1", "line_too_long"),
        (b'"' + b"x" * 3000 + b'",1', "line_too_long"),
    ],
)
def test_bad_row_costs_one_row(write, read, row, reason):
    good = b"prompt,n\nfirst,1\n"
    path = write("a.csv", good + row + b'\nafter,2\n"last, one",3\n')
    result = read(prompts=path, max_line_bytes=2000)
    assert result.prompts == ["first", "after", "last, one"]
    assert result.reasons == [reason]
    assert result.rejected[0]["raw"] == row.decode(errors="replace")[: 2000 + 2]
    assert result.sources == ["a.csv#1", "a.csv#3", "a.csv#4", "a.csv#2"]


def test_cell_may_span_lines_and_hold_quotes_and_commas(write, read):
    path = write("a.csv", 'prompt,n\r\n"Say ""hi"",\r\n\r\nthen bye",1\r\n5" disk?,2\r\n')
    assert read(prompts=path).prompts == ['Say "hi",\n\nthen bye', '5" disk?']


def test_row_over_the_limit_is_rejected_at_its_first_line(write, read):
    path = write("a.csv", 'prompt,n\n"' + "1234567\n" * 100 + '\nlast,"1"\n')
    result = read(prompts=path, max_line_bytes=200)
    assert result.prompts == ["last"]
    assert result.reasons[0] == "broken_quotes"
    assert set(result.reasons[1:]) == {"wrong_column_count"}


def test_stray_quote_does_not_swallow_the_file(write, read):
    rows = [f"prompt {i},{i}" for i in range(500)]
    rows[100] = '"' + rows[100]
    rows[300] = '"' + rows[300]
    result = read(prompts=write("a.csv", "\n".join(["prompt,n", *rows])))
    assert (len(result.kept), result.reasons) == (498, ["broken_quotes"] * 2)


def test_cells_over_the_csv_modules_own_limit_are_read(write, read):
    path = write("a.csv", "prompt\n" + "x" * 500_000 + "\n")
    assert [len(prompt) for prompt in read(prompts=path).prompts] == [500_000]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "prompt;n\nx, y;1\n"),
        ("a.csv", "prompt\tn\nx, y\t1\n"),
        ("a.tsv", "prompt\tn\nx, y\t1\n"),
        ("a.csv", '\ufeff\nprompt,n\n\n"x, y",1\n\n'),
    ],
)
def test_separator_is_what_the_header_uses(write, read, name, content):
    result = read(prompts=write(name, content))
    assert (result.prompts, result.metas) == (["x, y"], [{"n": "1"}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        ("prompt,n\n", "has no rows"),
        ("What is 6 * 7?,42\nWhat is 1 + 1?,2\n", "the first line of a CSV must name its columns"),
        ("prompt,n,n\nx,1,2\n", "has the column 'n' more than once"),
        ('"prompt,n\nx,1\n', "does not start with a CSV header"),
    ],
)
def test_unusable_file_is_refused_by_name(write, content, message):
    path = write("a.csv", content)
    with pytest.raises(InputError, match=message) as caught:
        next(Read(prompts=path).shards(10))
    assert str(path) in str(caught.value)


def test_utf16_is_refused(write):
    with pytest.raises(InputError, match="is UTF-16"):
        next(Read(prompts=write("a.csv", "prompt\nx\n".encode("utf-16"))).shards(10))
