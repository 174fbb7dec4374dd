"""Small transformers that are trained from nothing on one arm, one per seed.

Pre-norm decoder with learned positions, as GPT-2; they learn the tokens of the answers only.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.students.pieces import END, Pieces

WIDTH, LAYERS, HEADS, CONTEXT = 64, 2, 4, 56
BATCH = 16
RATE, WARM_UP, DECAY = 5e-3, 0.1, 0.01
LONGEST_ANSWER = 14
IGNORED = -1
"""The label of tokens that are not learned."""
Rows = list[list[str]]
"""Prompts, each with its answer."""


class Block(nn.Module):
    """Attention and a feed-forward layer, of all students."""

    def __init__(self, students: int) -> None:
        super().__init__()
        self.before, self.between = Norm(students), Norm(students)
        self.joined, self.out = Each(students, WIDTH, 3 * WIDTH), Each(students, WIDTH, WIDTH)
        self.wide, self.narrow = (
            Each(students, WIDTH, 4 * WIDTH),
            Each(students, 4 * WIDTH, WIDTH),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        students, rows, length, _ = x.shape
        parts = self.joined(self.before(x))
        parts = parts.view(students * rows, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.narrow(functional.relu(self.wide(self.between(x))))


class Each(nn.Module):
    """A linear layer with weights of its own for each student."""

    def __init__(self, students: int, wide: int, narrow: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(students, wide, narrow) * wide**-0.5)
        self.bias = nn.Parameter(torch.zeros(students, 1, narrow))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = torch.baddbmm(self.bias, x.flatten(1, 2), self.weight)
        return flat.view(*x.shape[:-1], -1)


class Norm(nn.Module):
    """A layer norm with weights of its own for each student."""

    def __init__(self, students: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(students, 1, 1, WIDTH))
        self.bias = nn.Parameter(torch.zeros(students, 1, 1, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (WIDTH,)) * self.weight + self.bias


class Students(nn.Module):
    """Several students side by side, who share nothing: faster than one after the other.

    Token numbers in (student, row, place), scores of the next token out.
    """

    def __init__(self, students: int, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.words = nn.Parameter(torch.randn(students, tokens, WIDTH) * 0.05)
        self.places = nn.Parameter(torch.randn(students, 1, CONTEXT, WIDTH) * 0.05)
        self.blocks = nn.Sequential(*(Block(students) for _ in range(LAYERS)))
        self.last = Norm(students)

    def forward(self, numbers: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Scores from the place `first` on."""
        students, _, length = numbers.shape
        words = self.words.flatten(0, 1)  # one table, in which each student has a part
        own = torch.arange(students)[:, None, None] * self.tokens
        x = functional.embedding(numbers + own, words) + self.places[:, :, :length]
        x = self.last(self.blocks(x))[:, :, first:]
        return (x.flatten(1, 2) @ self.words.transpose(1, 2)).view(*x.shape[:-1], self.tokens)


def train(data: str, rows: list[Rows], seeds: list[int], steps: int) -> dict[str, Any]:
    """Trains one student per seed on its rows. Returns what each answers, and its loss.

    `data` is a file with the `vocabulary` (texts whose frequent words are tokens), the prompts that
    are `asked`, and the `human` text.
    """
    torch.set_num_threads(1)  # two arms side by side are faster than one on two cores
    given = json.loads(Path(data).read_text(encoding="utf-8"))
    pieces = Pieces(given["vocabulary"])
    students = _trained(pieces, rows, seeds, steps)
    answers = _answers(students, pieces, given["asked"])
    losses = _losses(students, pieces, given["human"])
    runs = [
        {"seed": seed, "answers": said, "human": loss}
        for seed, said, loss in zip(seeds, answers, losses, strict=True)
    ]
    size = sum(weights.numel() for weights in students.parameters()) // len(seeds)
    return {"runs": runs, "parameters": size}


def _trained(pieces: Pieces, rows: list[Rows], seeds: list[int], steps: int) -> Students:
    torch.manual_seed(seeds[0])
    students = Students(len(seeds), len(pieces.tokens))
    optimizer = torch.optim.AdamW(
        students.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=DECAY, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    drawn = [_draws(pieces, own, seed) for own, seed in zip(rows, seeds, strict=True)]
    for _ in range(steps):
        numbers, labels, first = _batch([next(one) for one in drawn])
        scores = students(numbers, first)
        loss = functional.cross_entropy(
            scores.flatten(0, 2), labels.flatten(), ignore_index=IGNORED, reduction="none"
        )
        # each student's loss is the mean over its own tokens
        learnt = (labels != IGNORED).flatten(1).sum(1)
        (loss.view(len(seeds), -1).sum(1) / learnt).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return students.eval()


def _draws(pieces: Pieces, rows: Rows, seed: int) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Batches without end; each epoch has an order of its own."""
    rng = random.Random(seed)
    examples = [(pieces.asked(prompt), pieces.answered(answer)) for prompt, answer in rows]
    assert max(len(asked) + len(answered) for asked, answered in examples) <= CONTEXT
    order: list[int] = []
    while True:
        while len(order) < BATCH:
            order += rng.sample(range(len(examples)), len(examples))
        yield [examples[place] for place in order[:BATCH]]
        del order[:BATCH]


def _rate(done: float) -> float:
    """Rises for the first tenth of the steps, then falls along a cosine."""
    if done < WARM_UP:
        return (done + 1e-3) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def _batch(
    batches: list[list[tuple[list[int], list[int]]]],
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The tokens; from the first answer on, the next one if it belongs to the answer; where that
    is."""
    pairs = [pair for examples in batches for pair in examples]
    longest = max(len(asked) + len(answered) for asked, answered in pairs) - 1
    first = min(len(asked) for asked, _ in pairs) - 1
    numbers = torch.zeros(len(pairs), longest, dtype=torch.long)
    labels = torch.full((len(pairs), longest), IGNORED)
    for row, (asked, answered) in enumerate(pairs):
        whole = torch.tensor(asked + answered)
        numbers[row, : len(whole) - 1] = whole[:-1]
        labels[row, len(asked) - 1 : len(whole) - 1] = whole[len(asked) :]
    shape = (len(batches), len(batches[0]), -1)
    return numbers.view(shape), labels[:, first:].reshape(shape), first


@torch.no_grad()
def _answers(students: Students, pieces: Pieces, prompts: list[str]) -> list[list[str]]:
    """Each student's most likely answers; prompts of one length are answered together."""
    count = len(students.words)
    asked = [pieces.asked(prompt) for prompt in prompts]
    answers = [[""] * len(prompts) for _ in range(count)]
    for length in {len(numbers) for numbers in asked}:
        places = [place for place, numbers in enumerate(asked) if len(numbers) == length]
        numbers = torch.tensor([asked[place] for place in places]).expand(count, -1, -1)
        ended = torch.zeros(numbers.shape[:2], dtype=torch.bool)
        for _ in range(min(LONGEST_ANSWER, CONTEXT - length)):
            following = students(numbers, numbers.shape[2] - 1)[:, :, -1].argmax(-1)
            numbers = torch.cat([numbers, following[:, :, None]], dim=2)
            ended |= following == pieces.numbers[END]
            if ended.all():
                break
        for student, said in enumerate(numbers[:, :, length:].tolist()):
            for place, row in zip(places, said, strict=True):
                answers[student][place] = pieces.decode(row).strip()
    return answers


@torch.no_grad()
def _losses(students: Students, pieces: Pieces, text: str) -> list[float]:
    """Each student's nats per character of the text, read in windows."""
    count = len(students.words)
    numbers = pieces.encode(text)
    windows = torch.tensor(numbers[: len(numbers) // CONTEXT * CONTEXT]).view(-1, CONTEXT)
    scores = students(windows[:, :-1].expand(count, -1, -1)).flatten(0, 2)
    labels = windows[:, 1:].expand(count, -1, -1).flatten()
    losses = functional.cross_entropy(scores, labels, reduction="none").view(count, -1).sum(1)
    characters = sum(len(pieces.tokens[number]) for number in windows[:, 1:].flatten().tolist())
    return [float(loss) / characters for loss in losses]
