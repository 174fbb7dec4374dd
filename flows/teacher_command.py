"""`synth teacher`: launches a recipe's teacher for several runs, and checks servers."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows import loop
from flows.recipe_file import load_recipe
from synth.errors import ExitCode, InputError, RecipeError
from synth.teacher.vllm.probe import Status
from synth.teacher.vllm.probe import status as status_of
from synth.teacher.vllm.server import KEY
from synth.teacher.wire import parted

MIN_COLUMNS = 140


def teacher(arguments: Namespace) -> int:
    """Launches a recipe's teacher, or checks servers."""
    return int({"start": start, "status": status}[arguments.action](arguments))


def start(arguments: Namespace) -> int:
    """Launches the recipe's teacher until Ctrl-C. Prints its addresses, one per line."""
    plan = load_recipe(arguments.recipe, overrides=arguments.set)
    config = plan.teacher
    if config is None or not config.starts:
        raise RecipeError(
            f"{arguments.recipe} does not launch a teacher; set `teacher: {{model: …}}` without an "
            "address, or `teacher: embedded`, in the recipe or with `--set 'teacher={model: …}'`"
        )
    logs = arguments.logs or Path("outputs") / plan.name / "teacher"

    async def go() -> None:
        async with config.backend().up(logs, _say) as endpoint:
            print(*endpoint.urls, sep="\n", flush=True)
            key = KEY if endpoint.api_key else None
            command = how_to_use(arguments.recipe, endpoint.urls, key)
            _say(f"use it from another terminal (Ctrl-C here stops it):\n  {command}")
            raise await endpoint.lost()

    try:
        loop.run(go())
    except KeyboardInterrupt:
        _say("the teacher has stopped")
    return ExitCode.OK


def how_to_use(recipe: str, urls: Sequence[str], api_key_env: str | None) -> str:
    """Returns the command that runs the recipe with this teacher."""
    if len(urls) == 1 and api_key_env is None:
        use = f"--teacher {urls[0]}"
    else:
        key = f", api_key_env: {api_key_env}" if api_key_env else ""
        use = f"--set 'teacher={{urls: [{', '.join(urls)}]{key}}}'"
    return f"synth run {shlex.quote(recipe)} {use}"


def status(arguments: Namespace) -> int:
    """Prints a table of the servers. The exit code shows whether all of them answer."""
    key = os.environ.get(arguments.api_key_env) if arguments.api_key_env else None
    if arguments.api_key_env and not key:
        raise InputError(
            f"--api-key-env: ${arguments.api_key_env} is not set; set it to the API key"
        )

    async def go() -> list[Status]:

        return await asyncio.gather(*(status_of(_address(url), key) for url in arguments.url))

    found = loop.run(go())
    print_status(found)
    return ExitCode.INFRASTRUCTURE if any(server.trouble for server in found) else ExitCode.OK


def _address(url: str) -> str:
    """Completes an address such as `127.0.0.1:8000`, with or without scheme and /v1."""
    server, query = parted(url if "://" in url else f"http://{url}")
    return f"{server.removesuffix('/v1')}/v1{query}"


def print_status(servers: list[Status]) -> None:
    """Prints one line per server; `-` marks values that it does not report."""

    table = Table(box=None, pad_edge=False)
    for column in ("teacher", "answers", "model", "version"):
        table.add_column(column, overflow="fold")
    for column in ("max_model_len", "running", "waiting", "KV cache", "prefix hits"):
        table.add_column(column, justify="right", no_wrap=True)
    for server in servers:
        load = server.load
        cells = (
            server.url,
            server.trouble or f"a token in {server.token_s:.2f} s",
            server.model or "-",
            server.version or "-",
            _number(server.max_model_len),
            _number(load.running if load else None),
            _number(load.waiting if load else None),
            _share(load.cache if load else None),
            _share(server.prefix_hits),
        )
        table.add_row(*(Text(cell) for cell in cells))
    console = Console()
    console.width = max(console.width, MIN_COLUMNS)  # a wrapped address cannot be copied
    console.print(table)
    _print_abilities(console, [server for server in servers if server.abilities])


def _print_abilities(console: Console, servers: list[Status]) -> None:
    """Prints which features that a recipe may need each server supports, a column per server."""

    if not servers:
        return
    table = Table(
        box=None, pad_edge=False, title="\nfeatures that a recipe may need", title_justify="left"
    )
    table.add_column("")
    for server in servers:
        table.add_column(server.url, overflow="fold")
    for need in servers[0].abilities:
        table.add_row(need, *(Text(server.abilities[need].detail) for server in servers))
    metrics = ("-" if server.load is None else "yes" for server in servers)
    table.add_row("metrics, prefix cache", *metrics)
    console.print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
