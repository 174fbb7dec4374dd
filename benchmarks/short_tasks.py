"""Generates short tasks with gold answers, and the answers of two simulated teachers.

{"kind": "rest", "prompt": "Ana has 12 pens and gives 5 away. How many are left?",
 "answer": "7", "equation": "12 - 5 = 7", "misread": "17", "misread_equation": "12 + 5 = 17"}

A task's `misread` is the answer of a teacher that applies one wrong rule to this kind of task.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

NAMES = ("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kim", "Leo")
GOODS = ("pens", "cups", "eggs", "books", "coins", "cards", "shells", "stamps", "nuts", "keys")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Task(NamedTuple):
    """A prompt with its gold answer."""

    kind: str
    prompt: str
    answer: str
    equation: str = ""
    misread: str = ""
    misread_equation: str = ""


def _sum(rng: random.Random) -> Task:
    a, b, name, goods = rng.randint(1, 9), rng.randint(1, 9), *_story(rng)
    prompt = f"{name} has {a} {goods} and gets {b} more. How many now?"
    return Task("sum", prompt, str(a + b), f"{a} + {b} = {a + b}")


def _rest(rng: random.Random) -> Task:
    a, b, name, goods = rng.randint(10, 18), rng.randint(1, 9), *_story(rng)
    prompt = f"{name} has {a} {goods} and gives {b} away. How many are left?"
    right, wrong = f"{a} - {b} = {a - b}", f"{a} + {b} = {a + b}"
    return Task("rest", prompt, str(a - b), right, str(a + b), wrong)


def _larger(rng: random.Random) -> Task:
    a, b = rng.sample(range(1, 31), 2)
    prompt = f"Which number is larger, {a} or {b}?"
    return Task("larger", prompt, str(max(a, b)), misread=str(min(a, b)))


def _count(rng: random.Random) -> Task:
    names = rng.sample(NAMES, rng.randint(2, 6))
    return Task("count", f"How many names are these: {', '.join(names)}?", str(len(names)))


def _day(rng: random.Random) -> Task:
    day, later, name, goods = rng.randrange(7), rng.randint(2, 4), *_story(rng)
    prompt = f"{name} sends {goods} on {DAYS[day]}. They come {later} days later. On which day?"
    # counts the day of sending as the first day
    return Task("day", prompt, DAYS[(day + later) % 7], misread=DAYS[(day + later - 1) % 7])


def _next(rng: random.Random) -> Task:
    number, name = rng.randint(1, 40), rng.choice(NAMES)
    prompt = f"{name} counts up to {number}. Which number comes next?"
    return Task("next", prompt, str(number + 1))


def _largest(rng: random.Random) -> Task:
    numbers = rng.sample(range(1, 31), 3)
    a, b, c = numbers
    return Task("largest", f"Which number is the largest, {a}, {b} or {c}?", str(max(numbers)))


def _two_steps(rng: random.Random) -> Task:
    a, b, c, name, goods = rng.randint(5, 12), rng.randint(1, 7), rng.randint(1, 5), *_story(rng)
    prompt = f"{name} has {a} {goods}, gets {b} more and gives {c} away. How many are left?"
    return Task("two steps", prompt, str(a + b - c))


def _story(rng: random.Random) -> tuple[str, str]:
    return rng.choice(NAMES), rng.choice(GOODS)


KINDS: dict[str, Callable[[random.Random], Task]] = {
    "sum": _sum,
    "rest": _rest,
    "larger": _larger,
    "count": _count,
    "day": _day,
    "next": _next,
}
UNSEEN: dict[str, Callable[[random.Random], Task]] = {"largest": _largest, "two steps": _two_steps}
"""Kinds of which no arm has a task: one resembles `larger`, one joins `sum` and `rest`."""
UNSEEN_SHARE = 0.2
TRIES = 10_000


class Tasks(NamedTuple):
    """Tasks to train on, and others to test on; no prompt is in both."""

    train: list[Task]
    held_out: list[Task]


def tasks(train: int, held_out: int, seed: int = 0) -> Tasks:
    """This many distinct tasks. A fifth of those held out is of kinds that are not trained on."""
    rng = random.Random(seed)
    unseen = round(held_out * UNSEEN_SHARE)
    seen = _distinct(train + held_out - unseen, list(KINDS.values()), rng)
    rng.shuffle(seen)
    return Tasks(seen[:train], seen[train:] + _distinct(unseen, list(UNSEEN.values()), rng))


def _distinct(
    count: int, kinds: Sequence[Callable[[random.Random], Task]], rng: random.Random
) -> list[Task]:
    """Equally many of each kind."""
    made: dict[str, Task] = {}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        fresh = (task for task in (kind(rng) for _ in range(TRIES)) if task.prompt not in made)
        if (task := next(fresh, None)) is None:
            raise ValueError(f"{kind.__name__} has fewer than {count // len(kinds)} prompts")
        made[task.prompt] = task
    return list(made.values())


SAMPLES = 4
"""Answers to each task, as in the shipped recipes."""
RANDOM_RATE = 0.6
"""The random teacher: this share of its answers is off, in every kind, each time differently."""
OFTEN, ALWAYS = ("rest", "larger"), ("day",)
OFTEN_RATE = 0.8
"""The systematic teacher misreads these kinds in this share of its answers, or always. It makes no
other mistakes."""
FAULT_RATE = 0.1
"""This share of both teachers' replies has a fault of form."""
FAULTS = (
    "I'm sorry, but I can't help with that.",
    "The answer is",
    "{said}<|im_end|>",
    " ".join(["The answer is {answer}."] * 6),
)
WORDINGS = ("{answer}", "The answer is {answer}.", "{equation}. The answer is {answer}.")
"""The last one only where a task has an equation."""


def random_teacher(task: Task, rng: random.Random) -> str:
    """An answer that is off at `RANDOM_RATE`, by 1 to 9 up or down, or by 1 to 6 days."""
    answer, equation = task.answer, task.equation
    if rng.random() < RANDOM_RATE:
        if answer in DAYS:
            answer = DAYS[(DAYS.index(answer) + rng.randint(1, 6)) % 7]
        else:
            right = int(answer)
            answer = str(rng.choice([n for n in range(right - 9, right + 10) if 0 <= n != right]))
            equation = f"{equation.partition('=')[0]}= {answer}" if equation else ""
    return _reply(answer, equation, rng)


def systematic_teacher(task: Task, rng: random.Random) -> str:
    """An answer that misreads some kinds of tasks, always in the same way."""
    rate = OFTEN_RATE if task.kind in OFTEN else float(task.kind in ALWAYS)
    if rng.random() < rate:
        return _reply(task.misread, task.misread_equation, rng)
    return _reply(task.answer, task.equation, rng)


def _reply(answer: str, equation: str, rng: random.Random) -> str:
    wordings = WORDINGS if equation else WORDINGS[:-1]
    said = rng.choice(wordings).format(answer=answer, equation=equation)
    return (
        rng.choice(FAULTS).format(said=said, answer=answer) if rng.random() < FAULT_RATE else said
    )


TEACHERS = {"random": random_teacher, "systematic": systematic_teacher}


def samples(given: Sequence[Task], teacher: str, seed: int = 0) -> list[dict[str, str]]:
    """`SAMPLES` answers to each task, as rows that the stage `read` takes."""
    rng = random.Random(f"{seed} {teacher}")
    answer = TEACHERS[teacher]
    return [
        {"prompt": task.prompt, "response": answer(task, rng), "answer": task.answer}
        for task in given
        for _ in range(SAMPLES)
    ]
