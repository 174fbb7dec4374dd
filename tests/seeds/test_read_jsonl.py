"""JSON Lines: one tiny row per reject reason, and errors that make a file unusable."""

from __future__ import annotations

import gzip
import json
from hashlib import sha512

import pyarrow as pa
import pytest

from seeds.read import Read
from synth.errors import InputError

GOOD = b'{"prompt": "What is 6 * 7?"}\n'
DEEP = b'{"prompt": "x", "more": ' + b"[" * 400 + b"]" * 400 + b"}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "x"', "not_json"),
        (b"just text", "not_json"),
        (b'{"prompt": "x", "score": NaN}', "not_json"),
        (b'{"prompt": "\\ud800", "score": NaN', "not_json"),
        (b"[" * 5000, "not_json"),
        (b'["x"]', "not_an_object"),
        (b"42", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"question": "x"}', "missing_column"),
        (b'{"prompt": null}', "missing_column"),
        (b'{"prompt": ""}', "empty_text"),
        (b'{"prompt": " \\n\\t "}', "empty_text"),
        (b'{"prompt": 42}', "wrong_type"),
        (b'{"prompt": {"text": "x"}}', "wrong_type"),
        (b'{"prompt": "caf\xe9"}', "invalid_utf8"),
        (b'{"prompt": "\xed\xa0\x80"}', "invalid_utf8"),
        (b'{"prompt": "\\ud800"}', "lone_surrogate"),
        (b'{"prompt": "x", "note": "\\uDFFF!"}', "lone_surrogate"),
        (b'{"prompt": "a\\u0000b"}', "nul_byte"),
        (b'{"prompt": "a\0b"}', "nul_byte"),
        (b"\0" * 512, "nul_byte"),
        (b'{"prompt": "' + b"x" * 200_000 + b'"}', "line_too_long"),
        (DEEP, "nested_too_deep"),
    ],
)
def test_bad_line_is_set_aside_with_its_reason(write, read, line, reason):
    result = read(prompts=write("a.jsonl", GOOD + line + b"\n" + GOOD), max_line_bytes=100_000)
    assert result.reasons == [reason]
    assert result.rejected[0]["raw"] == line[: 64 << 10].decode(errors="replace")
    assert result.sources == ["a.jsonl#1", "a.jsonl#3", "a.jsonl#2"]


def test_row_set_aside_for_its_prompt_keeps_its_other_columns(write, read):
    result = read(prompts=write("a.jsonl", GOOD + b'{"prompt": null, "n": 3}\n'))
    assert [json.loads(row["meta"]) for row in result.rejected] == [{"n": 3}]


def test_text_over_the_limit_is_set_aside_and_at_the_limit_kept(write, read):
    path = write("a.jsonl", '{"prompt": "éééé"}\n{"prompt": "ééééé"}\n')
    result = read(prompts=path, max_text_chars=4)
    assert result.prompts == ["éééé"]
    assert result.reasons == ["text_too_long"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_line_of_exactly_the_limit_is_kept(write, read, end):
    line = b'{"prompt": "12345"}'
    path = write("a.jsonl", line + end)
    assert read(prompts=path, max_line_bytes=len(line)).prompts == ["12345"]
    over = write("b.jsonl", GOOD[:-1] + b"\n" + b'{"prompt": "' + b"1" * 30 + b'"}' + end)
    assert read(prompts=over, max_line_bytes=len(GOOD)).reasons == ["line_too_long"]


def test_reading_continues_after_a_line_of_five_megabytes(write, read):
    huge = b'{"prompt": "' + b"x" * 5_000_000 + b'"}\n'
    result = read(prompts=write("a.jsonl", GOOD + huge + huge + GOOD))
    assert (len(result.kept), result.reasons) == (2, ["line_too_long"] * 2)


def test_everything_else_in_the_row_goes_to_meta(write, read):
    row = {"prompt": "x", "kind": "maths", "n": [1, {"a": None}], "output": "y", "ok": True}
    result = read(prompts=write("a.jsonl", json.dumps(row)))
    assert result.metas == [{"kind": "maths", "n": [1, {"a": None}], "output": "y", "ok": True}]
    assert result.answers == [None]


def test_trail_records_format_file_and_line(write, read):
    step = read(prompts=write("a.jsonl", b"\n\n" + GOOD)).kept[0]["trail"][0]
    assert (step["stage"], step["operation"], step["parent"]) == ("read", "jsonl", "a.jsonl#3")


def test_blank_lines_are_no_rows(write, read):
    result = read(prompts=write("a.jsonl", b"\n  \r\n\t\n" + GOOD + b"\n" * 100_000 + GOOD))
    assert result.sources == ["a.jsonl#4", "a.jsonl#100005"]


def test_byte_order_mark_and_windows_line_ends_are_read(write, read):
    content = b"\xef\xbb\xbf" + b'{"prompt": "a"}\r\n{"prompt": "b"}\r\n'
    assert read(prompts=write("a.jsonl", content)).prompts == ["a", "b"]


def test_compressed_lines_are_read_as_plain_ones(write, read, tmp_path):
    gz = write("a.jsonl.gz", gzip.compress(GOOD * 2))
    with pa.output_stream(str(tmp_path / "b.jsonl.zst"), compression="zstd") as file:
        file.write(GOOD * 3)
    result = read(prompts=[gz, tmp_path / "b.jsonl.zst"])
    assert result.sources[1:3] == ["a.jsonl.gz#2", "b.jsonl.zst#1"]
    assert len(result.kept) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no rows"),
        (b"\n \n" * 100, "has no rows"),
        ('{"prompt": "x"}\n'.encode("utf-16"), "is UTF-16, not UTF-8"),
        (b'[\n{"prompt": "x"}\n]\n', "set `format: json`"),
        (b'[{"prompt": "x"},\n{"prompt": "y"}]\n', "set `format: json`"),
        (b'{\n"prompt": "x"\n}\n', r"is one JSON object.*jq -c '\.KEY"),
        (
            '{"prompt": "x"}\n'.encode("utf-16-le"),
            r"no JSON object in its first \d rows .*nul_byte",
        ),
        (b"PK\x03\x04\xff\xfe\n\x80\n", r"2 rows \(2 x invalid_utf8\)"),
        (b'{"title": "x", "n": 1}\n', r"has no column .* hold the prompt; it has: 'title', 'n'"),
    ],
)
def test_unusable_file_is_refused_by_name(write, content, message):
    path = write("a.jsonl", content)
    with pytest.raises(InputError, match=message) as caught:
        next(Read(prompts=path).shards(10))
    assert str(path) in str(caught.value)


def test_column_that_no_row_has_is_refused_with_the_columns_seen(write):
    path = write("a.jsonl", GOOD + b'{"prompt": "x", "gold": "y"}\n')
    with pytest.raises(InputError, match=r"no column 'task' for the prompt .*: 'prompt', 'gold'"):
        next(Read(prompts=path, columns={"prompt": "task"}).shards(10))
    with pytest.raises(InputError, match="no column 'output' for the answer"):
        next(Read(prompts=path, columns={"answer": "output"}).shards(10))


def test_columns_are_looked_for_in_a_thousand_rows_and_no_further(write, read):
    rows = [b'{"n": 1}\n'] * 999 + [GOOD]
    assert len(read(prompts=write("a.jsonl", b"".join(rows))).kept) == 1
    late = write("b.jsonl", b"".join([rows[0], *rows]))
    with pytest.raises(InputError, match="has no column that is known"):
        next(Read(prompts=late).shards(10))


NOISE = [sha512(b"%d" % number).hexdigest() * 4 for number in range(1_500)]
MANY = "".join(f'{{"prompt": "{number} {text}"}}\n' for number, text in enumerate(NOISE)).encode()


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.csv.gz", "a.txt.zst"])
@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_cut_file_gives_its_readable_lines_and_one_rest(write, read, name, left):
    content = MANY if ".jsonl" in name else b"prompt\n" + MANY.replace(b'"', b"")
    packed = compressed(name, content)
    cut = write(name, packed[: int(len(packed) * left)])
    result = read(prompts=cut, rows=10_000)
    whole = read(prompts=write(f"whole/{name}", packed), rows=10_000)
    assert 100 < len(result.prompts) < 1_500
    assert result.prompts == whole.prompts[: len(result.prompts)]
    assert result.reasons == ["file_cut_off"]
    [rest] = result.rejected
    assert rest["trail"][0]["parent"] == f"{name}#{len(result.prompts) + 1}"


def test_a_damaged_file_gives_the_lines_before_the_damage(write, read):
    packed = bytearray(compressed("a.gz", MANY))
    packed[-8:] = bytes(8)  # its checksum and length
    result = read(prompts=write("a.jsonl.gz", bytes(packed)), rows=10_000)
    assert len(result.prompts) == 1_500
    assert (result.reasons, result.rejected[0]["raw"]) == (["file_damaged"], "")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_is_cut_before_its_first_line_is_refused(write, name):
    path = write(name, compressed(name, MANY)[:9])
    with pytest.raises(InputError, match=r"is damaged \(.*download it again"):
        next(Read(prompts=path).shards(10))


def compressed(name: str, content: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(content)
    return bytes(pa.Codec("zstd").compress(content))
