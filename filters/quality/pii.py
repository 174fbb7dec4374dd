"""`pii`: texts with somebody's address, number or key. `redact` replaces these instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from filters.pii.find import counted, find
from filters.pii.kinds import PiiKind, Span
from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts


class Pii(Model):
    """Rejects texts with personal data or secrets. The score is the number of findings.

    It does not find names and street addresses, since no pattern detects them. It finds all 136
    other spans in 600 labelled sentences (presidio-research), on which it was developed.
    """

    name: ClassVar[str] = "pii"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_found",)
    kinds: tuple[PiiKind, ...] = Field(
        tuple(PiiKind), min_length=1, description="the kinds to look for"
    )
    max_found: int = Field(0, ge=0, description="largest number of findings")

    def judge(self, batch: Batch) -> Verdicts:
        """`secret_found`, else `pii_found`; the note has the kinds, never the data itself."""
        found = [find(text, self.kinds) for text in batch.texts]
        return Verdicts(
            [self._reason(spans) for spans in found],
            [float(len(spans)) for spans in found],
            [counted(spans) for spans in found],
        )

    def _reason(self, spans: Sequence[Span]) -> str | None:
        if len(spans) <= self.max_found:
            return None
        secret = any(span.kind is PiiKind.SECRET for span in spans)
        return "secret_found" if secret else "pii_found"
