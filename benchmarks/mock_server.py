"""A fast OpenAI-compatible server without a model, so that the client is what is measured.

    python -m benchmarks.mock_server 50            # every reply after 50 ms
    python -m benchmarks.mock_server 2000 0.6      # log-normal latencies: mean 2,000 ms, sigma 0.6

Prints its port, then at the end (when its stdin closes) one line of JSON: requests, the times of
the first one and of the last answer, the sum of all latencies, and its own CPU seconds. The n-th
request of any run waits as long as that of any other.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from typing import ClassVar, cast

import uvloop

REPLY = json.dumps(
    {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "mock",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A reply of some length. " * 20},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 60, "completion_tokens": 120, "total_tokens": 180},
    }
).encode()
MODELS = json.dumps({"object": "list", "data": [{"id": "mock", "owned_by": "mock"}]}).encode()


def _http(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


ANSWER, MODEL_LIST = _http(REPLY), _http(MODELS)


class Tally:
    """What was asked."""

    requests = 0
    first = 0.0
    last = 0.0
    latencies = 0.0


class Protocol(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length, nothing more."""

    _dice: ClassVar[random.Random] = random.Random(7)

    def __init__(self, mean_s: float, sigma: float) -> None:
        self._mu = math.log(mean_s) - sigma**2 / 2 if mean_s else 0.0
        self._mean_s, self._sigma = mean_s, sigma
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            if head.startswith(b"get"):
                self._transport.write(MODEL_LIST)
                continue
            latency = self._mean_s
            if self._sigma:
                latency = self._dice.lognormvariate(self._mu, self._sigma)
            Tally.requests += 1
            Tally.latencies += latency
            Tally.first = Tally.first or time.time()
            asyncio.get_running_loop().call_later(latency, self._answer)

    def _answer(self) -> None:
        Tally.last = time.time()
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


async def _serve(mean_s: float, sigma: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(mean_s, sigma), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    told = {"requests": Tally.requests, "first": Tally.first, "last": Tally.last}
    print(json.dumps({**told, "busy": Tally.latencies, "cpu_s": time.process_time()}))


if __name__ == "__main__":
    uvloop.run(_serve(float(sys.argv[1]) / 1000, float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
