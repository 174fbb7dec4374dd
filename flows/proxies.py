"""Proxies that the environment names: none of them is for a server on this machine."""

from __future__ import annotations

import os
from importlib.util import find_spec

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
USABLE = ("http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ()))
"""The protocols that httpx speaks, which Prefect and the Hub's client use."""


def spare_loopback() -> None:
    """This process and its children reach loopback addresses without a proxy.

    With a proxy whose protocol it does not speak, httpx refuses every address. Such a proxy is
    renamed to http://, so that only a request that needs it fails, and none goes around it.
    """
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    spared = ",".join(dict.fromkeys([*(given.split(",") if given else ()), *LOOPBACK]))
    os.environ.update(no_proxy=spared, NO_PROXY=spared)
    for name, value in list(os.environ.items()):
        protocol, separator, address = value.partition("://")
        if name.lower() in PROXIES and separator and protocol.lower() not in USABLE:
            os.environ[name] = f"http://{address}"
