"""The filter and verifier names that recipes can use. To add one, add a line here."""

from typing import Final

from filters.grounding.arithmetic import Arithmetic
from filters.grounding.copying import Copying
from filters.grounding.facts import Facts
from filters.quality.boilerplate import Boilerplate
from filters.quality.c4 import C4
from filters.quality.chat_tokens import ChatTokens
from filters.quality.echo import Echo
from filters.quality.fineweb import FineWeb
from filters.quality.gopher import Gopher
from filters.quality.language import Language
from filters.quality.length import Length
from filters.quality.loops import Loops
from filters.quality.mojibake import Mojibake
from filters.quality.pii import Pii
from filters.quality.placeholders import Placeholders
from filters.quality.readability import Readability
from filters.quality.refusal import Refusal
from filters.quality.repetition import Repetition
from filters.quality.stray_script import StrayScript
from filters.quality.toxicity import Toxicity
from filters.quality.truncation import Truncation
from filters.verify.code import Code
from filters.verify.consistency import Consistency
from filters.verify.instructions.verifier import Instructions
from filters.verify.json_schema import JsonSchema
from filters.verify.maths.verifier import Maths
from synth.model import Model

FILTERS: Final[dict[str, type[Model]]] = {
    "arithmetic": Arithmetic,
    "boilerplate": Boilerplate,
    "c4": C4,
    "chat_tokens": ChatTokens,
    "copying": Copying,
    "echo": Echo,
    "facts": Facts,
    "fineweb": FineWeb,
    "gopher": Gopher,
    "language": Language,
    "length": Length,
    "loops": Loops,
    "mojibake": Mojibake,
    "pii": Pii,
    "placeholders": Placeholders,
    "readability": Readability,
    "refusal": Refusal,
    "repetition": Repetition,
    "stray_script": StrayScript,
    "toxicity": Toxicity,
    "truncation": Truncation,
}
VERIFIERS: Final[dict[str, type[Model]]] = {
    "code": Code,
    "consistency": Consistency,
    "instructions": Instructions,
    "json_schema": JsonSchema,
    "maths": Maths,
}
