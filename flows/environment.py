"""Replaces `${NAME}` in a recipe by the value of the environment variable.

- read:
    prompts: ${DATA}/prompts.jsonl

The value becomes part of the settings, which manifests and `run.json` hold. So a name that suggests
a secret is refused. The dataset card shows the recipe as it was written.
"""

from __future__ import annotations

import os
import re
from typing import Any

from flows.strict_yaml import Document, Location
from synth.errors import RecipeError, did_you_mean

VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A name in braces; with a second `$` it is plain text."""
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)


def with_environment(document: Document) -> Any:
    """The document's value with all variables replaced. `$${NAME}` becomes `${NAME}`.

    Raises `RecipeError`, with one line per mistake, for a variable that is unset or a secret.
    """
    mistakes: list[str] = []
    value = _replaced(document.value, (), document, mistakes)
    if mistakes:
        raise RecipeError("\n".join(dict.fromkeys(mistakes)))
    return value


def _replaced(value: Any, at: Location, document: Document, mistakes: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one, (*at, key), document, mistakes) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, (*at, n), document, mistakes) for n, one in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def found(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return f"${{{name}}}"
        if problem := _problem(name):
            mistakes.append(f"{document.where(at)}: {problem}")
        return os.environ.get(name, "")

    return VARIABLE.sub(found, value)


def _problem(name: str) -> str:
    """Why the variable cannot be used; empty if it can."""
    if SECRET.search(name):
        return (
            f"${{{name}}} may be a secret, and the run's manifest would hold its value: leave it "
            "in the environment, where the Hub's client, S3 and `teacher: {api_key_env: NAME}` "
            "find it"
        )
    if not os.environ.get(name):
        is_what = "is empty" if name in os.environ else "is not set"
        near = did_you_mean(name, [one for one in os.environ if not SECRET.search(one)])
        return (
            f"the environment variable {name} {is_what}{near}: set it before the run, or write "
            f"$${{{name}}} for the plain text"
        )
    return ""
