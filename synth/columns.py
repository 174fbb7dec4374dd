"""Finds which columns hold the prompt, the text or the gold answer, and reads rows accordingly.

An input row, and its content:

    {"instruction": "Add up.", "input": "3, 4", "answer": 7, "id": "q1"}
    context: [user: "Add up.\\n\\n3, 4"], reference.answer: "7", meta: {"id": "q1"}

Columns without a role go to `meta` under their own names. Gold answers come from columns whose name
says so, such as `answer`. A column such as `output`, `response` or `solution` is used only if the
user names it, because a wrong gold answer would later reject right answers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Literal, get_args

from synth.kind import Kind
from synth.record import ToolCall, Turn, new_record
from synth.text.reasoning import without_reasoning
from synth.turns import REASONING, UnusableError, check_nul, read_tools, read_turns

PromptRole = Literal["prompt", "messages", "system", "answer", "tests", "entry_point", "tools"]
WebRole = Literal["text", "title", "url"]
AnswerRole = Literal["response", "reasoning", "rejected"]
PROMPT_ROLES: frozenset[str] = frozenset(get_args(PromptRole))
ROLES: dict[Job, frozenset[str]] = {
    "prompts": PROMPT_ROLES,
    "web": frozenset(get_args(WebRole)),
    "answers": PROMPT_ROLES | frozenset(get_args(AnswerRole)),
}
Job = Literal["prompts", "web", "answers"]
KINDS: dict[Job, Kind] = {"prompts": Kind.PROMPTS, "web": Kind.DOCUMENTS, "answers": Kind.ANSWERS}

# In order of preference. `prompt` may also hold turns, as in TRL's format.
PROMPT_COLUMNS = ("prompt", "instruction", "question", "problem", "query")
TURN_COLUMNS = ("messages", "conversations")
LAST_RESORT = "input"  # with `instruction`, it is the second half of the prompt
RESPONSE_COLUMNS = ("response", "completion", "output", "generation", "solution", "chosen")
TEXT_COLUMNS = ("text", "content", "body", "markdown", "page_content")
OPTIONAL = {
    "answer": ("answer", "reference_answer", "ground_truth", "reference"),
    "tests": ("tests", "test_list", "input_output"),
    "system": ("system", "system_prompt"),
}
# Found even if the user names other columns: they decide about no verdict.
BESIDE: dict[str, tuple[str, ...]] = {"tools": ("tools",)}
BESIDE_ANSWERS = {"reasoning": REASONING, "rejected": ("rejected",)}
# For each job: pairs of roles and common column names. Each pair needs at least one of its roles.
MAIN_ROLES: dict[Job, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "web": [(("text",), TEXT_COLUMNS)],
    "prompts": [(("prompt", "messages"), (*PROMPT_COLUMNS, *TURN_COLUMNS, LAST_RESORT))],
    "answers": [
        (("prompt", "messages"), (*PROMPT_COLUMNS, *TURN_COLUMNS, LAST_RESORT)),
        (("response", "messages"), (*RESPONSE_COLUMNS, *TURN_COLUMNS)),
    ],
}


def job_of(columns: Iterable[str], wanted: Mapping[str, str]) -> Job:
    """The job that fits these columns: `web`, `answers`, or else `prompts`.

    Decided by the roles in `wanted` and by common column names.
    """
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
    """Maps roles to columns: those in `wanted`, and the others by common column names.

    Answer, tests and system columns are searched for only if `wanted` is empty. Roles that
    `MAIN_ROLES` needs are missing from the result if no column fits.
    """
    seen = set(columns)
    found = dict(wanted)
    if {"trail", "reference"} <= seen:  # one of our releases, where it is the gold answer again
        seen.discard("solution")
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
            found.pop("prompt")  # the turns that end in the answer contain the prompt
            found["messages"] = name
        if found.get("response") == "chosen" and not {"prompt", "messages"} & found.keys():
            found["messages"] = found.pop("response")  # TRL's pairs may hold the prompt in both
    for role, names in (BESIDE | (BESIDE_ANSWERS if job == "answers" else {})).items():
        if role not in found and (name := _first(names, seen - set(found.values()))):
            found[role] = name
    return found


def _first(names: Iterable[str], seen: set[str]) -> str | None:
    return next((name for name in names if name in seen), None)


@dataclass(slots=True)
class Content:
    """The content of a row, by role."""

    turns: list[Turn] = field(default_factory=list)
    text: str = ""
    tool_calls: list[ToolCall] | None = None
    reasoning: str | None = None
    rejected: str | None = None
    tools: str | None = None
    answer: str | None = None
    tests: str | None = None
    source: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def record(self, **others: Any) -> dict[str, Any]:
        """The record with this content; `others` go to `new_record`."""
        reference = {"answer": self.answer, "tests": self.tests, "source": self.source}
        return {
            **new_record(
                context=self.turns,
                text=self.text,
                tool_calls=self.tool_calls,
                reference=reference,
                **others,
            ),
            "reasoning": self.reasoning,
            "rejected": self.rejected,
            "tools": self.tools,
        }


def rest(values: Mapping[str, Any], roles: Mapping[str, str]) -> dict[str, Any]:
    """The values of the columns without a role. The `meta` of a release is unpacked."""
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
    """The row as a web document. Its title and URL go to `meta` as `title` and `url`."""
    text = _present(values, roles["text"])
    _check_text(text)
    _check_length(len(text), max_chars)
    meta = rest(values, roles)
    for role in ("title", "url"):
        if (column := roles.get(role)) and values.get(column) is not None:
            meta[role] = values[column]
    return Content(text=text, meta=meta)


def read_prompt(
    values: Mapping[str, Any],
    roles: Mapping[str, str],
    max_chars: int | None,
    ends: tuple[str, ...] = ("user",),
) -> Content:
    """The row as a prompt: the system turn, then the given turns, then the prompt as the last turn.

    A conversation is cut after its last turn of a role in `ends`. If that drops an answer, or if
    turns have keys that are not known, `meta` keeps the unchanged column.
    """
    content = Content(meta=rest(values, roles))
    _read_extras(content, values, roles)
    if "messages" in roles:
        given = _present(values, roles["messages"])
        _add_turns(content, given, roles["messages"], () if "prompt" in roles else ends)
    if "prompt" in roles:
        column = roles["prompt"]
        prompt = _present(values, column)
        if isinstance(prompt, list):
            _add_turns(content, prompt, column, ends)
        else:
            _check_text(prompt)
            joined = prompt + _second_half(column, content.meta)
            content.turns.append({"role": "user", "content": joined})
    _check_length(sum(len(turn["content"]) for turn in content.turns), max_chars)
    return content


def _read_extras(content: Content, values: Mapping[str, Any], roles: Mapping[str, str]) -> None:
    """Reads the system turn, the tools, the gold answer and the tests into `content`."""
    system = values.get(roles.get("system", ""))
    if system not in (None, ""):
        _check_text(system)
        content.turns.append({"role": "system", "content": system})
    answer, tests = values.get(roles.get("answer", "")), values.get(roles.get("tests", ""))
    if isinstance(answer, dict) and answer.keys() == {"answer", "tests", "source"}:
        content.source = answer["source"]
        answer, tests = answer["answer"], answer["tests"]  # `reference` in one of our releases
    content.answer = _gold(answer)
    content.tests = _tests(tests, values.get(roles.get("entry_point", "")))
    column = roles.get("tools", "")
    if (given := values.get(column)) is not None:
        content.tools = read_tools(given)
        if content.tools is None and given not in ("", []):
            content.meta[column] = given  # a column of this name may hold anything
    if values.get("images"):
        raise UnusableError("image_in_chat")


def read_answer(
    values: Mapping[str, Any], roles: Mapping[str, str], max_chars: int | None
) -> Content:
    """The row as a prompt with its answer: the response column, or else the last turn.

    The answer is text, tool calls or both.
    Reasoning comes from its column, from the answer's turn, or from the start of the answer.
    """
    if "response" in roles:
        content = read_prompt(values, roles, None, ("user", "tool"))
        answer = _answer(content, _present(values, roles["response"]))
    else:
        content = Content(meta=rest(values, roles))
        _read_extras(content, values, roles)
        given = _present(values, roles["messages"])
        _add_turns(content, given, roles["messages"], ())
        answer = _pop_answer(content.turns)
    _read_reasoning(content, answer, values, roles.get("reasoning", ""))
    _read_rejected(content, values, roles.get("rejected", ""))
    if not any(turn["role"] == "user" for turn in content.turns):
        raise UnusableError("no_user_turn")
    _check_length(sum(len(turn["content"]) for turn in content.turns), max_chars)
    _check_length(len(content.text), max_chars)
    return content


def _read_reasoning(content: Content, answer: Turn, values: Mapping[str, Any], column: str) -> None:
    """Reads the answer's text, its tool calls and its reasoning into `content`."""
    given = values.get(column)
    if isinstance(given, str):
        check_nul(given)
    elif given is not None:
        content.meta[column] = given  # a column of this name may hold anything
    own = given if isinstance(given, str) and given.strip() else answer.get("reasoning_content")
    text, content.reasoning, ended = without_reasoning(answer["content"], own)
    if not ended:
        raise UnusableError("reasoning_unfinished")
    content.tool_calls = answer.get("tool_calls")
    if not content.tool_calls:
        _check_text(text)
    content.text = text.strip() if content.tool_calls else text


def _read_rejected(content: Content, values: Mapping[str, Any], column: str) -> None:
    """Reads the worse answer of a pair into `content`."""
    given = values.get(column)
    if isinstance(given, str) and given.strip():
        check_nul(given)
        content.rejected = given
    elif isinstance(given, list) and given:
        answer = _pop_answer(read_turns(given).turns)
        if "tool_calls" in answer:
            raise UnusableError("rejected_calls_tool")
        content.rejected = _checked_text(answer["content"])
        if reasoning := answer.get("reasoning_content"):
            content.meta["rejected_reasoning"] = reasoning
    elif given not in (None, "", []):
        content.meta[column] = given  # a column of this name may hold anything


def _tests(tests: object, entry_point: object) -> str | None:
    """Tests as text: a program, or JSON if the tests are values.

    With an entry point, the program ends by calling `check` with it, as HumanEval's harness does.
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


def _answer(content: Content, value: object) -> Turn:
    """The answer in a response column: text, or turns that end in it (TRL's completions).

    The turns before it are added to `content`, unless they repeat the prompt.
    """
    if not isinstance(value, list):
        return Turn(role="assistant", content=_checked_text(value))
    turns = read_turns(value).turns
    answer = _pop_answer(turns)
    if turns[: len(content.turns)] == content.turns or content.turns[-len(turns) :] == turns:
        content.turns = max(content.turns, turns, key=len)
    else:
        content.turns.extend(turns)
    return answer


def _pop_answer(turns: list[Turn]) -> Turn:
    """Removes the last turn, which must be an assistant's, and returns it."""
    if not turns or turns[-1]["role"] != "assistant":
        raise UnusableError("no_assistant_turn")
    if not turns[-1].get("tool_calls"):
        _check_text(turns[-1]["content"])
    return turns.pop()


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
    check_nul(text)


def _checked_text(text: object) -> str:
    _check_text(text)
    assert isinstance(text, str)
    return text


def _check_length(chars: int, max_chars: int | None) -> None:
    if max_chars is not None and chars > max_chars:
        raise UnusableError("text_too_long")


def _second_half(column: str, meta: dict[str, Any]) -> str:
    """Alpaca's `input` column, which continues the `instruction` after a blank line."""
    more = meta.get("input")
    if column != "instruction" or not isinstance(more, str):
        return ""
    check_nul(more)
    del meta["input"]
    return f"\n\n{more}" if more and not more.isspace() else ""


def _add_turns(content: Content, turns: object, column: str, ends: tuple[str, ...]) -> None:
    read, whole = read_turns(turns)
    given = len(read)
    if ends:
        # a chat that ends in a tool's result is answered from there
        while read and read[-1]["role"] not in ends and (len(read) < given or not _awaits(read)):
            read.pop()
        if not read:
            raise UnusableError("no_user_turn")
        if read[-1]["role"] == "user":
            _check_text(read[-1]["content"])
    if len(read) < given or not whole:
        content.meta[column] = turns
    content.turns.extend(read)


def _awaits(turns: list[Turn]) -> bool:
    """Whether the chat ends in a tool's result, which the assistant has not answered yet."""
    return turns[-1]["role"] == "tool" and any(turn["role"] == "user" for turn in turns)


def _gold(value: object) -> str | None:
    """A gold answer as text. Numbers are written as in JSON; None if it is missing or blank."""
    if isinstance(value, str):
        check_nul(value)
        return value if value and not value.isspace() else None
    if value is None or value != value:  # NaN: a missing value in a column of numbers
        return None
    if isinstance(value, int | float):
        return json.dumps(value)
    raise UnusableError("wrong_type")


READERS = {"prompts": read_prompt, "web": read_document, "answers": read_answer}


def plain(value: Any) -> Any:
    """The value, converted to types that JSON has."""
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
