"""Stock openings are found by their class, and what merely shares words with one is not."""

from __future__ import annotations

import pytest

from synth.generate.openings import READ_CHARS, opens_with_stock


@pytest.mark.parametrize(
    "text",
    [
        # the age we live in
        "In today's fast-paced world, compost matters to all gardeners.",
        "In an era of instant messages, letters are easily forgotten.",
        "As technology continues to evolve, knitting has changed too.",
        "With the rise of smart technology, locks are being rethought.",
        # since ever
        "Since the dawn of civilisation, bread has been baked.",
        "Across the centuries, people have been fascinated by the tides.",
        "A long time ago there was a lever.",
        # a hook
        "Have you ever stopped to think about your compost?",
        "What comes to mind when you hear the word lever?",
        "Picture this: a kettle, a kitchen, a question.",
        "Hello, dear readers! Today we bake.",
        # an invitation
        "Let's take a closer look at tides.",
        "In this article, we'll delve into the world of levers.",
        "Join me as we explore the canal.",
        # a saying, or what everyone knows
        "As the old proverb goes, many hands make light work.",
        "Whether you're a novice or a seasoned baker, yeast is for you.",
        "Everyone loves honey.",
        "There is something magical about a lock at dawn.",
        # a topic that is important, fascinating, everywhere
        "Honey is a truly fascinating subject.",
        "The world of canals is full of wonders and is fascinating to many.",
        "The significance of clean hands can hardly be overstated.",
        "Electricity plays a vital role in our everyday lives.",
        "Levers are an essential part of modern life.",
        "Bees have long captured the imagination of poets.",
        "Knitting is more popular than ever.",
        "Here is everything you need to know about yeast.",
        "Understanding percentages is crucial for every household.",
        "Time zones can be confusing.",
        "Few things in life are as satisfying as fresh bread.",
        "No matter where you live, you depend on water.",
        "Every day, millions of people turn on a tap.",
        # behind headings and marks
        "# Levers\n\n| a | b |\n\n**Did you know** that levers are old?",
        "Q: Have you ever wondered about honey?",
    ],
)
def test_a_sentence_that_could_stand_before_any_text_is_a_stock_opening(text: str) -> None:
    assert opens_with_stock(text)


@pytest.mark.parametrize(
    "text",
    [
        "For centuries, masons in Portland cut the stone from the cliff.",
        "In the age of sail, a ship's position was found by dead reckoning.",
        "In a modern concert grand the strings pull with the weight of twenty tonnes.",
        "With the advent of the railway, each town gave up its own time.",
        "The value of x cannot be zero, since 3 / x would be undefined.",
        "Of course, there are situations in which a lock stays empty.",
        "What do you already know about levers? Write it down before you read on.",
        "In this section you will learn how a lock is filled.",
        "We consider the lock's paddles, with attention to the evidence.",
        "Let us suppose that the lever is 2 m long.",
        "People who wash their hands catch fewer colds.",
        "From 1805 to 1806 he kept a private journal.",
        "There is more water in the upper pound than in the lower one.",
        "Two critical areas within the plant have no second exit.",
        "Ask the lock-keeper before you open the gate.",
        "Understanding of the hieroglyphs was lost in the fifth century.",
        "Every day the keeper opens the gate at six.",
        "Wet steps can be slippery, and a windlass can fly off.",
        # a person in the text says it
        "\u201cCertainly,\u201d said the lock-keeper, who had never seen one.",
        "\u201cHave you ever wondered about water?\u201d asked the postman.",
        # in the second sentence, it opens nothing
        "The bell was cast in 1470. It plays a vital role in our lives.",
        "",
    ],
)
def test_a_sentence_that_says_something_is_none(text: str) -> None:
    assert not opens_with_stock(text)


def test_hostile_text_is_read_no_further_than_an_opening_goes() -> None:
    assert not opens_with_stock("word " * READ_CHARS + "Have you ever wondered?")
    for part in ("in a ", "is ", "our ", "has a ", "the world of ", "importance of ", "-, "):
        assert not opens_with_stock(part * 100_000)
