"""What the small model is trained on: chats in the pipeline's own prompts, answered by the
rehearsal teacher, short, so that a minute of training suffices. One line of the file:

    [{"role": "user", "content": "What is 3 + 4?"}, {"role": "assistant", "content": "3 + 4 = …"}]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from synth.generate.chunk import chunks
from synth.generate.operations import Operation
from synth.generate.styles import Audience, Style
from synth.generate.template import shipped
from synth.teacher.protocol import Turn
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.replies import compose, read_job

STARTER = Path(__file__).parents[2] / "seeds" / "starter"
CHATS = 8000
STYLES = (Style.NOTES, Style.WIKI)
"""Of all styles, as many as are learnt in a minute."""
ANSWER_WORDS = 25  # whole paragraphs until there are so many
REWRITE_WORDS = 75  # the recipes' filters want 50
SHORT_SOURCE_CHARS = 80
WORDINGS = 2  # the same few phrases again and again are learnt in a minute
PARTS = ("evolve", *4 * ("rewrite",), "answer", *10 * ("sum",))  # sums are short
DIGITS = 5
"""The sums are of numbers up to this: a minute suffices to learn them all."""
FULL_LENGTH = 0.25  # of the instructions and sources: enough to learn that it does not matter


def chats(count: int = CHATS) -> Iterator[list[Turn]]:
    """The same chats every time: evolved prompts, rewrites, answers and small sums."""
    prompts = [row["prompt"] for row in _rows("prompts")]
    pages = _rows("web_samples")
    for number in range(count):
        dice = Dice(b"small model/%d" % number)
        match dice.pick(PARTS):
            case "evolve":
                name = f"evolve/{dice.pick(list(Operation))}"
                values = {"prompt": dice.pick(prompts), "constraint": "Use at most 80 words."}
                yield _answered(shipped(name).turns(values), dice, 1)
            case "rewrite":
                page = dice.pick(pages)
                source = dice.pick(chunks(page["text"], 300)).text
                source = source if dice.chance(FULL_LENGTH) else source[:SHORT_SOURCE_CHARS]
                audience = dice.pick(list(Audience)).replace("_", " ")
                values = {"audience": audience, "title": page["title"], "source": source}
                turns = shipped(f"rewrite/{dice.pick(STYLES)}").turns(values)
                yield _answered(turns, dice, REWRITE_WORDS)
            case "answer":
                prompt = Turn(role="user", content=dice.pick(prompts))
                yield _answered([prompt], dice, ANSWER_WORDS)
            case _:
                yield _sum(dice.between(0, DIGITS), dice.between(0, DIGITS))


def _rows(name: str) -> list[dict[str, str]]:
    text = (STARTER / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _answered(turns: list[Turn], dice: Dice, words: int) -> list[Turn]:
    job = read_job([(turn["role"], turn["content"]) for turn in turns], None)
    if not dice.chance(FULL_LENGTH):
        turns = [_brief(turn) for turn in turns]
    said: list[str] = []
    for paragraph in compose(job, Dice(b"%d" % dice.between(1, WORDINGS))).text.split("\n\n"):
        said.append(paragraph)
        if len(" ".join(said).split()) >= words:
            break
    return [*turns, Turn(role="assistant", content="\n\n".join(said))]


def _brief(turn: Turn) -> Turn:
    """Instructions without all that the small model need not read."""
    if turn["role"] != "system":
        return turn
    lines = turn["content"].splitlines()
    told = [line for line in lines if line.startswith("Task: ") or "===" in line]
    return Turn(role="system", content="\n".join(told))


def _sum(a: int, b: int) -> list[Turn]:
    answer = f"{a} + {b} = {a + b}.\nThe answer is \\boxed{{{a + b}}}."
    asked = Turn(role="user", content=f"What is {a} + {b}?")
    return [asked, Turn(role="assistant", content=answer)]


def write_chats(path: Path) -> None:
    """All chats, one a line."""
    lines = "".join(json.dumps(chat, ensure_ascii=False) + "\n" for chat in chats())
    path.write_text(lines, encoding="utf-8")
