"""A refusal for length, told in tokens.

{"error": {"message": "This model's maximum context length is 4096 tokens. However, your prompt
 contains at least 5210 input tokens, which exceeds this limit even without any output …"}}
→ "prompt of at least 5,210 tokens > 4,096 of the model"
"""

from __future__ import annotations

import re

_MODEL = r"context length is (?P<model>\d+) tokens"
_PROMPT = r"your prompt contains (?P<least>at least )?(?P<prompt>\d+) input tokens"
WORDINGS = [
    re.compile(wording)
    for wording in (
        # vLLM 0.32, renderers/params.py: the prompt alone, counted or not, and the reply alone
        rf"{_MODEL}\. However, {_PROMPT}",
        rf"{_MODEL}\. However, your prompt contains (?P<characters>\d+) characters",
        r"max_(?:completion_)?tokens=(?P<reply>\d+) cannot be greater than \w+=(?P<model>\d+)",
        # vLLM 0.32, entrypoints/serve/utils/api_utils.py and v1/engine/input_processor.py
        r"Input length \((?P<prompt>\d+)\) exceeds model's maximum .* \((?P<model>\d+)\)",
        r"prompt \(length (?P<prompt>\d+)\).* the maximum model length of (?P<model>\d+)",
        # llama.cpp, tools/server/server-context.cpp
        r"\((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<model>\d+) tokens\)",
        # vLLM before it, which refused prompt and reply together where 0.32 cuts the reply
        rf"{_MODEL}\. However, you requested (?P<reply>\d+) output tokens and {_PROMPT}",
        rf"is too large: (?P<reply>\d+)\. .* {_MODEL} and .* has (?P<prompt>\d+) input tokens",
        rf"{_MODEL}\. .* \((?P<prompt>\d+) in the messages, (?P<reply>\d+) in the completion\)",
        rf"{_MODEL}\. However, (?:you requested|your messages resulted in) (?P<prompt>\d+) tokens",
    )
]
SIGNS = ("context length", "context size", "max_model_len", "maximum model length")


def too_long(said: str) -> str | None:
    """What is too long for the model, in tokens; empty where the words are not known ones, None
    where the refusal has another reason."""
    found = next((match for one in WORDINGS if (match := one.search(said))), None)
    if found is None:
        return "" if any(sign in said for sign in SIGNS) else None
    told = found.groupdict()
    least = told.get("least") or ""
    parts = [
        f"{what} of {least if what == 'prompt' else ''}{int(told[what]):,}"
        for what in ("prompt", "reply")
        if told.get(what)
    ]
    if characters := told.get("characters"):
        return f"prompt of {int(characters):,} characters > {int(told['model']):,} tokens"
    return f"{' + '.join(parts)} tokens > {int(told['model']):,} of the model"
