r"""Finds unmarked answers: the whole text, or its last sentence, is compared with the gold answer.

    "Paris."                                 for Paris   pass
    "The capital of France is Paris."        for Paris   pass
    "9 - 4 = 5, so she has 5 coins left."    for 5       pass; for 6 fail
    "The capital of Italy is Paris."         for Paris   undecided: the question names no Italy

A wrong pass is the worst error, so a sentence counts only if it adds nothing but the answer to the
question: its other words must be in the question or be very common. Any other doubt leaves it
undecided: a second sentence, a negation, an alternative, a comparison, or a calculation that is
wrong or uses other numbers. A word never fails, since a synonym may be right.
"""

from __future__ import annotations

import re
from fractions import Fraction

from filters.grounding.arithmetic import wrong_calculations
from filters.verify.maths.boxes import LONGEST_ANSWER
from filters.verify.maths.forms import WORDS
from filters.verify.maths.notation import notation
from filters.verify.maths.plain import plain
from filters.verify.maths.quantity import compare_quantities, read_quantity
from filters.verify.maths.statement import COMMON, CONCLUDES, COUNTING, DENIED, words
from synth.text.sentences import sentences
from synth.verdicts import Check, Verdict, quoted

MOST_CHARS = 400  # of the sentence and of its gold answer
MOST_WORDS = 4  # in a name
MOST_ADDED = 2  # words after a result that are not in the prompt, such as a unit
PROMPT_CHARS = 20_000
POLAR = ("yes", "no")
MARKS = re.compile(r"\*\*|__|[`\"\u201c\u201d]")
INLINE = re.compile(r"\$([^$\s](?:[^$]*[^$\s])?)\$")
ODD = re.compile(r"[^\w\s.,;:!'()$\u20ac\u00a3%=+*/-]")
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|/\d+)?"
CALCULATION = re.compile(r"[-+*/\u00d7\u00f7x].*=\s*$")


DOUBTS = words("than also")  # besides the words that deny an answer
PLACES = ("where", "when", "who")
BEFORE = ("is", "are", "was", "were", "called", "=")
PREPOSITIONS = ("in", "on", "at", "by", "from", "to")


def whole_text(gold: str, text: str) -> Check | None:
    """A pass if the text is exactly the gold answer, else None.

    Case matters in formulas and short words: Co is not CO.
    """
    if len(gold) > LONGEST_ANSWER or len(text) > len(gold) + MOST_CHARS:
        return None
    sides = [bare(gold), bare(text)]
    if case_is_free(sides[0]):
        sides = [side.casefold() for side in sides]
    if not sides[0] or sides[0] != sides[1]:
        return None
    return Check(Verdict.PASS, quoted(gold, text.strip(), "the whole text"))


def last_sentence(gold: str, text: str, prompt: str, tolerance: Fraction) -> Check | None:
    """Checks a gold word, name or number against the last sentence; None if in doubt.

    The text must be one sentence, or its last sentence must conclude ("So …").
    """
    end = MARKS.sub("", text.strip()[-2 * MOST_CHARS :]).replace("\u2019", "'")
    found = sentences(end)
    *lines, last = found[-1].split("\n") if found else [""]
    if lines and "=" in last:
        found = [*found[:-1], *lines, last]
    if not found or max(len(found[-1]), len(gold)) > MOST_CHARS or found[-1].endswith("?"):
        return None
    if len(found) > 1 and "=" not in found[-1] and not CONCLUDES.match(found[-1]):
        return None
    if "\n" in found[-1]:
        return None
    sentence = re.sub(r"\\(?:times|cdot)\b", "*", bare(INLINE.sub(r"\1", found[-1])))
    sentence = re.sub(r"\b(it|that|he|she)'s\b", r"\1 is", sentence, flags=re.IGNORECASE)
    gold, prompt = bare(gold), prompt[:PROMPT_CHARS]
    question = next((one for one in reversed(sentences(prompt)) if one.endswith("?")), prompt)
    doubts = words(sentence) & (DENIED | DOUBTS)
    if "=" in sentence:  # "4 + 3 = 7 more than Tom" repeats the question
        doubts -= words(question)
    if "~" in found[-1] or ODD.search(sentence) or doubts:
        return None
    if "=" in sentence:
        check = by_result(gold, sentence, text[-MOST_CHARS * 10 :], question, prompt, tolerance)
    elif WORDS.fullmatch(gold) and len(gold.split()) <= MOST_WORDS and gold.lower() not in POLAR:
        check = by_word(gold, sentence, question)
    else:
        return None
    return check and Check(
        check.verdict, quoted(gold, sentence, f"the last sentence: {check.note}")
    )


def by_word(gold: str, sentence: str, question: str) -> Check | None:
    """A pass if the sentence starts or ends with the word and otherwise repeats the question."""
    name = rf"(?<![\w'-])(?:{re.escape(gold)})(?![\w'-])"
    flags = re.IGNORECASE if case_is_free(gold) else re.NOFLAG
    article = r"(?:(?:the|an?)\s+)?"
    if len(found := re.findall(name, sentence, flags)) != 1:
        return None
    if gold[0].isupper() and found[0][0].islower():  # "May" is not "may"
        return None
    rest = re.sub(name, " ", sentence, flags=flags)
    if "/" in rest or not words(rest) <= words(question) | COMMON:
        return None
    if re.match(rf"{article}{name}", sentence, flags):
        return Check(Verdict.PASS, "it names the word")
    behind = r"(?:\s+[\w-]+)?"  # "the Pacific Ocean", where an ocean was asked
    at_end = re.search(rf"([\w=]+)\s+(?:(?:the|an?|that|this)\s+)?{name}{behind}$", sentence, flags)
    before = at_end[1].lower() if at_end else ""
    asked = question.lower()
    fits = before in PREPOSITIONS and (before in words(asked) or asked.startswith(PLACES))
    return Check(Verdict.PASS, "it names the word") if before in BEFORE or fits else None


def by_result(
    gold: str, sentence: str, text: str, question: str, prompt: str, tolerance: Fraction
) -> Check | None:
    """A pass or fail by the result of the sentence's calculation: "7 + 5 = 12 apples".

    The result counts if all calculations are right and start from known numbers.
    """
    result = re.search(rf"=\s*(-?[$\u20ac\u00a3]?{DIGITS}%?)(?![\w.,/]*\d)", sentence)
    if notation(sentence) or sentence.count("=") > 1 or result is None:
        return None
    given, before, behind = result[1], sentence[: result.start(1)], sentence[result.end(1) :]
    if behind.startswith(","):  # "12 + 8 = 20, which is what he had"
        return None
    amounts = read_quantity(gold), read_quantity(given)
    if amounts[0] is None or amounts[1] is None or not CALCULATION.search(before):
        return None
    of_question = numbers_in(prompt)
    if numbers_in(behind) and not (  # "= 12 books in 6 months"
        numbers_in(behind) <= of_question
        and words(re.sub(DIGITS, " ", behind)) <= words(question) | COUNTING
    ):
        return None
    check = compare_quantities(amounts[0], amounts[1], tolerance, prompt)
    known = of_question | numbers_in(text.replace(",", "").rpartition(before.replace(",", ""))[0])
    if check.verdict is Verdict.FAIL:  # the calculation may be a check or an example
        return None if digits(gold) in known else check
    if len(words(behind) - words(prompt) - COUNTING) > MOST_ADDED:
        return None
    return check if numbers_in(before) & known and not wrong_calculations(text) else None


def bare(text: str) -> str:
    """The text after `plain`, without quotation marks, emphasis and a final full stop."""
    return re.sub(r"(?<=[^\W\d])!$", "", plain(text).strip('*_`"\u201c\u201d')).rstrip(".,;: ")


def case_is_free(gold: str) -> bool:
    """Whether case does not matter in this answer."""
    return gold.lower() == "no" or (len(gold) > 2 and not re.search(r"[\d\\^=+*/<>]", gold))


def digits(number: str) -> str:
    """The digits of a number, without sign, currency and separators."""
    return re.sub(r"[^\d./]", "", number)


def numbers_in(text: str) -> set[str]:
    """The numbers of a text, each as `digits` returns it."""
    found = [digits(one) for one in re.findall(DIGITS, text)]
    return {part for one in found for part in (one, *one.split("/"))}
