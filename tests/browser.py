"""Drives a headless Chromium over its DevTools protocol, for tests of pages.

Debian's package `chromium` is enough. `opened` skips the test where no Chromium is installed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 60  # a busy machine starts Chromium slowly


@dataclass
class Page:
    """One tab."""

    socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    """What the console reported as errors, uncaught exceptions included."""
    requests: list[str] = field(default_factory=list)
    """The addresses that the page asked for."""
    _replies: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def listen(self) -> None:
        """Sorts what the browser sends, until the connection ends."""
        async for message in self.socket:
            event = message.json()
            found = event.get("params", {})
            match event.get("method"):
                case None:
                    self._replies.pop(event["id"]).set_result(event)
                case "Network.requestWillBeSent":
                    self.requests.append(found["request"]["url"])
                case "Runtime.exceptionThrown":
                    details = found["exceptionDetails"]
                    self.errors.append(str(details.get("exception", details)))
                case "Log.entryAdded" if found["entry"]["level"] in ("error", "warning"):
                    self.errors.append(found["entry"]["text"])
                case "Runtime.consoleAPICalled" if found["type"] in ("error", "warning"):
                    self.errors.append(str(found["args"]))

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        number = next(self._numbers)
        self._replies[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": params})
        reply = await asyncio.wait_for(self._replies[number], START_S)
        assert "error" not in reply, (method, reply["error"])
        result: dict[str, Any] = reply["result"]
        return result

    async def run(self, script: str) -> Any:
        """Returns the value of an expression in the page."""
        found = await self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def press(self, key: str) -> None:
        """Presses and releases a key: a letter, or a name such as `Enter`."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        for kind in ("keyDown", "keyUp"):
            await self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=13 if key == "Enter" else 0,
            )

    async def theme(self, name: str) -> None:
        """Shows the page as to a reader who prefers `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def resize(self, width: int, height: int = 1000) -> None:
        """Gives the window another size."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def picture(self) -> bytes:
        """Returns the whole page as PNG."""
        found = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])


def _port(file: Path) -> str:
    """The port in the browser's file; "" as long as it is not written."""
    return file.read_text().partition("\n")[0] if file.is_file() else ""


@asynccontextmanager
async def opened(file: Path, folder: Path, width: int = 1200) -> AsyncIterator[Page]:
    """Opens a file from disk. `folder` is for the browser's own files."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless",
        "--no-sandbox",  # the page is ours, and root has no sandbox
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        f"--window-size={width},1000",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_S):
            while not (port := _port(folder / "DevToolsActivePort")):
                assert process.returncode is None, "Chromium ended at its start"
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/json/list") as response:
                target = next(one for one in await response.json() if one["type"] == "page")
            address = target["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.send(f"{domain}.enable")
                await page.send("Page.navigate", url=file.absolute().as_uri())
                async with asyncio.timeout(START_S):
                    while not await page.run("document.body?.dataset.drawn === 'yes'"):
                        assert not page.errors, page.errors
                        await asyncio.sleep(0.05)
                yield page
            await listening
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
