"""Where the usual benchmarks are on the Hub, and which columns hold what must not be trained on."""

from __future__ import annotations

from typing import Final, NamedTuple


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
"""Looked for in this order where a benchmark does not say which columns hold its items."""
