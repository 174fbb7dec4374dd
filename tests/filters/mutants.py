"""One-edit mutants of a program, in a fixed order: what tests worth their name object to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def mutants(source: str, function: str) -> Iterator[str]:
    """The program with one edit each in that function, in the order of its syntax tree.

    An edit is an operator swapped, True for False, or a `not` left out.
    """
    at = 0
    while True:
        tree = ast.parse(source)
        [body] = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
        nodes = list(ast.walk(body))
        while at < len(nodes) and not edit(nodes[at]):
            at += 1
        if at >= len(nodes):
            return
        yield ast.unparse(tree)
        at += 1


def edit(node: ast.AST) -> bool:
    """Changes the node; False where there is nothing to change."""
    match node:
        case ast.Compare(ops=[first, *_]) if type(first) in SWAPPED:
            node.ops[0] = SWAPPED[type(first)]()
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            node.op = SWAPPED[type(op)]()
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=inner)):
            node.test = inner
        case _:
            return False
    return True
