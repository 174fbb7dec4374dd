"""SmolLM2-135M, trained by TRL's `SFTTrainer` on a release as it stands."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from tests.vllm.convert import convert as plain

RATE, BATCH, LONGEST = 2e-5, 8, 48
AT_ONCE = 32
WINDOW = 512


def convert(gguf: str, folder: str) -> dict[str, Any]:
    """Makes plain weights of the embedded teacher's file, where they are not made yet."""
    if not Path(folder).is_dir():
        with tempfile.TemporaryDirectory(dir=Path(folder).parent) as unfinished:
            plain(Path(gguf), Path(unfinished) / "model")
            (Path(unfinished) / "model").rename(folder)
    return {"folder": folder}


def count(model: str, releases: list[str]) -> dict[str, Any]:
    """The tokens of each release, as the chat template writes its rows."""
    words = AutoTokenizer.from_pretrained(model)
    return {"tokens": [sum(_lengths(words, _rows(one))) for one in releases]}


def _rows(release: str) -> Dataset:
    return load_dataset(release, split="train")


def _lengths(words: PreTrainedTokenizerBase, rows: Dataset) -> list[int]:
    texts = [
        words.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=False)
        for row in rows
    ]
    return [len(numbers) for numbers in words(texts)["input_ids"]]


def train(
    model: str, release: str | None, tokens: int, seed: int, asked: list[str], human: str
) -> dict[str, Any]:
    """Trains one student once over rows of the release with at most so many tokens in all.

    Returns what it answers, and its loss; those of the model as it is if there is no release.
    """
    words = AutoTokenizer.from_pretrained(model)
    words.pad_token = words.pad_token or words.eos_token
    student = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    drawn, used, prompts = 0, 0, set()
    if release is not None:
        rows = _rows(release).shuffle(seed=seed)
        chosen = []
        for place, length in enumerate(_lengths(words, rows)):
            if used + length <= tokens:
                chosen.append(place)
                used += length
        drawn = len(chosen)
        prompts = {rows[place]["prompt"][-1]["content"] for place in chosen}
        with tempfile.TemporaryDirectory() as folder:
            config = SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_train_epochs=1,
                learning_rate=RATE,
                lr_scheduler_type="cosine",
                warmup_steps=max(1, drawn // BATCH // 10),
                bf16=torch.cuda.is_available(),
                use_cpu=not torch.cuda.is_available(),
                gradient_checkpointing=False,
                seed=seed,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            SFTTrainer(
                student, config, train_dataset=rows.select(chosen), processing_class=words
            ).train()
    student.eval()
    return {
        "rows": drawn,
        "tokens": used,
        "tasks": len(prompts),
        "answers": _answers(student, words, asked),
        "human": _loss(student, words, human),
    }


@torch.no_grad()
def _answers(student: Any, words: PreTrainedTokenizerBase, prompts: list[str]) -> list[str]:
    """The most likely answer to each prompt."""
    words.padding_side = "left"
    answers: list[str] = []
    for start in range(0, len(prompts), AT_ONCE):
        turns = [[{"role": "user", "content": one}] for one in prompts[start : start + AT_ONCE]]
        texts = words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        given = words(texts, return_tensors="pt", padding=True).to(student.device)
        said = student.generate(
            **given, max_new_tokens=LONGEST, do_sample=False, pad_token_id=words.pad_token_id
        )
        new = said[:, given["input_ids"].shape[1] :]
        answers += words.batch_decode(new, skip_special_tokens=True)
    return [answer.strip() for answer in answers]


@torch.no_grad()
def _loss(student: Any, words: PreTrainedTokenizerBase, text: str) -> float:
    """Nats per character of the text, read in windows."""
    numbers = words(text, return_tensors="pt")["input_ids"][0].to(student.device)
    total = 0.0
    for window in numbers.split(WINDOW):
        if len(window) > 1:
            found = student(window[None], labels=window[None])
            total += float(found.loss) * (len(window) - 1)
    return total / len(text)
