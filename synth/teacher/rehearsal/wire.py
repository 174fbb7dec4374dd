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
BESIDE = frozenset({"logprobs", "top_logprobs", "priority", "request_id"})
"""What changes how a reply is delivered, or what is told with it, and not the reply."""


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
    logprobs: bool
    n: int
    greedy: bool
    """Temperature 0: the samples of a request are all the same."""
    max_tokens: int
    prompt_tokens: int
    digest: bytes
    """sha256 of the body with sorted keys, without what no reply depends on: two spellings of one
    request are one request."""
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
    max_tokens = _whole(payload, name, MAX_MODEL_LEN, 1, 2**31)
    if max_tokens > MAX_MODEL_LEN:
        raise BadRequestError(
            f"{name}={max_tokens} cannot be greater than max_model_len={MAX_MODEL_LEN}. "
            "Please request fewer output tokens.",
            param=name,
        )
    if tokens >= MAX_MODEL_LEN:
        raise BadRequestError(
            f"This model's maximum context length is {MAX_MODEL_LEN} tokens. However, your prompt "
            f"contains at least {tokens} input tokens, which exceeds this limit even without any "
            "output tokens. Please reduce the length of the input prompt.",
            param="input_tokens",
        )
    temperature = payload.get("temperature")
    if temperature is not None and not (_is_number(temperature) and temperature >= 0):
        raise BadRequestError("temperature must be non-negative.", param="temperature")
    if n > 1 and temperature == 0:
        raise BadRequestError(f"n must be 1 when using greedy sampling, got {n}.", param="n")
    return Asked(
        turns=turns,
        schema=_schema(payload.get("response_format")),
        logprobs=bool(payload.get("logprobs")),
        n=n,
        greedy=temperature == 0,
        max_tokens=min(max_tokens, MAX_MODEL_LEN - tokens),  # cut and not refused, as vLLM does
        prompt_tokens=tokens,
        digest=_digest(payload, BESIDE),
        greedy_digest=_digest(payload, BESIDE | {"seed", "n"}),
    )


def _digest(payload: dict[str, Any], without: frozenset[str]) -> bytes:
    kept = {key: value for key, value in payload.items() if key not in without}
    return sha256(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).digest()


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
