"""What an HTTP status means for a request, and what may be shown of an answer."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from synth.teacher.parse import OVERSIZED, classify, request_id
from synth.teacher.wire import (
    AttemptKind,
    Secret,
    Wire,
    keys_in,
    kind_of,
    parted,
    retry_after_s,
    without_keys,
)
from tests.fake_teacher import completion


@pytest.mark.parametrize(
    ("status", "asks_to_wait", "kind"),
    [
        (200, False, AttemptKind.ANSWERED),
        (400, False, AttemptKind.ANSWERED),
        (404, False, AttemptKind.ANSWERED),
        (408, False, AttemptKind.BUSY),
        (425, False, AttemptKind.BUSY),
        (429, True, AttemptKind.BUSY),
        (500, True, AttemptKind.FAILED),
        (503, True, AttemptKind.BUSY),
        (503, False, AttemptKind.FAILED),
        (529, False, AttemptKind.FAILED),
        (OVERSIZED, False, AttemptKind.ANSWERED),
    ],
)
def test_the_status_alone_decides(status: int, asks_to_wait: bool, kind: AttemptKind) -> None:
    assert kind_of(status, asks_to_wait) is kind


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, None), ("", None), ("soon", None), ("0", 0), (" 7 ", 7)]
)
def test_retry_after_is_in_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header) == seconds


def test_retry_after_may_be_a_date() -> None:
    in_a_minute = retry_after_s(formatdate(time.time() + 60, usegmt=True))
    assert in_a_minute is not None
    assert 58 < in_a_minute <= 60
    assert retry_after_s(formatdate(0, usegmt=True)) == 0


@pytest.mark.parametrize("year", ["9999", "99999", "9" * 30])
def test_retry_after_in_a_year_that_never_comes_is_no_crash(year: str) -> None:
    asks_s = retry_after_s(f"Fri, 31 Dec {year} 23:59:59 GMT")
    assert asks_s is None or asks_s > 1e9


@pytest.mark.parametrize(
    ("said", "status", "permanent"),
    [
        ({"error": {"code": 429}}, 429, True),
        ({"error": {"code": "503", "message": "overloaded"}}, 503, True),
        ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], 429, True),
        ({"object": "error", "code": 400, "message": "no"}, 400, True),
        ({"error": {"code": "rate_limit_exceeded"}, "status": 429}, 429, True),
        ({"choices": [{"finish_reason": "error", "error": {"code": 502}}]}, 502, True),
        ({"error": {"code": 10**15}}, 502, False),
        ({"error": {"code": 200}}, 502, False),
        ({"error": "overloaded"}, 502, False),
        ({"choices": []}, 502, False),
        ({"choices": None, "error": None}, 502, False),
        ({"choices": "none"}, 502, False),
        ({"choices": [None]}, 502, False),
        (completion("It is", finish="abort"), 502, False),
        ([], 502, False),
        (None, 502, False),
        ("busy", 502, False),
    ],
)
def test_a_200_that_is_no_completion_has_the_status_that_it_means(
    said: Any, status: int, permanent: bool
) -> None:
    answer = classify(200, orjson.dumps(said))
    assert (answer.status, answer.permanent, answer.payload) == (status, permanent, None)
    assert classify(418, orjson.dumps(said)).status == 418


@pytest.mark.parametrize("page", [b"", b"<html>restarting</html>", b'{"choices": [{"mess'])
def test_a_page_is_no_completion(page: bytes) -> None:
    answer = classify(200, page)
    assert (answer.status, answer.body, answer.permanent) == (502, page, False)


def test_an_answer_under_the_id_of_another_request_is_none() -> None:
    ours, theirs = request_id(bytes(range(32)), 9), request_id(bytes(32), 9)
    body = orjson.dumps(completion("42") | {"id": f"chatcmpl-{ours}-3"})
    assert classify(200, body, f"{ours}-3").status == 200
    assert classify(200, body, theirs).status == 502
    # a server with ids of its own says nothing either way
    own = orjson.dumps(completion("42") | {"id": "chatcmpl-77"})
    assert classify(200, own, ours).payload["id"] == "chatcmpl-77"


def test_a_query_is_kept_apart_from_its_address() -> None:
    assert parted("https://gw/v1/?key=a/b/#top") == ("https://gw/v1", "?key=a/b/")
    assert parted("http://127.0.0.1:8000/v1/") == ("http://127.0.0.1:8000/v1", "")
    assert set(keys_in("?key=sk%2F47%2B11&v=2&debug")) == {"sk%2F47%2B11", "sk/47+11"}


def test_no_query_of_an_address_is_told() -> None:
    told = "{'urls': ['https://gw/v1?key=sk-1&v=2', 'https://gw/b/v1']}, what? https://gw?a=b"
    assert without_keys(told) == (
        "{'urls': ['https://gw/v1?***', 'https://gw/b/v1']}, what? https://gw?***"
    )


def test_each_server_is_asked_with_its_own_query() -> None:
    queries = {"https://gw": "?key=1", "https://gw/b": "?key=2"}
    wire = Wire(None, Secret(), queries=queries)  # type: ignore[arg-type]  # nothing is sent
    assert wire.with_query("https://gw/v1/models") == "https://gw/v1/models?key=1"
    assert wire.with_query("https://gw/b/health") == "https://gw/b/health?key=2"
    assert wire.with_query("https://other/health") == "https://other/health"


def test_a_key_is_struck_out_in_every_form() -> None:
    secret = Secret('sk/a"b+c')
    echo = rb'sk/a"b+c sk/a\"b+c sk\/a"b+c sk%2Fa%22b%2Bc sk/a%22b%2Bc sk'
    assert secret.out_of(echo) == b"*** *** *** *** *** sk"


def test_a_short_key_is_left_in_a_reply() -> None:
    secret = Secret("EMPTY1", "sk-planted-4711")
    assert secret.out_of(b"EMPTY1 sk-planted-4711") == b"*** ***"
    assert secret.out_of_reply(b"EMPTY1 sk-planted-4711") == b"EMPTY1 ***"


def test_without_a_key_nothing_is_struck_out() -> None:
    assert Secret(None).out_of(b"sk") == b"sk"
