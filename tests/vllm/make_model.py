"""Makes the small model of the tests: a Llama of a million parameters, trained for a minute.

It is for the protocol, not for its wits: its answers end, keep their format and look like text.
Runs in the environment that serves it, and writes the folder that is served:

    python make_model.py texts.jsonl folder
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
END, PAD = "<|end|>", "<|pad|>"
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
CONTEXT = 2048
VOCABULARY = 2048
ROW_TOKENS = 384  # chats are packed into rows of so many
BATCH_ROWS = 2  # small: a minute is worth more in steps than in smooth ones
STEPS = 1100
INNER_RATE, OUTER_RATE = 0.012, 6e-3  # half of them and double of them were worse


def make(texts: Path, folder: Path) -> None:
    """The folder holds model and tokenizer, whole: a killed run leaves none."""
    torch.manual_seed(7)
    torch.set_num_threads(1)  # so small that two gain little, and wait for each other when busy
    chats = [json.loads(line) for line in texts.read_text(encoding="utf-8").splitlines()]
    tokenizer = make_tokenizer(chats)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=64,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    train(model, packed(tokenizer, chats))
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(folder)


def make_tokenizer(chats: list[list[dict[str, str]]]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the chats' own text: it knows every character."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((turn["content"] for chat in chats for turn in chat), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def packed(tokenizer: PreTrainedTokenizerFast, chats: list[list[dict[str, str]]]) -> torch.Tensor:
    """The chats one after the other, in rows. All of it is learnt: the questions are text too."""
    tokens: list[int] = []
    for chat in chats:
        text = tokenizer.apply_chat_template(chat, tokenize=False)
        tokens += tokenizer.encode(text, add_special_tokens=False)
    return torch.tensor(tokens[: len(tokens) // ROW_TOKENS * ROW_TOKENS]).view(-1, ROW_TOKENS)


def train(model: Any, rows: torch.Tensor) -> None:
    """A fixed number of steps, over the rows in order. Muon learns this in half of Adam's steps."""
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers = [
        torch.optim.Muon(inner, lr=INNER_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(outer, lr=OUTER_RATE, betas=(0.9, 0.95)),
    ]
    rise = [min((n + 1) / 10, (STEPS - n) / (0.4 * STEPS), 1) for n in range(STEPS)]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, lambda n: rise[min(n, STEPS - 1)])
        for one in optimizers
    ]
    started = time.monotonic()
    for step in range(STEPS):
        first = step * BATCH_ROWS % (len(rows) - BATCH_ROWS)
        batch = rows[first : first + BATCH_ROWS]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for one in (*optimizers, *schedules):
            one.step()
        model.zero_grad()
        if step % 100 == 99:
            seconds = time.monotonic() - started
            print(
                f"step {step + 1} of {STEPS}, loss {loss.item():.2f}, {seconds:.0f} s", flush=True
            )


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
