"""What an HTTP status means for a request, and what is told of an answer."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from synth.teacher.exchange import Kind, Secret, kind_of, retry_after_s


@pytest.mark.parametrize(
    ("status", "asks_to_wait", "kind"),
    [
        (200, False, Kind.ANSWERED),
        (400, False, Kind.ANSWERED),
        (404, False, Kind.ANSWERED),
        (408, False, Kind.BUSY),
        (425, False, Kind.BUSY),
        (429, True, Kind.BUSY),
        (500, True, Kind.FAILED),
        (503, True, Kind.BUSY),
        (503, False, Kind.FAILED),
        (529, False, Kind.FAILED),
    ],
)
def test_the_status_alone_decides(status: int, asks_to_wait: bool, kind: Kind) -> None:
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


def test_a_key_is_struck_out_in_every_form() -> None:
    secret = Secret('sk/a"b+c')
    echo = rb'sk/a"b+c sk/a\"b+c sk\/a"b+c sk%2Fa%22b%2Bc sk/a%22b%2Bc sk'
    assert secret.out_of(echo) == b"*** *** *** *** *** sk"


def test_without_a_key_nothing_is_struck_out() -> None:
    assert Secret(None).out_of(b"sk") == b"sk"
