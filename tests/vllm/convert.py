"""A GGUF model becomes a folder that vLLM serves: plain bfloat16 weights, tokenizer, chat template.

Runs in vLLM's environment, and takes half a minute for SmolLM2-135M:

    python convert.py SmolLM2-135M-Instruct.Q4_1.gguf FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(gguf: Path, folder: Path) -> None:
    """Writes model and tokenizer into the folder."""
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    # the weights are plain numbers by now, but transformers would refuse to save a quantized model
    del model.hf_quantizer
    del model.config.quantization_config
    model.is_quantized = False
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
