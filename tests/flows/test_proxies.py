"""No proxy of the environment comes between us and a server on loopback."""

from __future__ import annotations

import asyncio
import os
import urllib.request

import httpx
import httpx2
import pytest

from flows.proxies import spare_loopback
from synth.teacher.client import connected

DEAD = "127.0.0.1:9"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", f"socks5://{DEAD}"),
        ("all_proxy", f"socks://{DEAD}"),
        ("http_proxy", f"http://{DEAD}"),
        ("HTTP_PROXY", DEAD),
    ],
)
def test_every_client_reaches_loopback(
    name: str, value: str, teacher_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(one, raising=False)
        monkeypatch.delenv(one.upper(), raising=False)
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", "corp.example")
    monkeypatch.setenv("NO_PROXY", "corp.example")
    spare_loopback()
    assert os.environ["no_proxy"].startswith("corp.example,localhost")

    models = f"{teacher_url}/models"
    assert httpx.get(models).status_code == 200  # as Prefect's
    assert httpx2.get(models).status_code == 200  # as the Hub's
    assert urllib.request.urlopen(models).status == 200
    with pytest.raises(httpx.TransportError):
        httpx.get("http://192.0.2.1/", timeout=5)  # through the proxy, which is dead

    async def ask() -> None:
        async with connected([teacher_url]) as client:
            assert client.urls == [teacher_url]

    asyncio.run(ask())
