"""Loads what a run loads at its first use: models and compiled functions. It takes seconds, and the
children that are forked after it have it already."""

from __future__ import annotations

import numba  # noqa: F401  forked children have it
import pandas as pd  # noqa: F401  forked children have it
import uvloop  # noqa: F401  forked children have it

from synth.text.language import language
from synth.text.refusal import refuses

refuses("I cannot say. " * 9)
language("What is it that runs here, and where does it run to?")
