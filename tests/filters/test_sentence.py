"""`maths` where no answer is marked: the whole text, and what the last sentence says."""

from __future__ import annotations

import pytest

from filters.verify.maths.verifier import check_text
from synth.verdicts import Check

CAPITAL = "What is the capital of France?"
CHOICE = "Which is heavier, iron or wood?"
LARGER = "Which number is larger, 7 or 9?"
BOOKS = "Mia reads 2 books every month. How many books does she read in 6 months?"
COUNT = "How many apples has she left?"


def check(text: str, gold: str, prompt: str) -> Check:
    """The check, which needs no algebra here."""
    found = check_text(text, gold, prompt)
    assert isinstance(found, Check)
    return found


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("Paris", "Paris"),
        ("paris.", "Paris"),
        ("**Paris!**", "Paris"),
        ('"Paris."', "Paris"),
        ("No.", "no"),
        ("3/4", "3/4"),
        ("\u2157", "3/5"),
        ("H\u2082O", "H2O"),
        ("The cat sat on the mat", "the cat sat on the mat."),
        ("def f(x):\n    return x", "def f(x):\n    return x"),
    ],
)
def test_a_text_that_equals_the_gold_answer_passes(text: str, gold: str) -> None:
    assert check(text, gold, "").verdict == "pass"


@pytest.mark.parametrize(
    ("text", "gold"),
    [("Co", "CO"), ("10\u00b2", "102"), ("5!", "120"), ("x!", "X!"), ("Lyon", "Paris"), ("?", "")],
)
def test_another_text_does_not_equal_it(text: str, gold: str) -> None:
    assert check(text, gold, "").verdict in ("unverified", "not_applicable")


@pytest.mark.parametrize(
    ("text", "gold", "prompt"),
    [
        ("The capital of France is Paris.", "Paris", CAPITAL),
        ("Paris is the capital of France.", "paris", CAPITAL),
        ("The capital of France is **Paris**.", "Paris", CAPITAL),
        ("On Tuesday.", "Tuesday", "On which day did Anna leave?"),
        ("The largest ocean is the Pacific Ocean.", "Pacific", "What is the largest ocean?"),
        ("The opposite of hot is cold.", "cold", "What is the opposite of hot?"),
        ("Hamlet was written by William Shakespeare.", "William Shakespeare", "Who wrote Hamlet?"),
        ("The sun rises in the east.", "east", "Where does the sun rise?"),
        ("Iron is heavier.", "iron", CHOICE),
        ("So it is iron.", "iron", CHOICE),
    ],
)
def test_the_last_sentence_names_the_gold_word(text: str, gold: str, prompt: str) -> None:
    assert check(text, gold, prompt).verdict == "pass"


@pytest.mark.parametrize(
    ("text", "gold", "prompt"),
    [
        # another question is answered, or this one in two ways
        ("The capital of Italy is Paris.", "Paris", CAPITAL),
        ("The old capital of France is Paris.", "Paris", CAPITAL),
        ("The capital of Paris is France.", "Paris", CAPITAL),
        ("France is the capital of Paris.", "Paris", CAPITAL),
        ("The capital of France is in Paris.", "Paris", CAPITAL),
        ("The capital of France is Lyon. The capital of France is Paris.", "Paris", CAPITAL),
        ("The answer is Paris. No, it is Lyon.", "Paris", CAPITAL),
        ("Some people think the answer is Paris.", "Paris", CAPITAL),
        ("Lyon\nQ: What is the capital of Texas?\nA: Paris", "Paris", CAPITAL),
        ("Yes, the sky is green.", "yes", "Is the sky blue?"),
        ("No, iron is a liquid.", "no", "Is iron a liquid?"),
        ("True\nFalse", "true", "True or false: iron is a metal."),
        ("It is not Paris.", "Paris", CAPITAL),
        ("It isn't Paris.", "Paris", CAPITAL),
        ("It is Paris or Lyon.", "Paris", CAPITAL),
        ("It is Paris and Lyon.", "Paris", CAPITAL),
        ("It is Lyon rather than Paris.", "Paris", CAPITAL),
        ("Lyon is south of Paris.", "Paris", CAPITAL),
        ("It is Parisian.", "Paris", CAPITAL),
        ("Is it Paris?", "Paris", CAPITAL),
        ("I think it is Paris.", "Paris", CAPITAL),
        ("The capital of France is Lyon.", "Paris", CAPITAL),
        ("The capital of France is Paris. I hope this helps.", "Paris", CAPITAL),
        ("- Lyon\n- Paris", "Paris", CAPITAL),
        ("Lyon\nParis", "Paris", CAPITAL),
        ("2. Paris", "Paris", CAPITAL),
        ("It was Marlowe. Marlowe was influenced by Shakespeare.", "Shakespeare", "Who wrote it?"),
        ("The lighter one is iron.", "iron", CHOICE),
        ("Iron is lighter.", "iron", CHOICE),
        ("Wood is heavier than iron.", "iron", CHOICE),
        ("The heavier of iron and wood is wood.", "iron", CHOICE),
        ("Plants release carbon dioxide.", "carbon dioxide", "Which gas do plants absorb?"),
        ("It is light blue.", "blue", "Which colour is it?"),
        ("It may rain.", "May", "In which month does it rain?"),
        ("Yes, but it is frozen.", "yes", "Is water a liquid?"),
        ("Yes, the answer would be no.", "yes", "Is water a liquid?"),
        ("No number is both.", "no", "Is there a number that is both?"),
        ("It is no liquid.", "no", "Is iron a liquid?"),
        ("La capitale n'est pas Paris.", "Paris", "Quelle est la capitale ?"),
        ("It is \u2260 Paris", "Paris", CAPITAL),
    ],
)
def test_a_word_is_undecided_where_there_is_a_doubt(text: str, gold: str, prompt: str) -> None:
    assert check(text, gold, prompt).verdict == "unverified"


@pytest.mark.parametrize(
    ("text", "gold", "prompt", "expected"),
    [
        ("So she has 12 apples left.", "12", COUNT, "pass"),
        ("So she has 1,200 apples left.", "1200", COUNT, "pass"),
        ("So she has 12 apples left.", "13", COUNT, "fail"),
        ("She has 5 - 1 = 4.", "5", COUNT, "fail"),
        ("7 + 5 = 12.", "12", "What is 7 + 5?", "pass"),
        ("She had 7 and got 5. So 7 + 5 = 12.", "12", "She had 7 apples. How many now?", "pass"),
        ("She reads 2 * 6 = 12 books in 6 months.", "12", BOOKS, "pass"),
        ("30 divided by 5 equals 6.", "6", "How much is 30 divided by 5?", "pass"),
        ("She reads 2 * 6 = 12 books in 7 months.", "12", BOOKS, "unverified"),
        ("The answer is 5 * 9.", "45", "What is 5 * 9?", "unverified"),
        ("5 * 9 = 45, which is the days to bake bread.", "45", "What is 5 * 9?", "unverified"),
        # calculations that are wrong, or of other numbers
        ("7 x 5 = 12.", "12", "What is 7 + 5?", "unverified"),
        ("10 + 2 = 12.", "12", "What is 7 + 5?", "unverified"),
        ("7 + 5 = 13. 6 + 6 = 12.", "12", "What is 7 + 5?", "unverified"),
        ("5 x 4 + 2 = 20 + 2 = 22.", "22", COUNT, "unverified"),
        # a check or an example behind the answer
        ("7 + 5 = 12. To check, 12 - 7 = 5.", "12", "What is 7 + 5?", "unverified"),
        # of somebody or something else
        ("His sister has 12 apples left.", "12", COUNT, "unverified"),
        ("She gave away 12 apples.", "12", COUNT, "unverified"),
        ("She has 12 oranges left.", "12", COUNT, "unverified"),
        ("She has $5 \\times 4$ = $20$.", "20", "She has 5 rows of 4. How many?", "pass"),
        ("It was founded in 1969.", "1969", "When was it founded?", "pass"),
        ("It is -5 degrees.", "-5", "How many degrees is it?", "pass"),
        ("The larger number is 9.", "9", LARGER, "pass"),
        ("9 x 1 = 9.", "9", "What is 9 x 1?", "pass"),
        # a remark behind the answer
        ("She has 12 days left. A week has 7 days.", "12", COUNT, "unverified"),
        ("The smaller number is 9.", "9", LARGER, "unverified"),
        ("It takes 2 hours.", "120", "How many minutes does it take?", "unverified"),
        ("There are 12 apples in 3 boxes.", "12", COUNT, "unverified"),
        ("There are 12 apples in three boxes.", "12", COUNT, "unverified"),
        ("The 3rd box has 12 apples.", "12", COUNT, "unverified"),
        ("She is the 12th.", "12", COUNT, "unverified"),
        ("It is more than 12.", "12", COUNT, "unverified"),
        ("It is at least 12.", "12", COUNT, "unverified"),
        ("It is about 12.", "12", COUNT, "unverified"),
        ("It is ~12 apples.", "12", COUNT, "unverified"),
        ("The answer cannot be 12.", "12", COUNT, "unverified"),
        ("It is 12 or 13.", "12", COUNT, "unverified"),
        ("The boxes have 11, 12.", "12", COUNT, "unverified"),
        ("x = 3 and y = 12.", "12", COUNT, "unverified"),
        ("The first is 3 and the other is 12.", "12", COUNT, "unverified"),
        ("Here x >= 12", "12", COUNT, "unverified"),
        ("Here x \u2260 12", "12", COUNT, "unverified"),
        ("It is 12 million.", "12", COUNT, "fail"),
        ("It is 12%.", "12", COUNT, "unverified"),
        ("It is 12^2.", "12", COUNT, "fail"),
        ("It has 5!", "120", COUNT, "unverified"),
        ("The root is \\sqrt{12}.", "12", COUNT, "unverified"),
        ("She leaves at 12 p.m.", "12", COUNT, "unverified"),
        ("The ratio is 3:12.", "12", COUNT, "unverified"),
        ("Let x be 12.", "12", COUNT, "unverified"),
        ("Is it 12?", "12", COUNT, "unverified"),
        ("Es sind keine 12.", "12", "Wie viele?", "unverified"),
        (r"First \boxed{3}, then \boxed{}. She has 12 apples.", "12", COUNT, "unverified"),
    ],
)
def test_the_number_of_the_last_sentence_decides_where_it_is_the_only_one(
    text: str, gold: str, prompt: str, expected: str
) -> None:
    assert check(text, gold, prompt).verdict == expected


@pytest.mark.parametrize(
    ("text", "gold", "note"),
    [
        ("paris.", "Paris", "'paris.' against 'Paris': the whole text"),
        (
            "It is Paris.",
            "Paris",
            "'It is Paris' against 'Paris': the last sentence: it names the word",
        ),
        ("2 + 3 = 5.", "5", "'2 + 3 = 5' against '5': the last sentence: the same number"),
    ],
)
def test_the_note_says_where_the_answer_was_found(text: str, gold: str, note: str) -> None:
    assert check(text, gold, f"{CAPITAL} And 2 + 3?").note == note
