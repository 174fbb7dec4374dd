"""The settings that a score is compared with, which the report marks in its histogram.

{"min_words": 8.0, "max_words": 100000.0}
"""

from __future__ import annotations

from typing import Any, Final, get_args

from filters.catalogue import FILTERS
from filters.contamination.stage import Decontaminate
from filters.dedup.decision import Method
from synth.generate.gain import GainJudge
from synth.generate.judge import Judge
from synth.generate.round_trip import RoundTrip
from synth.model import Model

PARTS: Final[dict[str, type[Model]]] = {
    **FILTERS,
    **{method.name: method for method in get_args(Method)},
    "gain": GainJudge,
    **{stage.name: stage for stage in (Decontaminate, Judge, RoundTrip)},
}
"""The filter, method, judge or stage that gives a score, by the score's name. Its class variable
`compared_with` names the settings that the score is compared with."""


def limits(settings: dict[str, Any], score: str) -> dict[str, float]:
    """The settings of a stage that the score is compared with, without those that are off or
    `auto`. A filter of many rules scores its worst measure over its limit: there the limit is 1."""
    judge = settings.get("score") == score  # a judge names its score itself
    keys = getattr(PARTS.get(Judge.name if judge else score), "compared_with", ())
    own = _settings_of(settings, score)
    found = {
        key if isinstance(key, str) else "limit": own.get(key) if isinstance(key, str) else key
        for key in keys
    }
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


def _settings_of(settings: dict[str, Any], score: str) -> dict[str, Any]:
    """The settings of the filter or method that gives the score."""
    for part in [settings, *settings.get("filters", [])]:
        if isinstance(part.get(score), dict):
            found: dict[str, Any] = part[score]
            return found
    return (settings.get("judge") or {}) if score == "gain" else settings
