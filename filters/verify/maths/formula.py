r"""Parses formulas, in LaTeX or plain text: `2\sqrt{2}`, `2*sqrt(2)`.

Ambiguous spellings (`a/2b`, `\log x`) are read both ways. Model text is never executed, and text
outside the grammar raises `UnreadableError`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from filters.verify.maths.values import TRANSCENDENT, Formula, UnreadableError, Work, call

MOST_CHARS = 1_000
DEEPEST = 60

TOKEN = re.compile(
    r"(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\w.]))?)"
    r"|(?P<command>\\[A-Za-z]+)|(?P<word>[A-Za-z]+|[\u0370-\u03ff])|(?P<sign>\S)"
)
FRACTION = r"\\[dtc]?frac\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d)(?!\d))"
MIXED = re.compile(rf"(?<![\d.^_])(?<!\d\s)(\d+)(?:\s*{FRACTION}|\s+(\d+)/(\d+)(?!\d))(?!\s*\d)")
NAMES = {name: name for name in TRANSCENDENT} | {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "lg": "log10", "log": "log",
}  # fmt: skip
LETTERS = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta",
    "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "varphi", "chi",
    "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega", "ell",
})  # fmt: skip
STYLED = ("mathbb", "mathcal", "vec", "hat", "bar", "mathfrak", "tilde")
PREPOSITIONS = ("in", "to", "of", "or", "is", "by", "at", "on", "as")
BRACKETS = {"(": ")", "[": "]", "{": "}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "|": "|"}
AROUND = {"\\lfloor": "floor", "\\lceil": "ceil", "|": "abs"}
BETWEEN = ("\\cdot", "\\times", "\\ast", "\\div", "\\bmod", "\\rfloor", "\\rceil", "\\dx", "mod")


class Reading(NamedTuple):
    """How to read ambiguous spellings."""

    tight: bool = False  # a/2b is a/(2b)
    log: str = "log10"


READINGS = [Reading(tight, log) for tight in (False, True) for log in ("log10", "ln")]


class Parser:
    """Reads one formula by recursive descent."""

    def __init__(self, text: str, reading: Reading) -> None:
        if len(text) > MOST_CHARS:
            raise UnreadableError("the formula is too long")
        text = MIXED.sub(_mixed, text.replace("**", "^"))
        text = re.sub(r"\\[dtc]?frac\s*\{d\}\s*\{d\s*([a-z])\}", r"\\derivative \1 ", text)
        if "\\int" in text:
            text = re.sub(r"(?<![a-zA-Z\\])([a-zA-Z]?)d([a-z])(?![a-zA-Z])", r"\1\\dx \2", text)
        self.tokens = [(str(found.lastgroup), found.group()) for found in TOKEN.finditer(text)]
        self.tokens.append(("end", ""))
        self.at = self.depth = 0
        self.reading = reading
        self.symbols: set[str] = set()
        self.doubts: set[str] = set()
        self.complex = False

    def read(self) -> Formula:
        """The whole text as one formula."""
        bare = len(self.tokens) == 2 and self.kind == "word"
        work = self.sum()
        self.take("")
        found = frozenset(self.symbols), frozenset(self.doubts)
        return Formula(work, *found, self.complex, bare and bool(self.symbols))

    @property
    def kind(self) -> str:
        """The kind of the next token."""
        return self.tokens[self.at][0]

    @property
    def next(self) -> str:
        """The next token."""
        return self.tokens[self.at][1]

    def take(self, *wanted: str) -> str:
        """Takes the next token; raises `UnreadableError` if it is not one of `wanted`."""
        token = self.next
        if (wanted and token not in wanted) or (not wanted and not token):
            raise UnreadableError(f"no formula at {token!r}")
        self.at += 1
        return token

    def takes(self, *wanted: str) -> bool:
        """Takes the next token if it is one of these; returns whether it was."""
        found = self.next in wanted
        self.at += found
        return found

    def sum(self) -> Work:
        """Terms with + and - between them."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnreadableError("brackets nested too deeply")
        left = self.product()
        while self.next in ("+", "-"):
            left = call(self.take(), left, self.product())
        self.depth -= 1
        return left

    def product(self) -> Work:
        """Factors with or without signs between them."""
        left = self.signed()
        while True:
            if self.takes("*", "\\cdot", "\\times", "\\ast"):
                left = call("*", left, self.signed())
            elif self.next in ("/", "\\div"):
                before = self.tokens[self.at - 1][0]
                self.take()
                left = call("/", left, self.divisor(before))
            elif self.takes("\\bmod", "mod"):
                left = call("mod", left, self.signed())
            elif self.begins_factor():
                left = call("*", left, self.power())
            else:
                return left

    def divisor(self, before: str) -> Work:
        """The divisor after /: 1/2x is half of x, but a/2b may mean a/(2b)."""
        start = self.at
        work = self.signed()
        plain = before == "number" and self.at == start + 1 and self.tokens[start][0] == "number"
        if self.begins_factor() and not (plain and self.kind in ("word", "sign")):
            self.doubts.add("tight")
            while self.reading.tight and self.begins_factor():
                work = call("*", work, self.power())
        return work

    def begins_factor(self) -> bool:
        """Whether a factor follows without a sign. Rejects a number after a number or letter."""
        before, _ = self.tokens[self.at - 1]
        if self.kind == "number" and before in ("number", "word"):
            raise UnreadableError("a number directly after a number or a letter")  # 1 2, 3 R 2
        signs = self.next in ("(", "[", "{")
        return signs or (self.kind in ("number", "command", "word") and self.next not in BETWEEN)

    def signed(self) -> Work:
        """A factor, perhaps with signs before it."""
        minus = False
        while self.next in ("+", "-"):
            minus ^= self.take() == "-"
        work = self.power()
        return call("neg", work) if minus else work

    def power(self) -> Work:
        """A factor with the exponents, factorials and degree signs after it."""
        work = self.atom()
        while True:
            if self.takes("!"):
                work = call("!", work)
            elif self.takes("degrees", "degree"):
                work = call("degrees", work)
            elif self.takes("^"):
                work = call("^", work, self.exponent())
            else:
                return work

    def exponent(self) -> Work:
        """The exponent after ^; nested powers are evaluated from the top."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnreadableError("powers nested too deeply")
        if self.takes("-"):
            return call("neg", self.exponent())
        work = self.atom()
        return call("^", work, self.exponent()) if self.takes("^") else work

    def group(self) -> Work:
        """A formula in brackets."""
        opening = self.take()
        work = self.sum()
        self.take(BRACKETS[opening])
        return call(AROUND[opening], work) if opening in AROUND else work

    def argument(self) -> Work:
        r"""The argument of a command: a group, or one character, such as 1 and 2 in \frac12."""
        if self.kind in ("number", "word") and len(self.next) > 1:
            self.tokens[self.at : self.at + 1] = [(self.kind, one) for one in self.next]
        return self.atom()

    def atom(self) -> Work:
        """A number, a letter, a bracket or a command with its arguments."""
        token = self.next
        if self.kind == "number":
            value = Fraction(self.take())
            return lambda _: value
        if token in BRACKETS:
            return self.group()
        if self.kind in ("command", "word"):
            name = token.lstrip("\\")
            if name in NAMES and len(name) > 1:
                self.take()
                return self.function(name)
            if name in ("sqrt", "pi", "infty") or self.kind == "command":
                self.take()
                return self.command(name)
            return self.word()
        raise UnreadableError(f"no formula at {token!r}")

    def command(self, name: str) -> Work:
        """A LaTeX command."""
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return call("/", self.argument(), self.argument())
        if name in ("binom", "dbinom", "tbinom"):
            return call("binom", self.argument(), self.argument())
        if name == "sqrt":
            degree = self.group() if self.next == "[" else lambda _: Fraction(2)
            return call("root", self.atom(), degree)
        if name in ("pi", "infty"):
            return call(name)
        if name in LETTERS:
            return self.symbol(name)
        if name in STYLED:
            self.take("{")
            name = f"{name} {self.take()}"
            self.take("}")
            return self.symbol(name)
        if name == "int":
            return self.integral()
        if name == "derivative":
            letter = self.take()
            self.symbols.add(letter)
            body = self.factors()
            return lambda env: env.digits.diff(
                lambda at: env.inside(letter, at, body), env.digits.convert(env.point[letter])
            )
        raise UnreadableError(f"\\{name} is not read here")

    def factors(self) -> Work:
        """The argument of a function without brackets: all factors up to the next function."""
        work = self.signed()
        while self.begins_factor() and self.next.lstrip("\\") not in NAMES:
            work = call("*", work, self.power())
        return work

    def function(self, name: str) -> Work:
        """A function with its base or power, and its argument in brackets or without."""
        base = raised = None
        while self.next in ("_", "^"):
            if self.take() == "_":
                base = self.argument()
            elif [token for _, token in self.tokens[self.at : self.at + 4]] == ["{", "-", "1", "}"]:
                self.at += 4
                name = f"a{name}"
            else:
                raised = self.exponent()
        work = self.group() if self.next in ("(", "{", "[") else self.factors()
        name = NAMES.get(name, "")
        if name == "log" and base is None:
            self.doubts.add("log")
            name = self.reading.log
        if base is not None:
            work = call("/", call("ln", work), call("ln", base))
        else:
            work = call(name, work)
        if raised is None and self.takes("^"):
            raised = self.exponent()
        return work if raised is None else call("^", work, raised)

    def word(self) -> Work:
        """Adjacent letters; a longer word counts as one symbol, or perhaps not as a formula."""
        if self.next in PREPOSITIONS:
            raise UnreadableError("words")
        if len(self.next) == 2:
            self.tokens[self.at : self.at + 1] = [("word", one) for one in self.next]
        beside = self.tokens[self.at - 1 : self.at] + self.tokens[self.at + 1 : self.at + 2]
        name = self.take()
        if len(name) > 2:
            self.doubts.add("word")
            if any(kind == "number" for kind, _ in beside):
                raise UnreadableError("a word beside a number")
        if name in ("f", "g", "P") and self.next == "(":
            raise UnreadableError("an unknown function")
        if self.next != "_" and name in ("e", "i"):
            self.complex |= name == "i"
            return call(name)
        return self.symbol(name)

    def symbol(self, name: str) -> Work:
        """A variable with its subscript and primes."""
        if self.takes("_"):
            name += "_"
            if not self.takes("{"):
                name += self.take()
            else:
                while not self.takes("}"):
                    name += self.take()
        while self.takes("'"):
            name += "'"
        self.symbols.add(name)
        return lambda env: env.point[name]

    def integral(self) -> Work:
        r"""\int_a^b … dx."""
        self.take("_")
        low = self.argument()
        self.take("^")
        high = self.exponent()
        body: Work = (lambda _: Fraction(1)) if self.next == "\\dx" else self.sum()
        self.take("\\dx")
        letter = self.take()
        self.symbols.discard(letter)
        return lambda env: env.digits.quad(
            lambda at: env.inside(letter, at, body),
            [env.digits.convert(end(env)) for end in (low, high)],
        )


def _mixed(found: re.Match[str]) -> str:
    r"""1\frac{1}{2} and 1 1/2 as a sum; 2\frac{3}{2} is a product."""
    whole, *parts = (part for part in found.groups() if part)
    return f"({whole}+{parts[0]}/{parts[1]})" if int(parts[0]) < int(parts[1]) else found[0]


def read(text: str, reading: Reading = READINGS[0]) -> Formula:
    """Parses the whole text as one formula. Raises `UnreadableError` if that fails."""
    return Parser(text, reading).read()
