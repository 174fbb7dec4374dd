"""Which column of a row is the prompt, the text or the gold answer, and the row's content by them.

A row of an input, and its content:

    {"instruction": "Add up.", "input": "3, 4", "answer": 7, "id": "q1"}
    context: [user: "Add up.\\n\\n3, 4"], reference.answer: "7", meta: {"id": "q1"}

Every column without a role goes to `meta` under its own name. Gold answers are taken from columns
that name themselves so: `output`, `response` or `solution` only where the user says it. A wrong
gold answer would reject the right ones later.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Literal, get_args

from synth.kind import Kind

SPEAKERS = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
}

PromptRole = Literal["prompt", "messages", "system", "answer", "tests", "entry_point"]
WebRole = Literal["text", "title", "url"]
AnswerRole = Literal["response"]
PROMPT_ROLES: frozenset[str] = frozenset(get_args(PromptRole))
ROLES: dict[Job, frozenset[str]] = {
    "prompts": PROMPT_ROLES,
    "web": frozenset(get_args(WebRole)),
    "answers": PROMPT_ROLES | frozenset(get_args(AnswerRole)),
}
Job = Literal["prompts", "web", "answers"]
KINDS: dict[Job, Kind] = {"prompts": Kind.PROMPTS, "web": Kind.DOCUMENTS, "answers": Kind.ANSWERS}

# In order of preference. `prompt` may hold turns too, as TRL writes them.
PROMPT_COLUMNS = ("prompt", "instruction", "question", "problem", "query")
TURN_COLUMNS = ("messages", "conversations")
LAST_RESORT = "input"  # beside `instruction` it is the second half of the prompt
RESPONSE_COLUMNS = ("response", "completion", "output", "generation", "solution")
TEXT_COLUMNS = ("text", "content", "body", "markdown", "page_content")
OPTIONAL = {
    "answer": ("answer", "reference_answer", "ground_truth", "reference"),
    "tests": ("tests", "test_list", "input_output"),
    "system": ("system", "system_prompt"),
}
# For each job: of these roles one at least must be found, among columns of these names.
MAIN_ROLES: dict[Job, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "web": [(("text",), TEXT_COLUMNS)],
    "prompts": [(("prompt", "messages"), (*PROMPT_COLUMNS, *TURN_COLUMNS, LAST_RESORT))],
    "answers": [
        (("prompt", "messages"), (*PROMPT_COLUMNS, *TURN_COLUMNS, LAST_RESORT)),
        (("response", "messages"), (*RESPONSE_COLUMNS, *TURN_COLUMNS)),
    ],
}


def job_of(columns: Iterable[str], wanted: Mapping[str, str]) -> Job:
    """What rows with these columns are, by the roles named and by common names: `web`, `answers`,
    or else `prompts`."""

    seen = set(columns)
    others: tuple[Job, ...] = ("web", "answers")
    for job in others:
        roles = find_roles(seen, wanted, job)
        if ROLES[job] >= set(wanted) and all(
            any(role in roles for role in either) for either, _ in MAIN_ROLES[job]
        ):
            return job
    return "prompts"


def find_roles(columns: Iterable[str], wanted: Mapping[str, str], job: str) -> dict[str, str]:
    """Role to column: as `wanted`, and what is not said there by common names.

    The answer, tests and system columns are looked for only where nothing at all is wanted. The
    result lacks what `MAIN_ROLES` asks for where no column fits.
    """
    seen = set(columns)
    found = dict(wanted)
    if job == "web":
        if "text" not in found and (name := _first(TEXT_COLUMNS, seen)):
            found["text"] = name
        return found
    if not wanted:
        for role, names in OPTIONAL.items():
            if name := _first(names, seen):
                found[role] = name
        if "tests" not in found and {"test", "entry_point"} <= seen:  # HumanEval
            found |= {"tests": "test", "entry_point": "entry_point"}
    if "prompt" not in found and "messages" not in found:
        free = seen - set(found.values())
        if name := _first(PROMPT_COLUMNS, free):
            found["prompt"] = name
        elif name := _first(TURN_COLUMNS, free):
            found["messages"] = name
        elif LAST_RESORT in free:
            found["prompt"] = LAST_RESORT
    if job == "answers" and "response" not in found:
        free = seen - set(found.values())
        if name := _first(RESPONSE_COLUMNS, free):
            found["response"] = name
        elif not wanted and "messages" not in found and (name := _first(TURN_COLUMNS, free)):
            found.pop("prompt")  # the turns that end in the answer hold it too
            found["messages"] = name
    return found


def _first(names: Iterable[str], seen: set[str]) -> str | None:
    return next((name for name in names if name in seen), None)


class UnusableError(Exception):
    """A row that is set aside: `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Content:
    """What a row says, by role."""

    turns: list[dict[str, str]] = field(default_factory=list)
    text: str = ""
    answer: str | None = None
    tests: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


def rest(values: Mapping[str, Any], roles: Mapping[str, str]) -> dict[str, Any]:
    """The values of the columns that have no role; a release's `meta` comes as it was before."""
    others = dict(values)
    for column in roles.values():
        others.pop(column, None)
    given = others.get("meta")
    if isinstance(given, str) and given.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            meta: dict[str, Any] = json.loads(given)
            del others["meta"]
            return {**meta, **others}
    return others


def read_document(
    values: Mapping[str, Any], roles: Mapping[str, str], max_chars: int | None
) -> Content:
    """The row as a web sample; its title and url stand in `meta` under these names."""
    text = _present(values, roles["text"])
    _check_text(text)
    _check_length(len(text), max_chars)
    meta = rest(values, roles)
    for role in ("title", "url"):
        if (column := roles.get(role)) and values.get(column) is not None:
            meta[role] = values[column]
    return Content(text=text, meta=meta)


def read_prompt(
    values: Mapping[str, Any], roles: Mapping[str, str], max_chars: int | None
) -> Content:
    """The row as a prompt: the system turn, then the turns given, then the prompt as the last one.

    A conversation ends with its last user turn. Where that leaves out an answer, or turns say more
    than who says what (tool calls, say), the column stays in `meta` as it came.
    """
    content = Content(meta=rest(values, roles))
    _read_beside(content, values, roles)
    if "messages" in roles:
        given = _present(values, roles["messages"])
        _add_turns(content, given, roles["messages"], last="prompt" not in roles)
    if "prompt" in roles:
        column = roles["prompt"]
        prompt = _present(values, column)
        if isinstance(prompt, list):
            _add_turns(content, prompt, column, last=True)
        else:
            _check_text(prompt)
            joined = prompt + _second_half(column, content.meta)
            content.turns.append({"role": "user", "content": joined})
    _check_length(sum(len(turn["content"]) for turn in content.turns), max_chars)
    return content


def _read_beside(content: Content, values: Mapping[str, Any], roles: Mapping[str, str]) -> None:
    """What stands beside the turns: the system turn, the gold answer and the tests."""
    system = values.get(roles.get("system", ""))
    if system not in (None, ""):
        _check_text(system)
        content.turns.append({"role": "system", "content": system})
    answer, tests = values.get(roles.get("answer", "")), values.get(roles.get("tests", ""))
    if isinstance(answer, dict) and answer.keys() == {"answer", "tests", "source"}:
        answer, tests = answer["answer"], answer["tests"]  # `reference` of a release of ours
    content.answer = _gold(answer)
    content.tests = _tests(tests, values.get(roles.get("entry_point", "")))


def read_answer(
    values: Mapping[str, Any], roles: Mapping[str, str], max_chars: int | None
) -> Content:
    """The row as a prompt with its answer: the column of the response, else the last turn."""
    if "response" in roles:
        content = read_prompt(values, roles, None)
        content.text = _response(_present(values, roles["response"]))
    else:
        content = Content(meta=rest(values, roles))
        _read_beside(content, values, roles)
        given = _present(values, roles["messages"])
        _add_turns(content, given, roles["messages"], last=False)
        content.text = _said_last(content.turns)
    if not any(turn["role"] == "user" for turn in content.turns):
        raise UnusableError("no_user_turn")
    _check_length(sum(len(turn["content"]) for turn in content.turns), max_chars)
    _check_length(len(content.text), max_chars)
    return content


def _tests(tests: object, entry_point: object) -> str | None:
    """Tests as text: a program, or JSON where they come as values.

    With an entry point, `check` is called with it at the end, as HumanEval's own harness does.
    """
    if isinstance(tests, list) and all(isinstance(test, str) for test in tests):
        tests = "\n".join(tests)  # MBPP: one assert each
    elif isinstance(tests, dict) or (
        isinstance(tests, list) and all(isinstance(test, dict) for test in tests)
    ):
        tests = json.dumps(tests, default=str)  # APPS: {"inputs": […], "outputs": […]}
    text = _gold(tests)
    name = _gold(entry_point)
    return f"{text}\n\ncheck({name})\n" if text and name and "def check(" in text else text


def _response(value: object) -> str:
    """An answer as text, or as TRL writes completions: turns, of which the last is it."""
    if isinstance(value, list):
        return _said_last([_turn(turn) for turn in value])
    return _checked_text(value)


def _said_last(turns: list[dict[str, str]]) -> str:
    """The assistant's words at the end, taken off the turns."""
    if not turns or turns[-1]["role"] != "assistant":
        raise UnusableError("no_assistant_turn")
    return _checked_text(turns.pop()["content"])


def _present(values: Mapping[str, Any], column: str) -> Any:
    value = values.get(column)
    if value is None:
        raise UnusableError("missing_column")
    return value


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise UnusableError("wrong_type")
    if not text or text.isspace():
        raise UnusableError("empty_text")
    _check_nul(text)


def _checked_text(text: object) -> str:
    _check_text(text)
    assert isinstance(text, str)
    return text


def _check_nul(text: str) -> None:
    if "\0" in text:  # no tokenizer, database or C library down the line agrees on what it means
        raise UnusableError("nul_byte")


def _check_length(chars: int, max_chars: int | None) -> None:
    if max_chars is not None and chars > max_chars:
        raise UnusableError("text_too_long")


def _second_half(column: str, meta: dict[str, Any]) -> str:
    """Alpaca's `input` beside an `instruction`, set off by a blank line."""
    more = meta.get("input")
    if column != "instruction" or not isinstance(more, str):
        return ""
    _check_nul(more)
    del meta["input"]
    return f"\n\n{more}" if more and not more.isspace() else ""


def _add_turns(content: Content, turns: object, column: str, *, last: bool) -> None:
    if not isinstance(turns, list):
        raise UnusableError("wrong_type")
    if not turns:
        raise UnusableError("empty_text")
    read = [_turn(turn) for turn in turns]
    if last:
        while read and read[-1]["role"] != "user":
            read.pop()
        if not read:
            raise UnusableError("no_user_turn")
        _check_text(read[-1]["content"])
    if len(read) < len(turns) or any(len(turn) > 2 for turn in turns):
        content.meta[column] = turns
    content.turns.extend(read)


def _turn(turn: object) -> dict[str, str]:
    """A turn as `{"role", "content"}`; ShareGPT's `{"from", "value"}` is one too."""
    if not isinstance(turn, dict):
        raise UnusableError("wrong_type")
    speaker = turn.get("role") or turn.get("from")
    said = turn["content"] if turn.get("content") is not None else turn.get("value")
    if not isinstance(said, str) or not isinstance(speaker, str):
        raise UnusableError("wrong_type")
    if speaker not in SPEAKERS:
        raise UnusableError("unknown_speaker")
    _check_nul(said)
    return {"role": SPEAKERS[speaker], "content": said}


def _gold(value: object) -> str | None:
    """A gold answer as text: a number as JSON writes it; None for nothing and for blank text."""
    if isinstance(value, str):
        _check_nul(value)
        return value if value and not value.isspace() else None
    if value is None or value != value:  # NaN: a hole in a column of numbers
        return None
    if isinstance(value, int | float):
        return json.dumps(value)
    raise UnusableError("wrong_type")


READERS = {"prompts": read_prompt, "web": read_document, "answers": read_answer}


def plain(value: Any) -> Any:
    """The value as JSON can say it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return str(value)  # Decimal, timedelta, UUID
