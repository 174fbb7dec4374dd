"""A fake teacher as a process of its own: python -m tests.cluster.teacher HOST PORT LATENCY_S LOG.

It appends a line to the log for each request of a row.
"""

from __future__ import annotations

import asyncio
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fake_teacher import FakeTeacher, rule


async def serve(host: str, port: int, latency_s: float, log: Path) -> None:
    """Serves until the process ends."""

    async def reply(body: dict[str, Any], before: int) -> Any:
        if "top_p" in body:  # not a check of what it can do
            with log.open("a") as file:
                asked = json.dumps(body["messages"])
                file.write(f"{sha256(asked.encode()).hexdigest()}\n")
            await asyncio.sleep(latency_s)
        return rule(body, before)

    await FakeTeacher("fake", "fake", script=reply, port=port).start(host)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
