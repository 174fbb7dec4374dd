"""A request as vLLM reads it: checked, measured, and refused in vLLM's own words and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from synth.teacher.rehearsal.text import count_tokens

MODEL = "rehearsal"
MAX_MODEL_LEN = 8192
TURN_TOKENS = 4
"""What a chat template adds to each turn."""


class BadRequestError(Exception):
    """A request that is answered with an error body."""

    def __init__(
        self,
        message: str,
        kind: str = "BadRequestError",
        param: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.kind, self.param, self.status = kind, param, status


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request."""

    turns: list[tuple[str, str]]
    """(role, text) of each."""
    schema: dict[str, Any] | None
    n: int
    greedy: bool
    """Temperature 0: the samples of a request are all the same."""
    max_tokens: int
    prompt_tokens: int
    digest: bytes
    """sha256 of the body with sorted keys: two spellings of one request are one request."""
    greedy_digest: bytes
    """The same without what a greedy reply does not depend on: the seed and n."""


def error_body(error: BadRequestError) -> dict[str, Any]:
    """The error in vLLM's shape."""
    return {
        "error": {
            "message": str(error),
            "type": error.kind,
            "param": error.param,
            "code": error.status,
        }
    }


def read_request(body: bytes) -> Asked:
    """The request in a chat completion's body. Raises BadRequestError as vLLM refuses it."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"Invalid JSON: {error}") from error
    if not isinstance(payload, dict):
        raise BadRequestError("The body must be a JSON object.")
    turns = _turns(payload.get("messages"))
    model = payload.get("model")
    if model != MODEL:
        message = f"The model `{model}` does not exist."
        raise BadRequestError(message, "NotFoundError", "model", 404)
    if payload.get("stream"):
        raise BadRequestError("The rehearsal teacher does not stream.", param="stream")
    n = _whole(payload, "n", 1, 1, 128)
    tokens = sum(count_tokens(text) + TURN_TOKENS for _, text in turns)
    wanted = payload.get("max_completion_tokens")
    name = "max_tokens" if wanted is None else "max_completion_tokens"
    room = max(MAX_MODEL_LEN - tokens, 0)
    max_tokens = _whole(payload, name, max(room, 1), 1, 2**31)
    if tokens + max_tokens > MAX_MODEL_LEN:
        raise BadRequestError(
            f"This model's maximum context length is {MAX_MODEL_LEN} tokens. However, you "
            f"requested {max_tokens} output tokens and your prompt contains at least {tokens} "
            f"input tokens, for a total of at least {tokens + max_tokens} tokens. Please reduce "
            "the length of the input prompt or the number of requested output tokens.",
            param="input_tokens",
        )
    temperature = payload.get("temperature")
    if temperature is not None and not (_is_number(temperature) and temperature >= 0):
        raise BadRequestError("temperature must be non-negative.", param="temperature")
    return Asked(
        turns=turns,
        schema=_schema(payload.get("response_format")),
        n=n,
        greedy=temperature == 0,
        max_tokens=max_tokens,
        prompt_tokens=tokens,
        digest=_digest(payload),
        greedy_digest=_digest({key: payload[key] for key in payload.keys() - {"seed", "n"}}),
    )


def _digest(payload: dict[str, Any]) -> bytes:
    return sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).digest()


def _turns(messages: Any) -> list[tuple[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list with at least one turn.", param="messages")
    turns = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequestError("Every message needs a role and a content.", param="messages")
        content = message.get("content")
        if isinstance(content, list):
            parts = [part.get("text") for part in content if isinstance(part, dict)]
            content = "\n".join(part for part in parts if isinstance(part, str))
        if not isinstance(content, str):
            raise BadRequestError("Every message needs a role and a content.", param="messages")
        turns.append((message["role"], content))
    return turns


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(payload: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = payload.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequestError(f"{name} must be a whole number from {low} to {high}.", param=name)
    return value


def _schema(response_format: Any) -> dict[str, Any] | None:
    """The JSON schema that the reply must follow; an open object for `json_object`."""
    if response_format is None:
        return None
    if not isinstance(response_format, dict):
        raise BadRequestError("response_format must be an object.", param="response_format")
    match response_format.get("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "object", "properties": {"reply": {"type": "string"}}}
        case "json_schema":
            described = response_format.get("json_schema")
            schema = described.get("schema") if isinstance(described, dict) else None
            if isinstance(schema, dict):
                return schema
    raise BadRequestError("response_format needs a type and a schema.", param="response_format")
