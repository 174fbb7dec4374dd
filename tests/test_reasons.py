"""docs/reasons.md has every reason that the code can give, and no other.

A reason is a snake_case text that is returned, raised, or put into something named for it. What is
found in such a place and is no reason is in `NOT_REASONS`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from synth.generate.screen import Reason

ROOT = Path(__file__).parents[1]
SAYS_WHY = re.compile("reason|fault|missing|left_out|repeated|gives_away|too_like", re.IGNORECASE)
MAKERS = {"Rule", "Row", "Line", "_Element", "Verdicts", "all_with", "_Decision", "_reasons"}
"""Calls whose arguments hold a reason, besides errors."""
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
ONE_WORD = {"mojibake", "placeholders", "refusal", "superseded"}
NOT_REASONS = {"benchmark_0", "reasoning_content"}


def test_the_glossary_has_every_reason_of_the_code() -> None:
    assert sorted(reasons_in_code() - glossary()) == [], "say in docs/reasons.md what it means"


def test_every_reason_of_the_glossary_is_in_the_code() -> None:
    assert sorted(glossary() - reasons_in_code()) == []


@cache
def glossary() -> set[str]:
    """The names in the columns `reason`; a name or number that varies is 0."""
    found: set[str] = set()
    column = None
    for line in (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            column = None
        elif column is None:
            column = cells.index("reason")
        else:
            found |= {re.sub("NAME|N", "0", one) for one in re.findall(r"`(\w+)`", cells[column])}
    return found


def is_known(reason: str) -> bool:
    """Whether the glossary explains this reason of a run."""
    known = glossary()
    return reason in known or any(
        re.fullmatch(one.replace("0", r"\w+"), reason) for one in known if "0" in one
    )


@cache
def reasons_in_code() -> set[str]:
    """Every reason in the packages' code; what an f-string fills in is 0."""
    paths = [path for name in ("filters", "seeds", "synth") for path in (ROOT / name).rglob("*.py")]
    found = {one for path in paths for one in _given_in(ast.parse(path.read_text("utf-8")))}
    told = {one for one in found if SNAKE_CASE.fullmatch(one) or one in ONE_WORD} - NOT_REASONS
    return told | {str(one) for one in Reason}


def _given_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Return(value=ast.expr() as value):
                yield from _texts(value)
            case ast.Assign(targets=[target, *_], value=value) if SAYS_WHY.search(_name(target)):
                yield from _texts(value)
            case ast.AnnAssign(target=target, value=ast.expr() as value) if SAYS_WHY.search(
                _name(target)
            ):
                yield from _texts(value)
            case ast.keyword(arg=str() as name, value=value) if SAYS_WHY.search(name):
                yield from _texts(value)
            case ast.Call(func=func, args=args) if _makes_reasons(func):
                for value in args:
                    yield from _texts(value)


def _makes_reasons(func: ast.expr) -> bool:
    if isinstance(func, ast.Attribute) and func.attr == "append":
        return bool(SAYS_WHY.search(_name(func.value)))
    return _name(func) in MAKERS or _name(func).endswith("Error")


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
    return ""


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts that the expression may be, or hold."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "0" for p in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one)
            yield from _texts(other)
        case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
            for value in values:
                yield from _texts(value)
        case ast.Dict(values=values):
            for value in values:
                yield from _texts(value)
        case ast.ListComp(elt=value) | ast.GeneratorExp(elt=value) | ast.Starred(value=value):
            yield from _texts(value)
        case ast.BinOp(left=one, right=other):
            yield from _texts(one)
            yield from _texts(other)
