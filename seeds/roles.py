"""Which column of a file is the prompt, the text, the gold answer; and whether there is one at all.

Gold answers are taken from columns that name themselves so: `output`, `response` or `solution`
only where the recipe says it. A wrong gold answer would reject the right ones later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from seeds.formats import LOOK_AHEAD_ROWS, look_ahead
from seeds.inputs import Format, Input, SettingError
from synth.errors import InputError, did_you_mean

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


def roles_of_all(
    files: list[Input], job: Job, wanted: Mapping[str, str], max_line_bytes: int
) -> dict[str, dict[str, str]]:
    """Label to roles. Raises `InputError` for what makes a file, or all of them, unusable."""
    roles: dict[str, dict[str, str]] = {}
    columns: dict[str, None] = {}
    has_rows = False
    for file in files:
        ahead = look_ahead(file, web=job == "web", max_line_bytes=max_line_bytes)
        if file.given and not ahead.has_rows:
            raise InputError(f"{file.path} has no rows: leave it out, or fetch it again")
        roles[file.label] = find_roles(ahead.columns, wanted, job)
        columns.update(dict.fromkeys(ahead.columns))
        has_rows = has_rows or ahead.has_rows
        if ahead.has_rows:
            _check_main_role(job, bool(wanted), file, roles[file.label], ahead.columns)
    if not has_rows:
        raise InputError(f"no rows in {_names(files)}: correct the path")
    for role, column in wanted.items():
        if column not in columns:
            raise InputError(_no_such_column(_names(files), role, column, columns))
    return roles


def _check_main_role(
    job: Job, named: bool, file: Input, roles: dict[str, str], columns: list[str]
) -> None:
    if file.format is Format.TEXT and named:
        raise InputError(f"{file.path} is plain text, so it has no columns to name")
    for either, names in MAIN_ROLES[job]:
        for role in either:
            if role in roles and roles[role] not in columns:
                raise InputError(_no_such_column(str(file.path), role, roles[role], columns))
        if not any(role in roles for role in either):
            near = next((name for name in columns if name.casefold() in names), "NAME")
            raise SettingError(
                f"{file.path} has no column that is known to hold the {either[0]}; it has: "
                f"{_listed(columns)}; known: {', '.join(names)}; name yours with",
                "columns",
                f"{{{either[0]}: {near}}}",
                _about_header(file),
            )


def _no_such_column(where: str, role: str, column: str, columns: Iterable[str]) -> str:
    return (
        f"no column {column!r} for the {role} in {where}; columns there: {_listed(columns)} (in "
        f"JSON lines the first {LOOK_AHEAD_ROWS:,} rows are read){did_you_mean(column, columns)}"
    )


def _about_header(file: Input) -> str:
    return "; the first line of a CSV must name its columns" if file.format is Format.CSV else ""


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in list(columns)[:40]) or "none"


def _names(files: list[Input]) -> str:
    return str(files[0].path) if len(files) == 1 else f"any of the {len(files)} files"


def unknown_role(role: object, column: object, job: Job) -> str:
    """What is wrong with a role that this kind of input does not have, and which was meant."""
    known = sorted(ROLES[job])
    problem = f"{role!r} is no role of a column in `{job}`; known: {', '.join(known)}"
    if column in known:
        return f"{problem}; the role comes first: `{column}: {role}`"
    usual = {
        **dict.fromkeys(PROMPT_COLUMNS, "prompt"),
        **dict.fromkeys(TURN_COLUMNS, "messages"),
        **dict.fromkeys(RESPONSE_COLUMNS, "response"),
        **dict.fromkeys(TEXT_COLUMNS, "text"),
    }
    meant = usual.get(str(role).casefold())
    return f"{problem}{did_you_mean(meant if meant in known else str(role), known)}"


def job_of(columns: Iterable[str], wanted: Mapping[str, str]) -> str:
    """What rows with these columns are, by the roles named and by common names: `web`, `answers`,
    or else `prompts`."""

    seen = set(columns)
    for job in ("web", "answers"):
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
