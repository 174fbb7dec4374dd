"""The work of a sealed process: it answers calls to a program, or runs the program as a script.

Code outside trusts nothing from here, because the untrusted program shares this process and can
change all of it. The process holds no expected values, and its replies are decoded as literals.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import contextlib
import importlib
import os
import sys
import threading
import traceback
import types
from collections.abc import Sequence
from typing import Any, NoReturn

from filters.verify.sandbox import literal
from filters.verify.sandbox.literal import NotLiteralError, TooLargeError

MOST_MESSAGE = 500
FILE = "solution.py"
CODE, PROSE = b"C", b"P"
"""The first frame of an answer's process, sent before any code of the answer runs."""
DEFINITIONS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign,
    ast.AnnAssign,
)  # fmt: skip
READY = (
    "typing", "collections", "itertools", "functools", "heapq", "bisect", "math", "string", "re",
    "random", "operator", "copy",
)  # fmt: skip
"""Modules that LeetCode imports, and that LiveCodeBench imports before it calls a function."""


def run_command(command: list[str]) -> NoReturn:
    """Replaces this process by another interpreter. `command` is its path, then its argv."""
    try:
        os.execv(command[0], command[1:])  # noqa: S606  the process is sealed; no shell is used
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(126)


def run_script(blocks: list[str]) -> NoReturn:
    """Runs a program to its end, as `python program.py` does."""
    module = types.ModuleType("__main__")
    module.__file__ = FILE
    sys.modules["__main__"] = module
    code = 0
    try:
        for part in parts_of_program(blocks):
            run(part, module, FILE)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # prints a traceback, as the interpreter does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # joins threads, as the interpreter does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code & 255)


def parts_of_program(blocks: list[str]) -> Sequence[ast.Module | str]:
    """The blocks to run: the last one that is a complete program, or else all of them.

    A complete program does more than define things, and uses only names that it defines. Programs
    that define a function or class are preferred, since the others may be usage examples.
    """
    trees = [ast.parse(block) for block in blocks if parses(block)] if len(blocks) > 1 else []
    whole = [tree for tree in trees if acts(tree) and not undefined_names(tree)]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defining = [tree for tree in whole if any(isinstance(node, kinds) for node in tree.body)]
    return (defining or whole)[-1:] or trees or blocks[-1:]


def acts(tree: ast.Module) -> bool:
    """Whether the code does more than import and define."""
    return not all(
        isinstance(node, DEFINITIONS)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in tree.body
    )


def undefined_names(tree: ast.Module) -> set[str]:
    """Names used but defined neither by the program nor by Python; resolves `import *`."""
    used: set[str] = set()
    bound = {*dir(builtins), "__file__"}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
            case ast.ClassDef(name=name):
                bound.add(name)
            case ast.arg(arg=name):
                bound.add(name)
            case ast.ImportFrom(module=str(module), names=[ast.alias(name="*")], level=0):
                with contextlib.suppress(ImportError):
                    bound.update(vars(importlib.import_module(module)))
            case ast.alias(name=name, asname=alias):
                bound.add(alias or name.split(".")[0])
            case ast.ExceptHandler(name=str(name)):
                bound.add(name)
    return used - bound


def answer_calls(job: dict[str, Any]) -> NoReturn:
    """Loads the program at the first call, and replies to each call with its result or error."""
    readable = job["marked"] or given_by(job["prompt"]) or any(map(parses, job["blocks"]))
    literal.write_frame(CODE if readable else PROSE)
    module: types.ModuleType | None = None
    while True:
        try:
            asked = literal.read_frame()
        except EOFError:
            os._exit(0)
        try:
            name, args, kwargs, in_place = literal.decode(asked)
            if module is None:
                module = load(job, name)
            value = call(module, name, args, kwargs)
            packed = literal.encode(["value", value, args if in_place else None])
        except NotLiteralError as error:
            packed = literal.encode(["no literal", f"a {error}, which is no literal", None])
        except TooLargeError as error:
            packed = literal.encode(["no literal", f"a value {error}", None])
        except BaseException as error:  # SystemExit is a result too
            packed = literal.encode(["raised", type(error).__name__, message(error)])
        literal.write_frame(packed)


def call(module: types.ModuleType, name: str, args: list[Any], kwargs: dict[str, Any]) -> object:
    """Calls the program's function, or the method of LeetCode's class `Solution`.

    Raises `NameError` if the program defines neither.
    """
    function = getattr(module, name, None)
    if function is None and isinstance(getattr(module, "Solution", None), type):
        function = getattr(module.Solution(), name, None)
    if function is None:
        raise NameError(f"the answer defines no {name!r}")
    return function(*args, **kwargs)


def message(error: BaseException) -> str:
    """The exception's message, cut to size; never raises, whatever the class does."""
    try:
        return str(error)[:MOST_MESSAGE]
    except BaseException:  # `__str__` of the program's own class may raise anything
        return ""


def load(job: dict[str, Any], name: str) -> types.ModuleType:
    """Loads the answer as a module, after the prompt's imports, helpers and stub.

    With several blocks, runs the last one that defines `name`, after the definitions of the others.
    A single block may also be just the function body that continues the prompt; its first line may
    lack its indentation. Raises whatever the program raises, or `SyntaxError`.
    """
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    if job["ready"]:
        module.__dict__["__builtins__"] = ready_names()
    prompt, blocks = job["prompt"], job["blocks"]
    given = given_by(prompt)
    if given is not None:
        run(given, module, "prompt.py")
    trees = [ast.parse(block) for block in blocks if parses(block)] if len(blocks) > 1 else []
    main = next((tree for tree in reversed(trees) if defines(tree, name)), None)
    for tree in trees:
        for node in tree.body if tree is not main else ():
            if isinstance(node, DEFINITIONS):
                with contextlib.suppress(Exception):  # an example may use undefined names
                    run(ast.Module([node], []), module, FILE)
    attempts = [blocks[-1]]
    if given is not None and blocks[-1].strip():
        attempts += [prompt + blocks[-1], prompt + "    " + blocks[-1]]
    with contextlib.suppress(EOFError):  # an example at the end may read input; there is none
        run(main or next(filter(parses, attempts), blocks[-1]), module, FILE)
    return module


def defines(tree: ast.Module, name: str) -> bool:
    """Whether the program defines this function, or LeetCode's `Solution`, which may have it."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(one.id for one in node.targets if isinstance(one, ast.Name))
    return not found.isdisjoint((name, "Solution"))


def ready_names() -> dict[str, Any]:
    """Python's builtin names, then the names of the `READY` modules."""
    modules = {name: importlib.import_module(name) for name in READY}
    names = {
        name: value
        for module in modules.values()
        for name, value in vars(module).items()
        if not name.startswith("_")
    }
    return {**names, **modules, **vars(builtins)}


def parses(code: str) -> bool:
    """Whether the code is valid Python."""
    try:
        compile(code, FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: a null byte
        return False
    return True


def run(program: ast.Module | str, module: types.ModuleType, name: str) -> None:
    """Executes the program in the module, without this file's `__future__` flags."""
    code = compile(program, name, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102  running untrusted code is this module's job


def given_by(prompt: str) -> ast.Module | None:
    """The code of a prompt that asks for a completion; None if the prompt has no stub.

    Keeps only imports, definitions and constants.
    """
    try:
        tree = ast.parse(prompt)
    except (SyntaxError, ValueError):
        return None
    if not any(map(is_stub, tree.body)):
        return None
    return ast.Module([node for node in tree.body if isinstance(node, DEFINITIONS)], [])


def stubs(prompt: str) -> list[str]:
    """The names of the functions that a code prompt leaves to be written."""
    given = given_by(prompt)
    functions = given.body if given is not None else []
    return [one.name for one in functions if isinstance(one, ast.FunctionDef) and is_stub(one)]


def is_stub(node: ast.stmt) -> bool:
    """Whether this is a function to be written: its body is a docstring, `...` or `pass`."""
    return isinstance(node, ast.FunctionDef) and all(
        isinstance(line, ast.Pass)
        or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        for line in node.body
    )
