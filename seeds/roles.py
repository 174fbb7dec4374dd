"""Which column of a file is the prompt, the text, the gold answer; and whether there is one at all.

Gold answers are taken from columns that name themselves so: `output`, `response` or `solution`
only where the recipe says it. A wrong gold answer would reject the right ones later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from seeds.formats import LOOK_AHEAD_ROWS, look_ahead
from seeds.inputs import Format, Input
from synth.errors import InputError

if TYPE_CHECKING:
    from seeds.read import Read

# In order of preference. `prompt` may hold turns too, as TRL writes them.
PROMPT_COLUMNS = ("prompt", "instruction", "question", "problem", "query")
TURN_COLUMNS = ("messages", "conversations")
LAST_RESORT = "input"  # beside `instruction` it is the second half of the prompt
TEXT_COLUMNS = ("text", "content", "body", "markdown", "page_content")
OPTIONAL = {
    "answer": ("answer", "reference_answer", "ground_truth", "reference"),
    "tests": ("tests", "test_list"),
    "system": ("system", "system_prompt"),
}


def roles_of_all(read: Read, files: list[Input]) -> dict[str, dict[str, str]]:
    """Label to roles. Raises `InputError` for what makes a file, or all of them, unusable."""
    web = bool(read.web)
    roles: dict[str, dict[str, str]] = {}
    wanted = {str(role): column for role, column in read.columns.items()}
    columns: dict[str, None] = {}
    has_rows = False
    for file in files:
        ahead = look_ahead(file, web=web, max_line_bytes=read.max_line_bytes)
        if file.given and not ahead.has_rows:
            raise InputError(f"{file.path} has no rows: leave it out, or fetch it again")
        roles[file.label] = find_roles(ahead.columns, wanted, web=web)
        columns.update(dict.fromkeys(ahead.columns))
        has_rows = has_rows or ahead.has_rows
        if ahead.has_rows:
            _check_main_role(read, file, roles[file.label], ahead.columns)
    if not has_rows:
        raise InputError(f"no rows in {_names(files)}: correct the path in the recipe")
    for role, column in wanted.items():
        if column not in columns:
            raise InputError(_no_such_column(_names(files), role, column, columns))
    return roles


def _check_main_role(read: Read, file: Input, roles: dict[str, str], columns: list[str]) -> None:
    if file.format is Format.TEXT and read.columns:
        raise InputError(f"{file.path} is plain text, which has no columns: leave `columns` out")
    main = ("text",) if read.web else ("prompt", "messages")
    for role in main:
        if role in roles and roles[role] not in columns:
            raise InputError(_no_such_column(str(file.path), role, roles[role], columns))
    if not any(role in roles for role in main):
        names = TEXT_COLUMNS if read.web else (*PROMPT_COLUMNS, *TURN_COLUMNS, LAST_RESORT)
        known = ", ".join(names)
        raise InputError(
            f"{file.path} has no column that is known to hold the {main[0]}; it has: "
            f"{_listed(columns)}; known: {known}; name yours with "
            f"`columns: {{{main[0]}: <column>}}`{_about_header(file)}"
        )


def _no_such_column(where: str, role: str, column: str, columns: Iterable[str]) -> str:
    return (
        f"no column {column!r}, which `columns` names for {role}, in {where}; columns there: "
        f"{_listed(columns)} (of JSON lines the first {LOOK_AHEAD_ROWS:,} rows were looked at)"
    )


def _about_header(file: Input) -> str:
    return "; the first line of a CSV must name its columns" if file.format is Format.CSV else ""


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in list(columns)[:40]) or "none"


def _names(files: list[Input]) -> str:
    return str(files[0].path) if len(files) == 1 else f"any of the {len(files)} files"


def find_roles(columns: Iterable[str], wanted: Mapping[str, str], *, web: bool) -> dict[str, str]:
    """Role to column: as `wanted`, and what is not said there by common names.

    The answer, tests and system columns are looked for only where nothing at all is wanted. The
    result has no main role ("text", or "prompt" or "messages") where no column fits.
    """
    seen = set(columns)
    found = dict(wanted)
    if web:
        if "text" not in found and (name := _first(TEXT_COLUMNS, seen)):
            found["text"] = name
        return found
    if not wanted:
        for role, names in OPTIONAL.items():
            if name := _first(names, seen):
                found[role] = name
    if "prompt" not in found and "messages" not in found:
        free = seen - set(found.values())
        if name := _first(PROMPT_COLUMNS, free):
            found["prompt"] = name
        elif name := _first(TURN_COLUMNS, free):
            found["messages"] = name
        elif LAST_RESORT in free:
            found["prompt"] = LAST_RESORT
    return found


def _first(names: Iterable[str], seen: set[str]) -> str | None:
    return next((name for name in names if name in seen), None)
