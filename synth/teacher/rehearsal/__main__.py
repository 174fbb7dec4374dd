"""Serves the rehearsal teacher: as a pipeline's child, or by hand until Ctrl-C.

    python -m synth.teacher.rehearsal --port 8001
    http://127.0.0.1:8001/v1

It prints its address and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from contextlib import suppress

from aiohttp import web
from pydantic import ValidationError

from synth.teacher.rehearsal.config import Rehearsal
from synth.teacher.rehearsal.server import application

PARENT_CHECK_S = 1.0


def main() -> None:
    """Parses the command line and serves until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m synth.teacher.rehearsal",
        description="An OpenAI-compatible teacher without a model, on 127.0.0.1.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port (default)")
    parser.add_argument("--config", default="{}", help='JSON, say {"seed": 7, "latency_ms": 20}')
    parser.add_argument(
        "--child", action="store_true", help="end as soon as standard input is closed"
    )
    arguments = parser.parse_args()
    try:
        config = Rehearsal.model_validate_json(arguments.config)
        listener = socket.create_server(("127.0.0.1", arguments.port), backlog=1024)
    except (ValidationError, OSError, OverflowError) as error:
        parser.error(str(error))
    # asyncio's own loop: uvloop measured no faster here, where composing replies is the cost
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(config, listener, arguments.child))


async def _serve(config: Rehearsal, listener: socket.socket, child: bool) -> None:
    runner = web.AppRunner(application(config), access_log=None, handle_signals=False)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    await (_parent_gone() if child else asyncio.Event().wait())


async def _parent_gone() -> None:
    """Ends this process once the parent has ended, however: its end of standard input closes.

    A process that the parent forked may still hold that end, so the parent's id is watched as well.
    """
    parent = os.getppid()
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(
        sys.stdin.fileno(), lambda: None if os.read(0, 4096) else closed.set()
    )
    while os.getppid() == parent and not closed.is_set():
        try:
            await asyncio.wait_for(closed.wait(), PARENT_CHECK_S)
        except TimeoutError:
            continue
    # nothing is left to be saved, and a graceful shutdown would wait for open connections
    os._exit(0)


if __name__ == "__main__":
    main()
