"""Keeps secrets out of what is said: an engine's log may quote its environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from synth.teacher.vllm.config import secretive

SECRET_CHARS = 6  # a shorter value is like `true` or `EMPTY`, and is found inside of words
SETTING_CHARS = 8  # of a recipe's `env:`, where most values are like `1` or `DEBUG`
KNOWN_FORMS = re.compile(r"\bhf_[A-Za-z0-9]{8,}|(?<=[Bb]earer )\S+")


def hider(environment: Mapping[str, str], settings: Mapping[str, str]) -> Callable[[str], str]:
    """Puts `$NAME` where a text holds the value of a secret variable, or of the recipe's `env:`."""
    names = {
        value: f"${name}"
        for name, value in environment.items()
        if secretive(name) and len(value) >= SECRET_CHARS
    }
    names |= {value: f"${name}" for name, value in settings.items() if len(value) >= SETTING_CHARS}
    longest_first = sorted(names, key=len, reverse=True)  # one secret may begin with another
    values = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def hide(text: str) -> str:
        text = values.sub(lambda found: names[found[0]], text)
        return KNOWN_FORMS.sub("(a token)", text)

    return hide
