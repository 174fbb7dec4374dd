"""Generates word problems in the style of GSM8K from our own templates: hard negatives.

They have people, shops, hours, prices and "how many in total" in common with the test items, but
none is a test item.
"""

from __future__ import annotations

import random

NAMES = (
    "Amara", "Bo", "Carlos", "Dina", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kofi",
    "Lena", "Mateo", "Nadia", "Oskar", "Priya", "Quinn", "Rosa", "Samir", "Tess",
)  # fmt: skip
GOODS = (
    "apples", "muffins", "stickers", "marbles", "books", "bottles of water", "tulips", "candles",
    "pencils", "tickets", "eggs", "bracelets", "loaves of bread", "toy cars", "jars of honey",
)  # fmt: skip
PLACES = ("market", "school fair", "bakery", "garden center", "stadium", "library", "workshop")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
TEXT = """\
{a} sells {goods} at the {place} for ${n} each. On {day} {a} sold {m} of them, and on {day2}
twice as many. How much money did {a} make in total?

{a} has {m} {goods}. {a} gives {n} of them to {b} and then buys {k} more at the {place}. How
many {goods} does {a} have now?

It takes {a} {n} minutes to pack one box of {goods}. {b} needs {k} minutes longer per box. How
many minutes do they need together for {m} boxes each?

{a} is {n} years older than {b}, who is {k} times as old as a cousin of {m} years. How old is
{a}?

A {place} ordered {m} crates with {n} {goods} each. {k} {goods} in every crate were broken. How
many whole {goods} arrived?

{a} earns ${n} an hour at the {place} and works {k} hours every {day}. After {m} weeks {a}
spends half of the money on {goods}. How much is left?

{a} drives {m} miles at {n} miles per hour and then walks for {k} hours. How long does the whole
trip take?

There are {m} students in a class. {k} of them bring {n} {goods} each to the {place} on {day},
the others bring one. How many {goods} do they bring altogether?

{a} saves ${n} every week. {b} saves ${k} more than {a}. How many weeks do they need to buy a
present of ${m} together?

A train to the {place} has {n} cars with {k} seats each. If {m} seats are empty, how many
passengers are on the train?

{a} reads {n} pages on {day} and {k} pages more on every following day. How many pages has {a}
read after {m} days?

{a} mixes {n} cups of juice with {k} cups of water for each guest. With {m} guests, how many
cups of the drink are needed, and how many of them are water?
"""
TEMPLATES = [" ".join(paragraph.split()) for paragraph in TEXT.split("\n\n")]


def word_problems(count: int, seed: int = 0) -> list[str]:
    """This many problems, the same for the same seed."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        a, b = rng.sample(NAMES, 2)
        day, day2 = rng.sample(DAYS, 2)
        m, n, k = rng.randrange(20, 200), rng.randrange(2, 20), rng.randrange(2, 12)
        values = {"goods": rng.choice(GOODS), "place": rng.choice(PLACES), "m": m, "n": n, "k": k}
        made.append(rng.choice(TEMPLATES).format(a=a, b=b, day=day, day2=day2, **values))
    return made
