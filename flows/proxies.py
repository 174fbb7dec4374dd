"""Excludes servers on this machine from the proxies that the environment sets."""

from __future__ import annotations

import os
from importlib.util import find_spec

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
USABLE = ("http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ()))
"""Proxy protocols that httpx supports; Prefect and the Hub's client use httpx."""


def spare_loopback() -> None:
    """Lets this process and its children reach loopback addresses without a proxy.

    httpx refuses every address if a proxy's protocol is unsupported. We rewrite such a proxy to
    http://, so that only the requests that need it fail and none bypasses it.
    """
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    spared = ",".join(dict.fromkeys([*(given.split(",") if given else ()), *LOOPBACK]))
    os.environ.update(no_proxy=spared, NO_PROXY=spared)
    for name, value in list(os.environ.items()):
        protocol, separator, address = value.partition("://")
        if name.lower() in PROXIES and separator and protocol.lower() not in USABLE:
            os.environ[name] = f"http://{address}"
