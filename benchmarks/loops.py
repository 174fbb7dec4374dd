"""Minimal loops that post requests to a teacher, for comparison with our client.

Each runs in a separate process, so this file imports only what they need.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast

import aiohttp
import orjson
import uvloop
from yarl import URL

PROMPT = (
    "Explain to a new colleague, in about a hundred words, what case number {n} of the handbook "
    "asks of a team that ships software every week, and give one example from practice."
)


def bare(
    url: str, records: int, concurrency: int, model: str = "fake", **sampling: Any
) -> dict[str, float]:
    """Posts, reads and parses with aiohttp, and nothing else. Returns tokens and seconds."""

    async def loop() -> int:
        slots = asyncio.Semaphore(concurrency)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(n: int) -> int:
                turns = [{"role": "user", "content": PROMPT.format(n=n)}]
                body = {"model": model, "messages": turns, "max_tokens": 2048, "seed": n} | sampling
                head = {"Content-Type": "application/json"}
                async with (
                    slots,
                    session.post(
                        f"{url}/chat/completions", data=orjson.dumps(body), headers=head
                    ) as response,
                ):
                    payload = orjson.loads(await response.read())
                assert payload["choices"][0]["message"]["content"]
                return int(payload["usage"]["completion_tokens"])

            tokens = 0
            for start in range(0, records, 1000):  # one task per row of a shard, as in our engine
                stop = min(start + 1000, records)
                tokens += sum(await asyncio.gather(*(one(n) for n in range(start, stop))))
            return tokens

    started = time.monotonic()
    tokens = uvloop.run(loop())
    return {"tokens": tokens, "seconds": time.monotonic() - started}


def empty(url: str, records: int, concurrency: int) -> dict[str, float]:
    """Sends the same bytes over open sockets and does not parse the replies.

    The slots that this loop leaves empty are due to the machine and the server, not to a client.
    """
    server = URL(url)
    body = json.dumps({"messages": [{"role": "user", "content": PROMPT.format(n=records)}]})
    head = f"POST {server.path}/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    request = (head + body).encode()

    async def loop() -> None:
        left = iter(range(records))
        running = asyncio.get_running_loop()
        ended: list[asyncio.Future[None]] = []

        class Slot(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.Transport", transport)
                self.ended = running.create_future()
                ended.append(self.ended)
                self.ask()

            def ask(self) -> None:
                if next(left, None) is None:
                    self.ended.set_result(None)
                else:
                    self.transport.write(request)

            def data_received(self, data: bytes) -> None:
                if data.endswith(b"}}"):
                    self.ask()

        for _ in range(concurrency):
            await running.create_connection(Slot, server.host, server.port)
        await asyncio.gather(*ended)

    uvloop.run(loop())
    return {}
