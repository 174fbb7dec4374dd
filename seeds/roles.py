"""Maps each input file's columns to roles, and reports unusable files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seeds.inputs import Input, SettingError
from seeds.reader import LOOK_AHEAD_ROWS
from synth.columns import (
    MAIN_ROLES,
    PROMPT_COLUMNS,
    RESPONSE_COLUMNS,
    ROLES,
    TEXT_COLUMNS,
    TURN_COLUMNS,
    Job,
    find_roles,
)
from synth.errors import InputError, did_you_mean


def roles_of_all(
    files: list[Input], job: Job, wanted: Mapping[str, str], max_line_bytes: int
) -> dict[str, dict[str, str]]:
    """Returns the roles by file label. Raises `InputError` if a file is unusable, or all are."""
    roles: dict[str, dict[str, str]] = {}
    columns: dict[str, None] = {}
    has_rows = False
    for file in files:
        ahead = file.reader.ahead(file.path, web=job == "web", max_bytes=max_line_bytes)
        if file.given and not ahead.has_rows:
            raise InputError(
                f"{file.path} has no rows: remove it from the inputs, or download it again"
            )
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
    if file.format == "text" and named:
        raise InputError(f"{file.path} is plain text and has no columns: remove the column names")
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
    return "; the first line of a CSV must name its columns" if file.format == "csv" else ""


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in list(columns)[:40]) or "none"


def _names(files: list[Input]) -> str:
    return str(files[0].path) if len(files) == 1 else f"any of the {len(files)} files"


def unknown_role(role: object, column: object, job: Job) -> str:
    """Explains that this kind of input has no such role, and suggests the closest one."""
    known = sorted(ROLES[job])
    problem = f"unknown role {role!r} for `{job}`; known: {', '.join(known)}"
    if column in known:
        return f"{problem}; write the role first: `{column}: {role}`"
    usual = {
        **dict.fromkeys(PROMPT_COLUMNS, "prompt"),
        **dict.fromkeys(TURN_COLUMNS, "messages"),
        **dict.fromkeys(RESPONSE_COLUMNS, "response"),
        **dict.fromkeys(TEXT_COLUMNS, "text"),
    }
    meant = usual.get(str(role).casefold())
    return f"{problem}{did_you_mean(meant if meant in known else str(role), known)}"
