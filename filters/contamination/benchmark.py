"""A benchmark named by a recipe: a name from the shipped list, a file, or a dataset on the Hub.

against: [gsm8k, humaneval, ours/exam.jsonl, {hub: org/name, split: test, columns: [question]}]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from synth.errors import did_you_mean
from synth.model import Model
from synth.paths import InputPath


class Known(NamedTuple):
    """A dataset on the Hub."""

    hub: str
    columns: tuple[str, ...]
    configs: tuple[str, ...] = ("default",)
    split: str = "test"


_MATH = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory",
    "prealgebra", "precalculus",
)  # fmt: skip
KNOWN: Final[dict[str, Known]] = {
    "aime_2024": Known("HuggingFaceH4/aime_2024", ("problem",), split="train"),
    "arc_challenge": Known("allenai/ai2_arc", ("question",), ("ARC-Challenge",)),
    "arc_easy": Known("allenai/ai2_arc", ("question",), ("ARC-Easy",)),
    "commonsense_qa": Known("tau/commonsense_qa", ("question",), split="validation"),
    "gpqa_diamond": Known("Idavidrein/gpqa", ("Question",), ("gpqa_diamond",), "train"),
    "gsm8k": Known("openai/gsm8k", ("question",), ("main",)),
    "hellaswag": Known("Rowan/hellaswag", ("ctx",), split="validation"),
    "humaneval": Known(
        "openai/openai_humaneval", ("prompt", "canonical_solution"), ("openai_humaneval",)
    ),
    "ifeval": Known("google/IFEval", ("prompt",), split="train"),
    "math": Known("EleutherAI/hendrycks_math", ("problem",), _MATH),
    "math_500": Known("HuggingFaceH4/MATH-500", ("problem",)),
    "mbpp": Known("google-research-datasets/mbpp", ("text", "code"), ("full",)),
    "mmlu": Known("cais/mmlu", ("question",), ("all",)),
    "mmlu_pro": Known("TIGER-Lab/MMLU-Pro", ("question",)),
    "openbookqa": Known("allenai/openbookqa", ("question_stem",), ("main",)),
    "truthfulqa": Known(
        "truthfulqa/truthful_qa", ("question",), ("generation",), split="validation"
    ),
    "winogrande": Known("allenai/winogrande", ("sentence",), ("winogrande_xl",), "validation"),
}
COLUMNS: Final = ("question", "problem", "prompt", "instruction", "text", "query", "input")
"""The item columns to try, in this order, if a benchmark does not name its own."""


FORMATS = (".jsonl", ".json", ".parquet", ".csv", ".txt")


class Benchmark(Model):
    """Items to look for. Set exactly one of `file` and `hub`, or use a name from the list."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(
            anyOf=[{"enum": sorted(KNOWN)}, {"type": "string"}, {"type": "object"}]
        )
    )
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = ""
    """The name used in reasons; default: the name of the file or dataset."""
    file: InputPath | None = None
    """A JSONL, JSON (a list), Parquet or CSV file, or text with one item per line."""
    hub: str | None = None
    """A dataset on the Hub, fetched once and cached with its hash."""
    configs: tuple[str, ...] = ("default",)
    """Its configurations."""
    split: str = "test"
    """Its split."""
    columns: tuple[str, ...] = ()
    """The columns that are joined into an item; default: the first common name found."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        if isinstance(value, Path) or (isinstance(value, str) and value.endswith(FORMATS)):
            value = {"file": value}
        if isinstance(value, str):
            if value not in KNOWN:
                raise ValueError(_unknown(value))
            known = KNOWN[value]
            value = {"name": value, **known._asdict()}
        if isinstance(value, Mapping) and not value.get("name"):
            place = value.get("file") or value.get("hub") or ""
            return {**value, "name": _name_of(str(place))}
        return value

    @field_validator("file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and value.suffix not in FORMATS:
            raise ValueError(f"{value} has an unknown format; known: {', '.join(FORMATS)}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.hub is None):
            raise ValueError(
                "a benchmark needs a known name or exactly one of `file` and `hub`; known: "
                f"{', '.join(KNOWN)}"
            )
        return self


def _name_of(place: str) -> str:
    """The name for reasons: `data/Our Exam.jsonl` becomes `our-exam`."""
    name = re.sub(r"[^a-z0-9]+", "_", Path(place).stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"benchmark_{name}"


def _unknown(name: str) -> str:
    hint = did_you_mean(name, KNOWN) or ";"
    return (
        f"unknown benchmark {name!r}{hint} known: {', '.join(KNOWN)}; or give a file "
        f"({', '.join(FORMATS)}), or `hub: org/name` with its split and columns"
    )
