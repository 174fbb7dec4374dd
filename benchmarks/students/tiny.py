"""A small transformer that is trained from nothing on one arm, in seconds to a minute.

Pre-norm decoder with learned positions, as GPT-2; it learns the tokens of the answers only.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.students.pieces import END, Pieces

WIDTH, LAYERS, HEADS, CONTEXT = 64, 2, 4, 64
BATCH = 32
RATE, WARM_UP, DECAY = 5e-3, 0.1, 0.1
LONGEST_ANSWER = 24
IGNORED = -100
"""The label of tokens that are not learned, as in `cross_entropy`."""
Rows = list[list[str]]
"""Prompts, each with its answer."""


class Block(nn.Module):
    """Attention and a feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.joined, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, _ = x.shape
        parts = self.joined(self.before(x)).view(rows, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, length, WIDTH))
        return x + self.narrow(functional.gelu(self.wide(self.between(x))))


class Student(nn.Module):
    """Token numbers in, scores of the next token out."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(tokens, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.last, self.scores = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, tokens, bias=False)
        for weights in self.parameters():
            if weights.dim() == 2:
                nn.init.normal_(weights, std=0.02)
        self.scores.weight = self.words.weight

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        x = self.words(numbers) + self.places.weight[: numbers.shape[1]]
        return self.scores(self.last(self.blocks(x)))


def train(data: str, rows: list[Rows], seeds: list[int], steps: int) -> dict[str, Any]:
    """Trains one student per seed on its rows. Returns what each answers, and its loss.

    `data` is a file with the `vocabulary` (texts whose frequent words are tokens), the prompts that
    are `asked`, and the `human` text.
    """
    torch.set_num_threads(1)  # two students at a time learn faster than one on two cores
    given = json.loads(Path(data).read_text(encoding="utf-8"))
    pieces = Pieces(given["vocabulary"])
    runs = []
    for seed, learnt in zip(seeds, rows, strict=True):
        student = _trained(pieces, learnt, seed, steps)
        answers = _answers(student, pieces, given["asked"])
        runs.append(
            {"seed": seed, "answers": answers, "human": _loss(student, pieces, given["human"])}
        )
    size = sum(weights.numel() for weights in student.parameters())
    return {"runs": runs, "parameters": size}


def _trained(pieces: Pieces, rows: Rows, seed: int, steps: int) -> Student:
    torch.manual_seed(seed)
    rng = random.Random(seed)
    examples = [(pieces.asked(prompt), pieces.answered(answer)) for prompt, answer in rows]
    assert max(len(asked) + len(answered) for asked, answered in examples) <= CONTEXT
    student = Student(len(pieces.tokens))
    decayed = [one for one in student.parameters() if one.dim() == 2]
    plain = [one for one in student.parameters() if one.dim() != 2]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    order: list[int] = []
    for _ in range(steps):
        while len(order) < BATCH:  # each epoch in an order of its own
            order += rng.sample(range(len(examples)), len(examples))
        numbers, labels = _batch([examples[place] for place in order[:BATCH]])
        del order[:BATCH]
        scores = student(numbers).flatten(0, 1)
        loss = functional.cross_entropy(scores, labels.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return student.eval()


def _rate(done: float) -> float:
    """Rises for the first tenth of the steps, then falls along a cosine."""
    if done < WARM_UP:
        return (done + 1e-3) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def _batch(examples: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens, and for each the next one if it belongs to the answer."""
    longest = max(len(asked) + len(answered) for asked, answered in examples) - 1
    numbers = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full((len(examples), longest), IGNORED)
    for row, (asked, answered) in enumerate(examples):
        whole = torch.tensor(asked + answered)
        numbers[row, : len(whole) - 1] = whole[:-1]
        labels[row, len(asked) - 1 : len(whole) - 1] = whole[len(asked) :]
    return numbers, labels


@torch.no_grad()
def _answers(student: Student, pieces: Pieces, prompts: list[str]) -> list[str]:
    """The most likely answer to each prompt; prompts of one length are answered together."""
    asked = [pieces.asked(prompt) for prompt in prompts]
    answers = [""] * len(prompts)
    for length in {len(numbers) for numbers in asked}:
        places = [place for place, numbers in enumerate(asked) if len(numbers) == length]
        numbers = torch.tensor([asked[place] for place in places])
        ended = torch.zeros(len(places), dtype=torch.bool)
        for _ in range(min(LONGEST_ANSWER, CONTEXT - length)):
            following = student(numbers)[:, -1].argmax(-1)
            numbers = torch.cat([numbers, following[:, None]], dim=1)
            ended |= following == pieces.numbers[END]
            if ended.all():
                break
        for place, row in zip(places, numbers[:, length:].tolist(), strict=True):
            answers[place] = pieces.decode(row).strip()
    return answers


@torch.no_grad()
def _loss(student: Student, pieces: Pieces, text: str) -> float:
    """Nats per character of the text, read in windows."""
    numbers = pieces.encode(text)
    windows = torch.tensor(numbers[: len(numbers) // CONTEXT * CONTEXT]).view(-1, CONTEXT)
    scores = student(windows[:, :-1]).flatten(0, 1)
    total = functional.cross_entropy(scores, windows[:, 1:].flatten(), reduction="sum")
    characters = sum(len(pieces.tokens[number]) for number in windows[:, 1:].flatten().tolist())
    return float(total) / characters
