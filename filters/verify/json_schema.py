"""`json_schema` checks that an answer is JSON that matches a JSON schema.

'{"city": "Oslo"}' against {"type": "object", "required": ["city"]}   pass
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from synth.batch import Batch
from synth.model import Model
from synth.paths import InputPath
from synth.teacher.schema import BrokenError, conformed, read_schema
from synth.text.markdown import unfenced
from synth.verdicts import Check, Verdict

MOST_CHARS = 1_000_000


class JsonSchema(Model):
    """Checks that a text is JSON that matches the schema, after removing a code fence around it.

    Does not fetch a `$ref` to another document.
    """

    name: ClassVar[str] = "json_schema"
    against: dict[str, Any] | InputPath = Field(
        description="a JSON schema, or the path of a .json file"
    )

    @field_validator("against")
    @classmethod
    def _is_schema(cls, value: dict[str, Any] | Path) -> dict[str, Any]:

        return read_schema(value)  # the schema's content counts, not its path

    def check(self, batch: Batch) -> list[Check]:
        """One check per row; the note says where the text violates the schema."""
        assert isinstance(self.against, dict)
        return [check_text(text, self.against) for text in batch.texts]


def check_text(text: str, schema: dict[str, Any]) -> Check:
    """Checks one text; texts above a million characters are `unverified`."""

    if len(text) > MOST_CHARS:
        return Check(Verdict.UNVERIFIED, f"{len(text):,} letters, more than {MOST_CHARS:,}")
    try:
        conformed(unfenced(text), schema)
    except BrokenError as error:
        return Check(Verdict.FAIL, str(error))
    return Check(Verdict.PASS, "follows the schema")
