"""`stray_script`: words in another script that the prompt does not use.

    "David attire an帽 every day."   "As of my knowledge cutoff in 2023年, online casino …"

Small multilingual models do this. Words in quotation marks, brackets or code count as citations.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from filters.quality.language import NAMED
from synth.batch import Batch
from synth.model import Model
from synth.text.markdown import QUOTED, without_code
from synth.verdicts import Verdicts

# Cyrillic, Hebrew, Arabic, the scripts of India, Thai, Georgian, Hangul, kana and Han. Not Greek,
# since formulas use it.
OTHER = (
    "\u0400-\u052f\u0590-\u06ff\u0900-\u0dff\u0e00-\u0eff\u10a0-\u11ff\u3040-\u30ff\u3400-\u9fff"
    "\uac00-\ud7af"
)
RUN = re.compile(rf"[{OTHER}]+(?:[\s,.:!?，。、！？]+[{OTHER}]+)*")
LATIN = "A-Za-zÀ-ɏ"
LATINS, OTHERS = re.compile(f"[{LATIN}]"), re.compile(f"[{OTHER}]")
GLUED = re.compile(rf"[{LATIN}][{OTHER}]+|[{OTHER}](?=[{LATIN}])")
GLUED_NUMBER = re.compile(rf"\d[{OTHER}]+")
BRACKETED = re.compile(r"\([^()\n]*\)|（[^（）\n]*）|\[[^\[\]\n]*\]")


class StrayScript(Model):
    """Rejects a Latin-script text that contains words or a sentence in another script.

    The score is the number of such places.
    """

    name: ClassVar[str] = "stray_script"
    compared_with: ClassVar[tuple[str | float, ...]] = ()
    min_run: int = Field(
        10,
        ge=1,
        description="shortest run of characters that counts as another language and not a name",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`stray_script`; the note quotes the first place."""
        found = [
            self._places(text, prompt)
            for text, prompt in zip(batch.texts, batch.prompts, strict=True)
        ]
        return Verdicts(
            ["stray_script" if places else None for places in found],
            [float(len(places)) for places in found],
            [places[0][:60] if places else "" for places in found],
        )

    def _places(self, text: str, prompt: str) -> list[str]:
        if text.isascii() or not RUN.search(text) or RUN.search(prompt) or NAMED.search(prompt):
            return []
        plain = QUOTED.sub("…", without_code(text, "…"))
        if len(OTHERS.findall(plain)) > len(LATINS.findall(plain)):
            return []  # not a Latin-script text
        said = BRACKETED.sub("()", plain)
        long = [run for run in RUN.findall(said) if len(run) >= self.min_run]
        return [*GLUED.findall(plain), *GLUED_NUMBER.findall(said), *long]
