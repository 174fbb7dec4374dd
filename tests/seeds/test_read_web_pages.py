"""HTML files and web archives: main text, title and address; a missing extra is reported."""

from __future__ import annotations

import gzip
import sys

import pytest

from synth.errors import InputError

PAGE = """<html><head><title>On tides | Site</title></head><body>
<nav><a href="/">Home</a> <a href="/x">About</a></nav>
<article><h1>On tides</h1>
<p>The sea rises twice a day and falls twice a day, since the moon pulls the water with it.</p>
<h2>Spring tides</h2>
<p>When sun and moon stand in a line the tide is higher, which happens about twice a month.</p>
<table><tr><th>tide</th><th>height</th></tr><tr><td>spring</td><td>5 m</td></tr></table>
</article><footer>Copyright 2020. All rights reserved.</footer></body></html>"""


def response(url: str, body: str, *, kind: str = "text/html", status: str = "200 OK") -> bytes:
    http = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n{body}".encode()
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
        "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000001>\r\n"
        "WARC-Date: 2020-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


@pytest.fixture
def extra() -> None:
    """The extra `web`, whose libraries another install may lack."""
    pytest.importorskip("trafilatura", reason="the extra `web` is not installed")
    pytest.importorskip("warcio", reason="the extra `web` is not installed")


@pytest.mark.usefixtures("extra")
def test_a_page_of_html_is_its_main_text_as_markdown(write, read):
    got = read(web=write("tides.html", PAGE))
    [text] = got.texts
    assert text.startswith("# On tides\n")
    assert "## Spring tides" in text
    assert "| spring | 5 m |" in text
    assert "Home" not in text
    assert "Copyright" not in text
    assert got.metas[0]["title"].startswith("On tides")
    assert got.sources == ["tides.html#1"]


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
def test_an_archive_gives_its_pages_in_order_and_nothing_else(write, read, name):
    records = [
        response("https://a.example/", PAGE),
        response("https://a.example/x.png", "png", kind="image/png"),
        response("https://a.example/gone", PAGE, status="404 Not Found"),
        response("https://b.example/", PAGE.replace("sea", "ocean")),
        response("https://c.example/", "<html><body></body></html>"),
    ]
    packed = [gzip.compress(record) if name.endswith(".gz") else record for record in records]
    got = read(web=write(name, b"".join(packed)))
    assert [meta["url"] for meta in got.metas] == ["https://a.example/", "https://b.example/"]
    assert "ocean rises" in got.texts[1]
    assert got.reasons == ["no_main_text"]
    assert got.sources == [f"{name}#{n}" for n in (1, 2, 3)]


@pytest.mark.usefixtures("extra")
def test_a_page_that_is_too_long_is_set_aside(write, read):
    got = read(web=write("long.html", PAGE), max_line_bytes=200)
    assert got.reasons == ["text_too_long"]


@pytest.mark.usefixtures("extra")
def test_a_damaged_archive_is_reported(write, read):
    with pytest.raises(InputError, match="is not a valid WARC file"):
        read(web=write("crawl.warc", b"not an archive\n" * 9))


def test_web_pages_are_no_prompts(write, read):
    with pytest.raises(InputError, match="read it with `web:`, not `prompts:`"):
        read(prompts=write("tides.html", PAGE))


def test_a_missing_library_is_reported_with_the_install_command(write, read, monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(
        InputError, match=r"trafilatura, which is not installed.*pip install .*\[web\]"
    ):
        read(web=write("tides.html", PAGE))
