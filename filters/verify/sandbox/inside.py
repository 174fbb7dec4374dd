"""What a sealed process does: it answers calls to a program, runs one as a script, or the tests.

Nothing here is trusted by anybody outside: the program shares this process, and can take it apart.
It finds no expected value, and what it sends is read as a literal of its own making.
"""

from __future__ import annotations

import ast
import atexit
import os
import random
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

from filters.verify.sandbox import literal
from filters.verify.sandbox.literal import NotLiteralError, TooLargeError

MOST_MESSAGE = 500
STDIN = 0  # the program comes first there, then what it reads
FILE = "solution.py"


def work(role: str) -> NoReturn:
    """Does the role's work and ends the process."""
    random.seed(0)  # the same answer, the same verdict
    if role == "command":
        run_command(literal.decode(literal.read_frame(STDIN)))
    if role == "script":
        run_script(literal.decode_text(literal.read_frame(STDIN)))
    if role == "candidate":
        answer_calls()
    from filters.verify.sandbox.tester import run_tests

    run_tests()


def run_command(command: list[str]) -> NoReturn:
    """Becomes another interpreter: its path, the name it goes by, and its arguments."""
    try:
        os.execv(command[0], command[1:])  # noqa: S606  behind the walls, and there is no shell
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(126)


def run_script(source: str) -> NoReturn:
    """Runs a program as `python program.py` would, to its end."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    code = 0
    try:
        exec(compile(source, FILE, "exec"), module.__dict__)  # noqa: S102  what we are for
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # as the interpreter itself does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as an interpreter ends
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code & 255)


def answer_calls() -> NoReturn:
    """Loads the program at the first call, and answers each with what came of it."""
    job = literal.decode(literal.read_frame())
    module: types.ModuleType | None = None
    while True:
        try:
            asked = literal.read_frame()
        except EOFError:
            os._exit(0)
        try:
            name, args, kwargs = literal.decode(asked)
            if module is None:
                module = load(job["prompt"], job["code"], marked=job["marked"])
            answer = ["value", call(module, name, args, kwargs), None]
            packed = literal.encode(answer)
        except NoCodeError:
            packed = literal.encode(["no code", None, None])
        except NotLiteralError as error:
            packed = literal.encode(["no literal", str(error), None])
        except TooLargeError as error:
            packed = literal.encode(["raised", "TooLargeError", f"a return value {error}"])
        except BaseException as error:  # SystemExit is an answer as well
            packed = literal.encode(["raised", type(error).__name__, message(error)])
        literal.write_frame(packed)


def call(module: types.ModuleType, name: str, args: list[Any], kwargs: dict[str, Any]) -> object:
    """What the program's function gives; NameError where there is none."""
    function = getattr(module, name, None)
    if function is None:
        raise NameError(f"the answer defines no {name!r}")
    return function(*args, **kwargs)


def message(error: BaseException) -> str:
    """What an exception says, within bounds, whatever its class does."""
    try:
        return str(error)[:MOST_MESSAGE]
    except BaseException:  # it is the program's own class
        return ""


class NoCodeError(Exception):
    """The answer is prose."""


def load(prompt: str, code: str, *, marked: bool) -> types.ModuleType:
    """The answer as a module, after what its prompt has given (imports, helpers, the stub).

    An answer may also be the body that goes on where the prompt ends; then its first line may have
    lost its indentation. Raises what the program raises, SyntaxError where it is none, NoCodeError
    where it never was meant as one.
    """
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    given = given_by(prompt)
    attempts = [code]
    if given is not None:
        run(given, module, "prompt.py")
        attempts += [prompt + code, prompt + "    " + code] if code.strip() else []
    elif not marked and not parses(code):
        raise NoCodeError("no code in the answer")
    program = next(filter(parses, attempts), code)
    run(program, module, FILE)
    return module


def parses(code: str) -> bool:
    """Whether this is Python."""
    try:
        compile(code, FILE, "exec")
    except (SyntaxError, ValueError):  # ValueError: a null byte
        return False
    return True


def run(program: ast.Module | str, module: types.ModuleType, name: str) -> None:
    """Executes the program in the module."""
    exec(compile(program, name, "exec"), module.__dict__)  # noqa: S102  what we are for


def given_by(prompt: str) -> ast.Module | None:
    """What a prompt defines that is code to be completed; None for any other prompt.

    That is one with a stub. Statements that are neither imports, definitions nor constants are
    left out.
    """
    try:
        tree = ast.parse(prompt)
    except (SyntaxError, ValueError):
        return None
    if not any(map(is_stub, tree.body)):
        return None
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return ast.Module([node for node in tree.body if isinstance(node, kinds)], [])


def stubs(prompt: str) -> list[str]:
    """The functions that a prompt of code asks for, by name."""
    given = given_by(prompt)
    functions = given.body if given is not None else []
    return [one.name for one in functions if isinstance(one, ast.FunctionDef) and is_stub(one)]


def is_stub(node: ast.stmt) -> bool:
    """Whether this is a function to be written: a docstring, `...` or `pass` in its body."""
    return isinstance(node, ast.FunctionDef) and all(
        isinstance(line, ast.Pass)
        or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        for line in node.body
    )
