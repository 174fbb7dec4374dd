"""Runs a row's tests in their own sandbox, where the answer's functions are remote calls.

A name that the tests use but do not define is a function of the answer. A call sends its arguments
out as literals and returns the literal that comes back. So the tests see only builtin values, and
the answer never sees the expected ones.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import random
import sys
import traceback
import types
from collections.abc import Iterator
from typing import Any, NoReturn

from filters.verify.sandbox import inside, literal
from filters.verify.sandbox.literal import NotLiteralError, TooLargeError, same

CALL, DONE = b"C", b"D"
ON_COPIES, IN_PLACE = b"0", b"1"
"""The first byte of the job: whether calls may change the tests' own values."""
MOST_NOTE = 400
MOST_SHOWN = 120
FILE = "tests.py"
FOR_EFFECT = " for effect"  # not a valid name, so tests cannot use it


class Stopped(BaseException):  # so that `except Exception` in tests does not catch it
    """Ends the tests because the verdict is already known."""

    def __init__(self, verdict: str, note: str) -> None:
        super().__init__(verdict, note)
        self.verdict, self.note = verdict, note


class AnswerError(Exception):
    """The answer raised an exception whose class is not a builtin."""


class Session:
    """The calls of one run of the tests."""

    def __init__(self, *, in_place: bool) -> None:
        self.in_place = in_place
        self.calls = 0
        self.last = ""
        """The last call and its result, as evidence."""
        self.raised: BaseException | None = None
        """The exception that the last failed call raised here."""
        self.stopped: Stopped | None = None
        """The final verdict, which holds even if the tests catch the exception."""
        self.uncrossed = ""
        """The last call whose result was not a literal; such an answer never passes."""

    def ask(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, in_place: bool = False
    ) -> Any:
        """Calls the answer and returns its result; raises its builtin exceptions here too."""
        in_place = in_place or self.in_place
        parts = [*map(shown, args), *(f"{k}={shown(v)}" for k, v in kwargs.items())]
        self.last = f"{name}({', '.join(parts)})"
        try:
            packed = literal.encode([name, list(args), kwargs, in_place])
        except NotLiteralError as error:
            if self.uncrossed:  # the argument may be an earlier result of the answer
                self.stop("fail", self.uncrossed)
            self.stop("unverified", f"the tests pass a {error} to {name}, and only literals cross")
        except TooLargeError as error:
            self.stop("error", f"the tests pass a value {error} to {name}")
        literal.write_frame(CALL + packed)
        self.calls += 1
        try:
            kind, first, second = literal.decode(literal.read_frame())
        except (ValueError, TypeError):
            self.stop("fail", f"{self.last} gave a result that cannot be decoded")
        if kind == "value":
            self.last += f" gave {shown(first)}"
            if in_place and isinstance(second, list):
                for own, changed in zip(args, second, strict=False):
                    replace(own, changed)
            return first
        if kind == "raised":
            self.last += f" raised {first}: {second}"
            self.raised = exception(str(first), str(second))
            raise self.raised
        self.last += f" gave {first}"
        self.uncrossed = self.last
        return Uncrossed(self, name)

    def stop(self, verdict: str, note: str) -> NoReturn:
        """Ends the tests with this verdict."""
        self.stopped = Stopped(verdict, note)
        raise self.stopped


def work(role: str) -> NoReturn:
    """Does the role's work and ends the process."""
    random.seed(0)  # the same answer always gets the same verdict
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # `site`, which defines them, is off
    sys.argv = [inside.FILE]
    if role == "command":
        inside.run_command(literal.decode(literal.read_frame()))
    if role == "script":
        inside.run_script(literal.decode_text(literal.read_frame()).split(literal.BETWEEN_BLOCKS))
    if role == "candidate":
        inside.answer_calls(literal.decode(literal.read_frame()))
    run_tests()


def exception(name: str, text: str) -> Exception:
    """The builtin exception of that name, so that tests can expect it; AnswerError for others."""
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(text)
        except TypeError:  # UnicodeDecodeError takes five arguments
            pass
    return AnswerError(f"{name}: {text}")


def replace(own: Any, changed: Any) -> None:
    """Copies the answer's changes to its list, dict or set into the tests' own one."""
    if type(own) is type(changed) and isinstance(own, list | dict | set):
        own.clear()
        (own.extend if isinstance(own, list) else own.update)(changed)


class Uncrossed:
    """A placeholder for a result that is not a literal. It equals nothing.

    Tests that call it or use its attributes would fail every answer, so they are `unverified`.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._of_class = name[:1].isupper()

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        self._session.stop(
            "unverified", "the tests call the result of a call, and functions cannot cross"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if self._of_class and not name.startswith("__"):
            self._session.stop(
                "unverified", f"the tests use .{name} of an object, and objects cannot cross"
            )
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        if self._of_class and isinstance(other, Uncrossed):
            self._session.stop("unverified", "the tests compare objects, and objects cannot cross")
        return False

    __hash__ = object.__hash__


class CandidateCall:
    """A function of the answer, as the tests see it."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.__name__ == "Solution" and not args and not kwargs:
            return Solution(self._session)
        return self._session.ask(self.__name__, args, kwargs)

    def for_effect(self, *args: Any, **kwargs: Any) -> None:
        """Calls the function to change its arguments; there is no result."""
        self._session.ask(self.__name__, args, kwargs, in_place=True)


class Statements(ast.NodeTransformer):
    """Turns a bare statement `f(x)` into `for_effect(f, x)`, since its result is not used."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """The statement with its call replaced."""
        call = node.value
        if isinstance(call, ast.Call):
            call.args.insert(0, call.func)
            call.func = ast.copy_location(ast.Name(FOR_EFFECT, ast.Load()), call)
        return node


def for_effect(function: Any, *args: Any, **kwargs: Any) -> None:
    """Calls it for its effects."""
    (function.for_effect if isinstance(function, CandidateCall) else function)(*args, **kwargs)


def shown(value: object) -> str:
    """The value's `repr`, shortened, for a note."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4,300 digits
        return f"a huge {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\u2026"


def run_tests() -> NoReturn:
    """Runs the tests, sends the verdict in one frame, and ends the process."""
    frame = literal.read_frame()
    job = literal.decode(frame[1:])
    session = Session(in_place=frame[:1] == IN_PLACE)
    try:
        if "calls" in job:
            run_cases(session, job["name"], job["calls"], job["expected"])
        else:
            run_asserts(session, job["prompt"], job["tests"])
        verdict, note = passed(session)
    except Stopped:
        verdict, note = "", ""
    except BaseException as error:  # any exception decides the verdict
        verdict, note = blame(session, error)
    if session.stopped is not None:
        verdict, note = session.stopped.verdict, session.stopped.note
    note = note[:MOST_NOTE].encode(errors="replace").decode()
    result = {"verdict": verdict, "note": note, "calls": session.calls}
    literal.write_frame(DONE + json.dumps(result).encode())
    os._exit(0)


def passed(session: Session) -> tuple[str, str]:
    """The verdict if no test failed."""
    if not session.calls:
        return "unverified", "the tests call no function of the answer"
    if session.uncrossed:
        return "fail", session.uncrossed
    return "pass", f"{session.calls} calls, every test held; the last: {session.last}"


def blame(session: Session, error: BaseException) -> tuple[str, str]:
    """The verdict for an exception that ended the tests: the answer's fault or the tests' own."""
    where = line_of(error)
    if error is session.raised:
        return "fail", f"{session.last}; {where}"
    if isinstance(error, AssertionError):
        if not session.calls:
            return "error", f"the tests fail before they call the answer: {where}"
        return "fail", f"{where}; the last call: {session.last}"
    what = f"{type(error).__name__}: {inside.message(error)}; {where}"
    if not session.calls or isinstance(error, ImportError | NameError | SyntaxError | SystemExit):
        return "error", f"the tests do not run: {what}"
    return "fail", f"{what}; the last call: {session.last}"


def line_of(error: BaseException) -> str:
    """The innermost line of the tests in the exception's traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == FILE]
    return f"line {frames[-1].lineno}: {_LINES.get(frames[-1].lineno or 0, '')}" if frames else ""


_LINES: dict[int, str] = {}


def run_cases(session: Session, name: str, calls: list[list[Any]], expected: list[Any]) -> None:
    """Calls `name` once with each list of arguments and compares all results, see `same`.

    APPS may wrap each expected value in a list of one; then the bare value is accepted too.
    """
    given: list[Any] = []
    shown_calls: list[str] = []
    for args in calls:
        given.append(session.ask(name, tuple(args), {}))
        shown_calls.append(session.last)
    readings = [expected]
    if all(isinstance(value, list) and len(value) == 1 for value in expected):
        readings.append([value for [value] in expected])
    wrong = [
        [at for at, value in enumerate(reading) if not same(listed(given[at]), value)]
        for reading in readings
    ]
    if all(wrong):
        at = wrong[0][0]
        session.stop("fail", f"{shown_calls[at]} in place of {shown(expected[at])}")


def listed(value: object) -> object:
    """The value with tuples and iterators as lists, since the expected value is JSON."""
    if isinstance(value, list | tuple | Iterator):
        return [listed(item) for item in value]
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    return value


def run_asserts(session: Session, prompt: str, tests: str) -> None:
    """Runs the tests as a program, then each function named `test_…`.

    If the tests define HumanEval's `check` but call nothing, calls it with the prompt's function.
    """
    _LINES.update(enumerate(map(str.strip, tests.splitlines()), 1))
    tree = ast.parse(tests, FILE)
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    helpers = trusted(prompt)
    if helpers is not None:
        inside.run(helpers, module, "prompt.py")
    for name in inside.undefined_names(tree) - module.__dict__.keys():
        setattr(module, name, CandidateCall(session, name))
    setattr(module, FOR_EFFECT, for_effect)
    sys.modules["solution"] = Solution(session)
    inside.run(Statements().visit(tree), module, FILE)
    for name, value in list(vars(module).items()):
        if name.startswith("test_") and isinstance(value, types.FunctionType):
            value()
    check, wanted = vars(module).get("check"), inside.stubs(prompt)
    if not session.calls and wanted and isinstance(check, types.FunctionType):
        check(CandidateCall(session, wanted[-1]))


class Solution(types.ModuleType):
    """The module behind `from solution import …`: every name is a function of the answer."""

    def __init__(self, session: Session) -> None:
        super().__init__("solution")
        self._session = session

    def __getattr__(self, name: str) -> CandidateCall:
        if name.startswith("__"):
            raise AttributeError(name)
        return CandidateCall(self._session, name)


def trusted(prompt: str) -> ast.Module | None:
    """The prompt's complete definitions, so that the answer cannot replace the tests' helpers."""
    given = inside.given_by(prompt)
    if given is None:
        return None
    return ast.Module([node for node in given.body if not inside.is_stub(node)], [])
