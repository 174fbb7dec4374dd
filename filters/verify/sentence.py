r"""Answers that nothing marks: the whole text, or what its last sentence says.

    "Paris."                           for Paris   pass
    "The capital of France is Paris."  for Paris   pass
    "So she has 12 apples left."       for 12      pass; for 13 fail
    "It is Paris or Lyon."             for Paris   undecided

A sentence without the gold word is never wrong: it may say the same in other words. Whatever leaves
a doubt is undecided: a negation, an alternative, a comparison, several numbers, another language.
"""

from __future__ import annotations

import re
from fractions import Fraction

from filters.verify.compare import WORDS
from filters.verify.evidence import quoted
from filters.verify.extract import MOST_CHARS as LONGEST_ANSWER
from filters.verify.instructions.parts import sentences
from filters.verify.notation import notation
from filters.verify.plain import plain
from filters.verify.quantity import UNITS, compare_quantities, read_quantity
from synth.instructions.stated import NUMERALS
from synth.verdicts import Check, Verdict

MOST_CHARS = 400  # of a last line, and of its gold answer
MOST_WORDS = 4  # of a name
PROMPT_CHARS = 20_000
POLAR = ("yes", "no")
LIST_ITEM = re.compile(r"\s*(?:[-*+\u2022#>|]\s|\(?\w{1,3}[.)]\s)")
MARKS = re.compile(r"\*\*|__|[`\"\u201c\u201d]")
INLINE = re.compile(r"\$([^$\s](?:[^$]*[^$\s])?)\$")
TOKEN = re.compile(r"\w+")
ENGLISH = re.compile(r"\b(?:the|is|are|of|what|how|there|has|have|it|who|when|which)\b")
ODD = re.compile(r"[^\w\s.,;:!'()$\u20ac\u00a3%=+*/-]")
VERB = re.compile(r"=|\b(?:is|are|was|were|equals)\b")
# the words below are English, so only English is decided
DOUBT = re.compile(
    r"n't\b|\b(?:not|no|never|neither|nor|none|cannot|without|except|unless|or|either|rather|than"
    r"|instead|but|though|although|however|if|whether|maybe|perhaps|possibly|probably|might|may"
    r"|could|would|think|believe|say|said|wrong|incorrect|false|opposite|other|another|also|second)\b"
)
ROUGH = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|over|under|above|below|between|least"
    r"|most|up to|more|less|fewer|half|twice|double|triple|times|plus|minus|divided|multiplied"
    r"|hundred|thousand|[mb]illion|dozen|percent|first|third|next|let|suppose|assume)\b"
)
NUMBER_WORD = re.compile(
    rf"\b(?:{'|'.join(NUMERALS)}|(?:twen|thir|for|four|fif|six|seven|eigh|nine)(?:ty|teen))\b"
)
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|/\d+)?"
GOLD_NUMBER = re.compile(rf"-?{DIGITS}")
GIVEN_NUMBER = re.compile(rf"-?[$\u20ac\u00a3]?{DIGITS}%?")
CONCLUDES = re.compile(r"(?:(?<![<>!:])=|\b(?:is|are|was|were|equals))\s*$")


def whole_text(gold: str, text: str) -> Check | None:
    """A pass where the text is the gold answer and nothing else, else None.

    Case counts in formulas and short words: Co is not CO.
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
    """What the last sentence says about a gold word, name or number; None where it leaves a doubt.

    The prompt is needed because "the lighter one is iron" does not answer "iron or wood?".
    """
    end = text.rstrip()[-4 * MOST_CHARS :]
    lines = [line for line in end.split("\n") if line.strip()]
    if not lines or max(len(lines[-1]), len(gold)) > MOST_CHARS or LIST_ITEM.match(lines[-1]):
        return None
    found = sentences(MARKS.sub("", lines[-1]).replace("\u2019", "'"))
    if not found or found[-1].endswith("?") or "~" in found[-1]:
        return None
    is_alone = len(lines) == len(found) == 1
    gold, said, prompt = bare(gold), bare(INLINE.sub(r"\1", found[-1])), prompt[:PROMPT_CHARS]
    said = re.sub(r"\\(?:times|cdot)\b", "*", said)
    said = re.sub(r"\b(it|that|he|she)'s\b", r"\1 is", said, flags=re.IGNORECASE)
    if ODD.search(said) or not ENGLISH.search(f"{prompt} {said}".lower()):
        return None
    if GOLD_NUMBER.fullmatch(gold):
        check = by_number(gold, said, text, prompt, tolerance)
    elif WORDS.fullmatch(gold) and len(gold.split()) <= MOST_WORDS:
        is_in_list = said == gold and len(lines) > 1 and lines[-2].rstrip()[-1] not in ".:!?"
        check = None if is_in_list else by_word(gold, said, prompt, is_alone=is_alone)
    else:
        return None
    return check and Check(check.verdict, quoted(gold, said, f"the last sentence: {check.note}"))


def by_word(gold: str, said: str, prompt: str, *, is_alone: bool) -> Check | None:
    """A pass where the sentence answers with the word: it stands at the end behind "is", or the
    sentence adds nothing but it to the question. A word of the question needs both.

    `is_alone` says that nothing stands before the sentence, so that it is no later remark.
    """
    name = rf"(?<![\w'-])(?:{re.escape(gold)})(?![\w'-])"
    flags = re.IGNORECASE if case_is_free(gold) else re.NOFLAG
    if len(found := re.findall(name, said, flags)) != 1:
        return None
    rest = re.sub(name, " ", said, flags=flags).lower()
    if gold.lower() in POLAR and re.match(rf"{name}[,;:.]", said, flags):
        if gold.lower() == "no":  # "No, it is not."
            rest = re.sub(r"\bnot\b|n't\b", " ", rest)
        if DOUBT.search(rest) or re.search(r"\byes\b", rest):
            return None
        return Check(Verdict.PASS, "it opens with the word")
    if doubtful(rest, prompt) or re.search(r"[,;:()]|\band\b", rest):
        return None
    article = r"(?:(?:the|an?)\s+)?"
    behind_verb = r"\b(?:is|are|was|were|called)\s+(?:\w+\s+by\s+|in\s+|on\s+)?"  # "was made by"
    at_end = re.search(rf"{behind_verb}{article}{name}$", said, flags)
    at_start = re.match(rf"{article}{name}\s+(?:is|are|was|were)\b", said, flags)
    nothing_new = adds_nothing(rest, prompt)
    on_topic = is_alone or nothing_new or words(rest) & words(prompt) - COMMON
    is_all = said == found[0]
    if gold.lower() in POLAR or words(gold) <= words(prompt):
        answers = is_all or (nothing_new and (at_end or at_start))
    elif gold[0].isupper() and found[0][0].islower():  # "May" is no "may"
        answers = is_all or (at_end and on_topic)
    else:
        answers = is_all or nothing_new or (at_end and on_topic)
    if not answers or len(VERB.findall(said)) > 1:
        return None
    return Check(Verdict.PASS, "it names the word")


def by_number(gold: str, said: str, text: str, prompt: str, tolerance: Fraction) -> Check | None:
    """A pass or fail by the number that the sentence ends with ("= 7", "is 7 apples"), or by its
    only one. With a number of the question the sentence must add nothing else to it."""
    low = said.lower()
    if DOUBT.search(low) or ROUGH.search(low) or notation(said):
        return None
    chunks = [chunk.strip("(),;:.'") for chunk in said.replace("=", " = ").split()]
    numbers = [chunk for chunk in chunks if re.search(r"\d", chunk)]
    if not numbers or not GIVEN_NUMBER.fullmatch(numbers[-1]):
        return None
    given = numbers[-1]
    before, _, behind = said.rpartition(given)
    concludes = CONCLUDES.search(before) and re.fullmatch(r"(?:\s+[A-Za-z]+){0,2}\W*", behind)
    if concludes:
        verbs = VERB.findall(said)
        if len(verbs) > 1 and (set(verbs) != {"="} or re.search(r"\band\b|, ", said)):
            return None
    elif len(numbers) > 1 or NUMBER_WORD.search(low) or re.search(r"[+*/=]| - ", before + behind):
        return None
    is_asked_about = digits(given) in map(digits, re.findall(DIGITS, prompt))
    if is_asked_about and not adds_nothing(f"{before} {behind}", prompt):
        return None
    amounts = read_quantity(gold), read_quantity(given)
    if amounts[0] is None or amounts[1] is None:
        return None
    check = compare_quantities(amounts[0], amounts[1], tolerance)
    unit = next(iter(TOKEN.findall(behind.lower())), "")
    is_converted = unit in UNITS or unit.removesuffix("s") in UNITS
    if check.verdict is Verdict.FAIL and (is_converted or (not concludes and gold in text)):
        return None  # 2 hours may be 120 minutes; a last remark is no answer
    return check


def bare(text: str) -> str:
    """The text as `plain` has it, without quotation marks, emphasis and the stop at its end."""
    return re.sub(r"(?<=[^\W\d])!$", "", plain(text).strip('*_`"\u201c\u201d')).rstrip(".,;: ")


def case_is_free(gold: str) -> bool:
    """Whether small and capital letters mean the same in this answer."""
    return gold.lower() == "no" or (len(gold) > 2 and not re.search(r"[\d\\^=+*/<>]", gold))


def doubtful(said: str, prompt: str) -> bool:
    """Whether a word leaves a doubt; "opposite" leaves none where the opposite was asked."""
    if "opposite" in prompt.lower():
        said = said.replace("opposite", " ")
    return DOUBT.search(said) is not None


def digits(number: str) -> str:
    """The digits of a number, without sign, currency and separators."""
    return re.sub(r"[^\d./]", "", number)


def words(text: str) -> set[str]:
    """The words of a text in lower case, without the s of a plural or a verb."""
    found = TOKEN.findall(text.lower())
    return {word[:-1] if len(word) > 3 and word[-1] == "s" else word for word in found}


# what a sentence may hold beside the words of its question
COMMON = words(
    "the a an is are was were be been it that this these so therefore thus hence then there here"
    " has have in on at of to for by as answer s"
)


def adds_nothing(said: str, prompt: str) -> bool:
    """Whether these words are all in the question, or too common to say anything."""
    return words(said) <= words(prompt) | COMMON
