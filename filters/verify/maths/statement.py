"""Reads the value that a sentence states, if it states exactly one and does not qualify it.

"Therefore Tom has 5 apples left."   ->  5 apples
"Tom has at least 5 apples."         ->  None
"""

from __future__ import annotations

import re

from filters.verify.maths.forms import PROSE
from filters.verify.maths.parts import NAME, agree, letters_of, named, other_letter, squeezed
from filters.verify.maths.plain import SPELLED, plain, spelled
from filters.verify.maths.quantity import NUMBER, read_quantity
from synth.text.sentences import sentences

LEFT_OF = re.compile(
    r"\$|\\[(\[]|[,:;&]|(?<![\\a-zA-Z])[a-zA-Z]{2,}(?![a-zA-Z])|\\(?:implies|Rightarrow|therefore)"
)
NAMED_BY_LETTER = re.compile(r"^[a-zA-Z]\s*=\s*")
REMARK = re.compile(
    r",?\s+(?:because|since|as|which|where|rather)\b.*$|,\s*not\b.*$"
    r"|\s*\((?:since|because|as|i\.e\.|which|not)\b.*$|\s*\(?\bor [\d.]+\s?(?:%|percent)\)?\.?$",
    re.IGNORECASE | re.DOTALL,
)
CONCLUDES = re.compile(
    r"^\s*(?:so|therefore|thus|hence|in total|altogether|in all|in conclusion)\b,?", re.IGNORECASE
)
SCALE = "hundred|thousand|million|billion|trillion|dozen|percent"
VALUE = re.compile(
    rf"(?<![\w.])-?[$\u20ac\u00a3]?(?:{NUMBER})(?:/\d+)?\s?%?(?: (?:{SCALE})\b)?(?![\w/])"
)
INLINE = re.compile(r"\$([^$\s](?:[^$]{0,200}[^$\s])?)\$(?!\d)|\\\((.{1,200}?)\\\)")
EMPHASISED = re.compile(rf"\*\*([^*\n]{{1,200}})\*\*|{INLINE.pattern}")
# a comparison sign or a word; "isn't" is one word
TERM = re.compile(
    r"[^\W\d_]+(?:'t|'s)?|[<>~\u2260\u2264\u2265\u2248]|!=|=/=|\\(?:neq?|leq?|geq?|approx)\b"
)
STEM = re.compile(r"(?<=\w{4})(?:ing|ed|es|e)$|(?<=\w{3})s$")
SAYS = re.compile(r"\b(?:is|are|was|were|be|equals?)\b|:(?=\s)|=")
# the words before a conclusion's number: "the sum is 5", "a profit of $5", "x = 5", "So 5."
LEADS_TO = re.compile(
    r"(?:^|\b(?:is|are|was|were|equals?|(?:will|would|must) be)|[:=]|\ban? [a-z]+ of)\s*"
    r"(?:(?:exactly|just|only|therefore|thus|then|equal to) )?$"
)
WORDS_IN = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]+(?:\^\d)?|[$\u20ac\u00a3]")
OF = re.compile(r"(?:\b(an?) )?(\w+) of\s*$")
PARTS = ("multiple", "factor", "divisor", "third", "quarter", "half", "root", "power", "part")


def words(text: str) -> frozenset[str]:
    """The stems of a text's words; "n't" becomes "not", and comparison signs become "than"."""
    found = set()
    for word in set(TERM.findall(text.lower())):
        if word.endswith("n't"):
            found.add("not")
        else:
            stem = STEM.sub("", STEM.sub("", word.removesuffix("'s")))
            found.add(stem if word[0].isalpha() else "than")
    return frozenset(found)


WRONG = words("wrong incorrect false")
# words after an answer that retract it
TAKEN_BACK = words("no not wait but however actually or instead rather sorry wrong")
# words that deny the sentence's number or make it conditional
DENIED = TAKEN_BACK | words(
    "never neither nor none nobody nothing few hardly cannot without except either if unless maybe"
    " perhaps possibly might could incorrect too exclude reject discard ignore impossible false"
    " assume suppose let try doubt mistake correction"
)
# words that qualify the sentence's number, unless the question has them too
COMPARED = words(
    "about approximately around roughly nearly almost least most than less more fewer between over"
    " under above below exceed divisible twice double triple times close"
)
DERIVED = re.compile(
    r"\b(?:square|cube|root|reciprocal|inverse|opposite|half|third|quarter)(?= of\b)|'s reciprocal"
    r"|\bat (?:least|most)\b"
)
COMMON = words(
    "the a an is are was were be been it that this these so therefore thus hence in total"
    " altogether together combined across on at of to for by as called written answer"
)
"""Words that a sentence may have besides those of its question."""
COUNTING = COMMON | words(
    "there has have had equals we you he she they his her their will number amount"
)
CONCLUDING = COUNTING | words(
    "can must gets needs takes makes left only just exactly"
    " now all still when then conclusion value result solution solutions final overall sum"
)
# text between the words of a question that is long enough to be its formula
FORMULA = re.compile(r"(?<![A-Za-z])(?:(?![A-Za-z]{2})[\w\s+\-*/^=().]){5,200}")
LAST_QUESTION = re.compile(r"[^.?!\n]{1,400}\?")
NAMES_BEGIN = re.compile(
    r"(?<![\w\\+*/^\u221a-])(?<![-+*/^] )[a-zA-Z](?:_\w)? ?= ?[^=]+(?:,|\band\b|\bor\b|$)"
)


def of_the_question(before: str, value: str, question: str) -> bool:
    """Whether a value may answer the question: not the value of another letter, 2x, -x or x^2."""
    before = re.sub(
        r"\b(?:is|equals|(?:will|would|must) be)$", "=", before.replace("$", " ").strip()
    )
    if not before.endswith("=") or re.search(r"(?<![\\a-zA-Z])[a-zA-Z]|\(", value):
        return True
    left = LEFT_OF.split(before)[-1].split("=")[0].replace("\\angle", "").strip()
    if re.fullmatch(NAME, left) or squeezed(left) in squeezed(question):
        return not (left.islower() and other_letter(left, question))
    left = re.sub(r"(?<=\d) ?x ?(?=\d)", "*", left)
    letters = set(re.findall(r"(?<![\\a-zA-Z])[a-zA-Z](?!\()", left))
    return not letters or (len(letters) > 1 and letters.isdisjoint(letters_of(question)))


def derived(before: str, question: str) -> bool:
    """Whether a number is a square, a root or the like that the question does not ask for."""
    return any(found not in question.lower() for found in DERIVED.findall(before.lower()))


def stated(line: str, question: str) -> str | None:
    """The value that an unmarked last line states, if it states exactly one."""
    bare = unmarked(line).strip()
    alone = plain(bare)
    if read_quantity(NAMED_BY_LETTER.sub("", alone)) is not None:
        return bare.removeprefix("=").strip()
    if line.startswith(("$", "\\(")) and len(alone) < 200 and named(alone):
        return alone
    sentence = [line, *sentences(line)][-1]
    spans = [found for found in EMPHASISED.finditer(sentence) if re.search(r"\d", found[0])]
    if len(spans) == 1:
        span = str(next(filter(None, spans[0].groups())))
        rest = sentence.replace(spans[0][0], " 0 ")
        readable = read_quantity(plain(span)) is not None or not PROSE.search(plain(span))
        if readable and stated_value(rest, "", None) == "0":
            return span
    sentence = CONCLUDES.sub("", bare)
    label = {word for word in words(sentence.rpartition("=")[0]) if len(word) > 1}
    if label and label <= CONCLUDING | words(question) and (result := worked_out(sentence)):
        return result
    concludes = sentence != bare
    if spans and not concludes:
        return stated_value(unmarked(sentence), question, None)
    if "=" in sentence and not concludes:
        return None
    common = CONCLUDING if concludes else COUNTING
    asked = common | words([question, *LAST_QUESTION.findall(question)][-1])
    if (
        value := stated_value(sentence, question, asked, concludes)
        if question or concludes
        else None
    ):
        return value
    # the prompt's words may surround a number that is not in the prompt: "Tom sold 7"
    if not concludes and len(words(sentence) - asked) > 1:
        return None
    value = stated_value(sentence, question, asked | words(question))
    new = value and {*map(bare_digits, VALUE.findall(value))}.isdisjoint(
        map(bare_digits, VALUE.findall(question))
    )
    return value if new else None


def unmarked(text: str) -> str:
    """The text without the marks of bold text and inline formulas."""
    return INLINE.sub(lambda found: found[1] or found[2], text.replace("**", ""))


def stated_value(
    sentence: str, question: str, vocabulary: frozenset[str] | None, concludes: bool = False
) -> str | None:
    """The value that a sentence states.

    None if the sentence denies or qualifies the value: it has words outside `vocabulary` (None
    allows any), and does not conclude with "… is 5".
    """
    if words(sentence) & WRONG or re.search(r"\d!\W*$", sentence):  # a factorial, or the end
        return None
    sentence = REMARK.sub("", sentence)
    for found in FORMULA.findall(question):
        if re.search(r"[=^]", found):
            sentence = sentence.replace(found.strip(" ."), " ")
    if not re.search(r"\d", sentence):  # "There are two horses."
        sentence = SPELLED.sub(spelled, sentence)
    spot = value_in(sentence.strip(" *"), question)
    if spot is None or sentence.rstrip(" *").endswith("?"):
        return None
    before, value, behind = spot
    if not of_the_question(before, value, question):
        return None
    others = words(f"{before} {behind}")
    if (
        derived(before, question)
        or others & DENIED
        or ((others | words(value)) & COMPARED) - words(question)
    ):
        return None
    if (of := OF.search(before)) and (of[1] is None or of[2] in PARTS):  # "the root of 5"
        return None
    first, _, rest = behind.strip(" .").partition(" ")
    for unit, left in ((behind, ""), (first, rest)):  # "25 square meters", "150 miles in 3 hours"
        if (one := read_quantity(plain(f"1 {unit}"))) and one.unit.dimensions:
            value, others = f"{value} {unit.strip()}", words(f"{before} {left}")
            break
    if vocabulary is not None and not others <= vocabulary:
        countable = read_quantity(plain(f"1 {behind}")) or words(behind) <= vocabulary
        if not (concludes and countable and LEADS_TO.search(before.lower())):
            return None
        value = value if words(behind) <= vocabulary else f"{value} {behind.strip()}"
    return value.strip(" .")


def value_in(sentence: str, question: str) -> tuple[str, str, str] | None:
    """(text before, value, text after) for the value in a sentence.

    The value is a list of named values, a formula at the end, the only number, or the only number
    that is not in the question.
    """
    asked = {bare_digits(one) for one in VALUE.findall(question)}
    listed = NAMES_BEGIN.search(sentence)
    if listed and named(plain(sentence[listed.start() :])):
        return sentence[: listed.start()], sentence[listed.start() :], ""
    if "=" in sentence and re.search(r"\band\b|, ", sentence):
        return None
    start = max((found.end() for found in SAYS.finditer(sentence)), default=0)
    before, end = sentence[:start], sentence[start:]
    if re.search(r"\d", end) and not re.search(r"[A-Za-z]{2}", end):
        new = {bare_digits(one) for one in VALUE.findall(before)} - asked
        return None if new and not before.endswith("=") else (before, end, "")
    start = sentence.rfind("=") + 1
    values = list(VALUE.finditer(sentence, start))
    if len(values) > 1:
        values = [one for one in values if bare_digits(one[0]) not in asked]
    if len(values) != 1 or re.search(r"[+*/^\u00d7\u00f7]", VALUE.sub("", sentence[start:])):
        return None
    before, behind = sentence[: values[0].start()], sentence[values[0].end() :]
    if re.search(r"[^\s(\"'$]$|[-+] $", before) or re.match(r"[^\s.,;:)\"']", behind):
        return None
    return before, values[0][0], behind


def worked_out(text: str) -> str | None:
    """The result of a correct calculation, perhaps with words: "Total: 5 + 7 = 12 cm"."""
    before, _, result = text.strip(" .*$").rpartition("=")
    amount = read_quantity(plain(result))
    if amount is None:
        return None
    calculation = WORDS_IN.sub(" ", plain(before.rpartition("=")[2]))
    return result.strip() if agree(calculation, str(amount.value)) else None


def bare_digits(number: str) -> str:
    """The digits of a number, without separators and signs."""
    return re.sub(r"[^\d.]", "", number).rstrip(".")
