"""Answers a request for a Python function: the right name and signature, and a first draft inside.

The rehearsal teacher cannot program. It knows a dozen one-line idioms and tries one whose word
stands in the prompt; otherwise the body is a stub that says so. Few drafts pass their tests, and
that is the point: a code verifier has something to tell apart.
"""

from __future__ import annotations

import re

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import pick
from synth.teacher.rehearsal.text import key_terms

SIGNATURE = re.compile(
    r"\b([a-z_]\w*)\(([^()\n]{0,200}(?:\([^()\n]{0,200}\))?[^()\n]{0,200})\)\s*->\s*"
    r"([\w.]+(?:\[[^][\n]*(?:\[[^][\n]*\][^][\n]*)*\])?(?: \| [\w.]+)*)"
)
DEF = re.compile(r"^[ \t]*def ([A-Za-z_]\w*)\(([^)\n]*)\)\s*:", re.MULTILINE)
NAMED = re.compile(r"`([a-z_]\w*)\(([^`)\n]*)\)`")
ASKED = re.compile(r"\bfunction (?:called |named )?`?([a-z]\w*_\w+|[a-z]\w+(?=`|\())`?")
IDIOMS = (
    ("palindrome", "{p} == {p}[::-1]"),
    ("revers", "{p}[::-1]"),
    ("average", "sum({p}) / len({p})"),
    ("mean", "sum({p}) / len({p})"),
    ("largest", "max({p})"),
    ("maximum", "max({p})"),
    ("smallest", "min({p})"),
    ("minimum", "min({p})"),
    ("vowel", 'sum(letter in "aeiouAEIOU" for letter in {p})'),
    ("duplicate", "list(dict.fromkeys({p}))"),
    ("unique", "list(dict.fromkeys({p}))"),
    ("sort", "sorted({p})"),
    ("even", "{p} % 2 == 0"),
    ("square", "{p} ** 2"),
    ("sum", "sum({p})"),
    ("total", "sum({p})"),
    ("count", "len({p})"),
    ("upper", "{p}.upper()"),
    ("lower", "{p}.lower()"),
)
EMPTY = {"int": "0", "float": "0.0", "str": '""', "bool": "False", "list": "[]", "dict": "{}"}


def find_signature(prompt: str) -> tuple[str, str, str] | None:
    """Name, parameters and return annotation ("" if none) of the function asked for, or None."""
    if "(" not in prompt and "function" not in prompt:
        return None
    if found := SIGNATURE.findall(prompt):
        # the last one: prompts show helpers and faulty versions before what they ask for
        name, parameters, returns = found[-1]
        return name, parameters.strip(), returns.rstrip(".")
    if (named := DEF.search(prompt) or NAMED.search(prompt)) is not None:
        return named[1], named[2].strip(), ""
    if "ython" in prompt and (named := ASKED.search(prompt)) is not None:
        return named[1], "value", ""
    return None


def write_function(signature: tuple[str, str, str], prompt: str, dice: Dice) -> str:
    """A fenced code block with a draft of the function, and a sentence before and after it."""
    name, parameters, returns = signature
    terms = key_terms(prompt)
    slots = {"name": name, "a": dice.pick(terms), "b": dice.pick(terms)}
    head = f"def {name}({parameters})" + (f" -> {returns}:" if returns else ":")
    docstring = (
        f'    """{dice.pick(("Draft", "First draft", "A start"))}: {terms[0]}, {slots["a"]}."""'
    )
    body = _body(name, parameters, returns, prompt, dice)
    code = "\n".join(["```python", head, docstring, *body, "```"])
    parts = [pick("answer", "code_openings", dice, slots), "", code]
    if dice.chance(0.7):
        parts += ["", pick("answer", "code_closings", dice, slots)]
    return "\n".join(parts)


def _body(name: str, parameters: str, returns: str, prompt: str, dice: Dice) -> list[str]:
    first = re.split(r"[:=,\s]", parameters, maxsplit=1)[0].lstrip("*") or "value"
    if parameters:
        subject = f"{name} {prompt}".lower()
        for word, idiom in IDIOMS:
            if word in subject and dice.chance(0.7):
                return [f"    return {idiom.format(p=first)}"]
    empty = EMPTY.get(returns.split("[")[0], "None")
    note = f"    # to do: {dice.pick(key_terms(prompt))}"
    if parameters and dice.chance(0.5):
        return [note, f"    if not {first}:", f"        return {empty}", f"    return {empty}"]
    return [note, f"    result = {empty}", "    return result"]
