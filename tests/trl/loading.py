"""What the tests in TRL's environment share."""

from __future__ import annotations

import os
from pathlib import Path

from datasets import Dataset, load_dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase

RELEASES = Path(os.environ["RELEASES"])
CASES = sorted(path.name for path in RELEASES.iterdir())


def folder(case: str) -> Path:
    """The release of a case."""
    return RELEASES / case / "release"


def train(case: str) -> Dataset:
    """The training split, as a user loads it."""
    return load_dataset(str(folder(case)), split="train")


def tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer of SmolLM2."""
    gguf = Path(os.environ["TOKENIZER"])
    found = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    found.pad_token = found.pad_token or found.eos_token
    return found
