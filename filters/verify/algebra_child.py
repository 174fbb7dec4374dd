"""The child process of `algebra`: reads a pair a line, answers a verdict a line.

    {"gold": "\\sqrt{8}", "given": "2\\sqrt{2}", "limit_s": 15}  ->  {"equal": true}

It may hang, swallow memory or die: the parent ends it. Answers reach the LaTeX parser of
math-verify only; SymPy's parser of strings, which executes code, is replaced.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import resource
import signal
import sys
from importlib import import_module
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify

MEMORY_BYTES = 2 * 1024**3
DECIMAL = re.compile(r"\d{1,4000}(?:\.\d{1,4000})?")
GRACE_S = 5.0  # the parent kills first; this alarm is for a parent that is gone


def main() -> None:
    """Serves until standard input ends."""
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.disable(logging.CRITICAL)  # math-verify warns that it has no time limit; we have one
    read_only_numbers()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, question["limit_s"] + GRACE_S)
        answer = answer_to(question)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), flush=True)


def read_only_numbers() -> None:
    """Puts a reader of decimal digits in the place of SymPy's parser of strings, which is `eval`.

    math-verify calls it too, for each number that its grammar has found.
    """
    import_module("sympy.physics.units")  # parses names of its own while it is imported

    def read(text: object, *_: object, **__: object) -> Any:
        if not isinstance(text, str) or not DECIMAL.fullmatch(text):
            raise ValueError("only numbers are read from strings here")
        return sympy.Rational(text)

    for module in ("sympy.parsing.sympy_parser", "sympy.parsing", "math_verify.parser"):
        for function in ("parse_expr", "eval_expr"):
            setattr(import_module(module), function, read)


def answer_to(question: dict[str, Any]) -> dict[str, Any]:
    """Whether both formulas are equal, or why that cannot be said."""
    try:
        sides = [
            parse(
                f"${latex(question[side])}$",
                [LatexExtractionConfig()],
                fallback_mode="no_fallback",
                parsing_timeout=None,
                raise_on_error=True,
            )
            for side in ("gold", "given")
        ]
        if not all(sides):
            return {"fault": "not a formula that can be parsed"}
        # gold first: math-verify is not symmetric
        equal = verify(*sides, timeout_seconds=None, raise_on_error=True)
        if not equal and not all(differ(one, other) for one in sides[0] for other in sides[1]):
            return {"fault": "neither shown equal nor different"}
    except (Exception, RecursionError, MemoryError) as error:
        return {"fault": f"{type(error).__name__} while comparing"}
    return {"equal": equal}


def differ(one: Any, other: Any) -> bool:
    """Whether two formulas have other values at one odd point; sets and relations need not show it.

    math-verify says "not equal" also where it could not find out: e^{i\\pi} against -1.
    """
    if not (isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr)):
        return True
    symbols = sorted(one.free_symbols | other.free_symbols, key=str)
    point = {
        symbol: sympy.I if str(symbol) == "i" else sympy.Rational(7 + 4 * place, 11)
        for place, symbol in enumerate(symbols)
    }
    values = [complex(side.doit().subs(point).evalf()) for side in (one, other)]
    return abs(values[0] - values[1]) > 1e-9 * max(1.0, *map(abs, values))


def latex(formula: str) -> str:
    """The formula as LaTeX with exact numbers: a decimal would be compared to six places."""
    formula = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", formula.replace("$", " ").replace("**", "^"))
    formula = re.sub(r"(?<!\\)\bsqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", formula)
    formula = re.sub(r"(?<![\\a-zA-Z])pi\b", r"\\pi ", formula).replace("*", " \\cdot ")
    return re.sub(r"(\d*)\.(\d+)", exact_decimal, formula)


def exact_decimal(found: re.Match[str]) -> str:
    """A decimal as a LaTeX fraction."""
    whole, places = found.groups()
    return rf"\frac{{{int(whole + places)}}}{{{10 ** len(places)}}}"


if __name__ == "__main__":
    main()
