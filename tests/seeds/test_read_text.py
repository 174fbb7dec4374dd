"""Plain text: a prompt per line, or a web sample per file."""

from __future__ import annotations

import gzip

import pytest

from seeds.read import Read
from synth.errors import InputError


def test_every_line_that_is_not_blank_is_a_prompt(write, read):
    content = (
        "\ufeffWhat is 6 * 7?\r\n\n   \n  Indented: why?\u2028Same line.\n".encode() + b"caf\xe9\n"
    )
    result = read(prompts=write("a.txt", content + b"x" * 300 + b"\na\0b\n"), max_line_bytes=200)
    assert result.prompts == ["What is 6 * 7?", "  Indented: why?\u2028Same line."]
    assert result.reasons == ["invalid_utf8", "line_too_long", "nul_byte"]
    assert result.sources == ["a.txt#1", "a.txt#4", "a.txt#5", "a.txt#6", "a.txt#7"]


def test_every_file_is_one_unchanged_web_sample(write, read):
    page = "---\ntitle: x\n---\n\n# Plain language\r\n\n- one\n"
    result = read(web=write("a.md", "\ufeff" + page))
    assert result.texts == [page]
    assert result.metas == [{"file": "a.md", "title": "Plain language"}]
    assert result.kept[0]["context"] == []
    assert result.kept[0]["trail"][0]["operation"] == "text"


@pytest.mark.parametrize(
    ("name", "page", "title"),
    [
        ("a.md", "![logo](x.png)\n\n# On *tides* #\n\nThe sea.\n# Later\n", "On *tides*"),
        ("a.markdown", "   # C#\nSharp.", "C#"),
        ("a.md", "## A section\n#tag\n    # code\n#\n", None),
        ("a.md", "```sh\n# a comment\n```\nText.", None),
        ("a.md", "Text.\n" * 5_000 + "# Too late\n", None),
        ("a.txt", "# Not Markdown\n", None),
    ],
)
def test_the_first_heading_of_a_markdown_page_is_its_title(write, read, name, page, title):
    [meta] = read(web=write(name, page)).metas
    assert meta == {"file": name, **({"title": title} if title else {})}


def test_a_compressed_markdown_page_has_a_title_too(write, read):
    [meta] = read(web=write("a.md.gz", gzip.compress(b"# On tides\n\nThe sea."))).metas
    assert meta == {"file": "a.md.gz", "title": "On tides"}


def test_bad_page_costs_one_page(write, read, tmp_path):
    write("pages/1.md", "good")
    write("pages/2.md", "")
    write("pages/3.md", " \n")
    write("pages/4.md", b"caf\xe9 in the middle")
    write("pages/5.md", "wide".encode("utf-16"))
    write("pages/6.md", "a\0b")
    write("pages/7.md", "x" * 2001)
    write("pages/8.md", "x" * 2000)
    result = read(web=tmp_path / "pages", max_line_bytes=2000)
    assert [len(text) for text in result.texts] == [4, 2000]
    assert result.reasons == [
        "empty_text",
        "empty_text",
        "invalid_utf8",
        "invalid_utf8",
        "nul_byte",
        "text_too_long",
    ]


def test_empty_file_by_name_is_refused(write):
    for fields in ({"web": write("a.md", "")}, {"prompts": write("b.txt", "\n\n")}):
        with pytest.raises(InputError, match="has no rows"):
            next(Read(**fields).shards(10))


def test_plain_text_has_no_columns(write):
    with pytest.raises(InputError, match="plain text and has no columns"):
        next(Read(web=write("a.md", "x"), columns={"text": "text"}).shards(10))
