r"""The final answer in a worked solution. Where none is marked there is none: nothing is guessed.

    …2 + 3 = 5.⏎A: 5               ->  5
    so \boxed{11}, no: \boxed{12}  ->  12
    \boxed{2} and \boxed{3}        ->  2, 3
    I don't know. 3+2              ->  None

The answer is given as it is written; `plain` makes it comparable.
"""

from __future__ import annotations

import re

from filters.verify.compare import NAME, PROSE, agree, letters_of, named, other_letter, squeezed
from filters.verify.plain import SPELLED, TEXT, plain, spelled
from filters.verify.quantity import NO_UNIT, NUMBER, read_quantity
from synth.text.courtesies import ends
from synth.text.sentences import sentences

MOST_CHARS = 10_000  # a longer "answer" is an attack or an accident
MOST_BOXES = 20
BRACE = re.compile(r"\\[{}]|[{}]")
BOX = "\\boxed"
BARE_BOX = re.compile(r"\\boxed\s*([^\s{}$\\]+)")
TAGGED = re.compile(r"<answer>\s*([^<]{1,1000}?)\s*</answer>", re.IGNORECASE)
# dashes and signs of mathematics in Unicode, but for "therefore"
SIGNS = (
    r"\xa2-\xbf\u2010-\u2013\u2070-\u209f\u2200-\u2233\u2235-\u22ff\u2795-\u2797"
    r"\ufe63\uff0b\uff0d\uff5e"
)
# signs at the start of a line: quotes, bullets, headings and pictures
MARKS = re.compile(
    rf"^(?:[#>*\u2022-]+\s+(?=[^\s\d])|[#>*\u2022]+\s+|[^\w\s!-/:-@\[-`{{-~\u2014\u2015{SIGNS}])+\s*"
)
# what may stand between two boxes of one list
JOINT = re.compile(
    r"(?:[\s$,;&]|\\[()\[\],;]|\\q?quad|\\text\{\s*(?:and|or),?\s*\}|\b(?:and|or)\b)*"
    r"(?:([a-zA-Z])\s*=[\s$]*)?"
)
# two boxes of two answers: "and the width is", "(b)", "Case 2:"
CASES = re.compile(
    r"^[\s$,]*(?:and|or)\b[^.\n]*$|(?:(?<!\w)\(?[b-zB-Z2-9]\)|\b[Cc]ase\b)[^.\n]{0,90}$"
)
LAYOUT = re.compile(r"^(?:[\s$*&]|\\[)\],;:! ]|\\q?quad)+")
LAYOUT_END = re.compile(r"(?:[\s$*&]|\\[(\[,;:! ]|\\q?quad|\\displaystyle)+$")
# a sign, a digit, a letter or a command that stands at a box and makes another value of it
GLUED_BEFORE = re.compile(
    rf"(?:[-+/^_<>{SIGNS}~{{}}(\[|%`!\d]|(?<![a-zA-Z])[a-zA-Z]"
    r"|\\(?!therefore|implies|(?:Long|long)?[rR]ightarrow|to\b)[a-zA-Z]+)$"
)
GLUED_BEHIND = re.compile(
    r"\s*!(?!\w)(?=.*\$)|(?:[\s$*]|\\[)\],;:! ])*"
    r"(?:[-+/_<>=~{(\[|`?\d]|[,;:][\s$]*-?\d|\^(?!\s*\{?\\circ)|[a-zA-Z](?![a-zA-Z])"
    r"|[.,](?!\s|$|[$*]|\\[)\]]|\\end)|\\(?!end|q?quad)[a-zA-Z]+"
    r"|[\u4e07\u5104\u4ebf\u5343\u767e\u534a\u500d])"  # large numbers, half and times in Chinese
)
LEFT_OF = re.compile(
    r"\$|\\[(\[]|[,:;&]|(?<![\\a-zA-Z])[a-zA-Z]{2,}(?![a-zA-Z])|\\(?:implies|Rightarrow|therefore)"
)
NAMED_BY_LETTER = re.compile(r"^[a-zA-Z]\s*=\s*")
FIRST_NAME = re.compile(r"(?<![a-zA-Z])([a-zA-Z])\s*=[\s$]*$")
ANSWER = "answer|ans|antwort|respuesta|réponse|risposta|resposta|ответ|答案|答え|答|정답|답"
LABEL = re.compile(
    rf"^(?:(?:so|thus|therefore|hence),? )?(?:the |my |our )?(?:final |correct |short )*"
    rf"(?:(?:{ANSWER}|final|result|total(?: \w+)?|solution)\s*[:=\uff1a]|a\s*:|####)\s*(.+)$",
    re.IGNORECASE,
)
HEADING = re.compile(
    rf"^(?:the |my )?(?:final |correct )?(?:{ANSWER})\s*[:\uff1a]?$", re.IGNORECASE
)
SAID = re.compile(
    r"(?:\b(?:(?:the|our|my) (?:(?:final|correct|right|best) )*|(?:final|correct) )"
    r"(?:answer|option|choice|solutions?|result|value of [^.:]{1,60}?)"
    r"(?:(?: (?:to|for) [^.:]{1,60}?)? (?:is|are|would be|will be)(?! (?:that|to)\b)| =)"
    r"|(?:答案[是为為]|故选)|\b(?:die antwort ist|la respuesta es|la réponse est|la risposta è))"
    r"\s*[:\uff1a]?\s*(.+)$",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"^(?:(?:exactly|indeed|simply|thus|therefore|then|just|clearly|precisely|a total of|equal to"
    r"|given by|(?:the )?(?:option|choice|letter)(?= \W*[A-Ja-j]\b)|\uff1a)(?![a-z])[ ,:]*)+",
    re.IGNORECASE,
)
REMARK = re.compile(
    r",?\s+(?:because|since|as|which|where|rather)\b.*$|,\s*not\b.*$"
    r"|\s*\((?:since|because|as|i\.e\.|which|not)\b.*$|\s*\(?\bor [\d.]+\s?(?:%|percent)\)?\.?$",
    re.IGNORECASE | re.DOTALL,
)
LEAD = re.compile(r"\b(?:so|therefore|thus|hence|and),?$", re.IGNORECASE)
CHECKED = re.compile(
    r"\W*(?:(?:to |we can |let's )?(?:check|verif)|have an? |good luck|happy )", re.IGNORECASE
)
SENTENCE_END = re.compile(r"(?<![\w.])([\w.]*)\.(?:\s|$)|[\u3002!](?:\s|$)")
# "Jan. 5" is not "Jan", nor "St. Louis" the same as "St. Paul"
ABBREVIATED = frozenset({
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
    "a.m", "p.m", "st", "mt", "mr", "mrs", "dr", "prof", "sq", "cu", "approx",
})  # fmt: skip
CONCLUDES = re.compile(
    r"^\s*(?:so|therefore|thus|hence|in total|altogether|in all|in conclusion)\b,?", re.IGNORECASE
)
SCALE = "hundred|thousand|million|billion|trillion|dozen|percent"
VALUE = re.compile(
    rf"(?<![\w.])-?[$\u20ac\u00a3]?(?:{NUMBER})(?:/\d+)?\s?%?(?: (?:{SCALE})\b)?(?![\w/])"
)
INLINE = re.compile(r"\$([^$\s](?:[^$]{0,200}[^$\s])?)\$(?!\d)|\\\((.{1,200}?)\\\)")
EMPHASISED = re.compile(rf"\*\*([^*\n]{{1,200}})\*\*|{INLINE.pattern}")
WORD = re.compile(
    r"[^\W\d_]+(?:'t|'s)?|[<>~\u2260\u2264\u2265\u2248]|!=|=/=|\\(?:neq?|leq?|geq?|approx)\b"
)
EMPHASIS = re.compile(r"(?<![\w*])\*([^*\n]{1,200})\*(?![\w*])")
STEM = re.compile(r"(?<=\w{4})(?:ing|ed|es|e)$|(?<=\w{3})s$")
SAYS = re.compile(r"\b(?:is|are|was|were|be|equals?)\b|:(?=\s)|=")
# what leads to the number of a conclusion: "the sum is 5", "a profit of $5", "x = 5", "So 5."
LEADS_TO = re.compile(
    r"(?:^|\b(?:is|are|was|were|equals?|(?:will|would|must) be)|[:=]|\ban? [a-z]+ of)\s*"
    r"(?:(?:exactly|just|only|therefore|thus|then|equal to) )?$"
)
WORDS_IN = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]+(?:\^\d)?|[$\u20ac\u00a3]")
OF = re.compile(r"(?:\b(an?) )?(\w+) of\s*$")
PARTS = ("multiple", "factor", "divisor", "third", "quarter", "half", "root", "power", "part")


def words(text: str) -> frozenset[str]:
    """The stems of a text's words; "n't" is "not", and a sign of comparison is "than"."""
    found = set()
    for word in set(WORD.findall(text.lower())):
        if word.endswith("n't"):
            found.add("not")
        else:
            stem = STEM.sub("", STEM.sub("", word.removesuffix("'s")))
            found.add(stem if word[0].isalpha() else "than")
    return frozenset(found)


WRONG = words("wrong incorrect false")
# an answer behind which one of these stands is taken back
TAKEN_BACK = words("no not wait but however actually or instead rather sorry wrong")
# a sentence with one of these denies its number, or gives it under a condition
DENIED = TAKEN_BACK | words(
    "never neither nor none nobody nothing few hardly cannot without except either if unless maybe"
    " perhaps possibly might could incorrect too exclude reject discard ignore impossible false"
    " assume suppose let try doubt mistake correction"
)
# a sentence with one of these says something else of its number, unless the question has it too
COMPARED = words(
    "about approximately around roughly nearly almost least most than less more fewer between over"
    " under above below exceed divisible twice double triple times close"
)
# beside a box
LIMITS = words("than about approximately nearly almost roughly rule case example")
DERIVED = re.compile(
    r"\b(?:square|cube|root|reciprocal|inverse|opposite|half|third|quarter)(?= of\b)|'s reciprocal"
    r"|\bat (?:least|most)\b"
)
FOLLOWS = words("because since as which where when after with from by so I hope")
COMMON = words(
    "the a an is are was were be been it that this these so therefore thus hence in total"
    " altogether together combined across on at of to for by as called written answer"
)
"""What a sentence may hold beside the words of its question."""
COUNTING = COMMON | words(
    "there has have had equals we you he she they his her their will number amount"
)
CONCLUDING = COUNTING | words(
    "can must gets needs takes makes left only just exactly"
    " now all still when then conclusion value result solution solutions final overall sum"
)


# what stands between the words of a question, where it is long enough to be its formula
FORMULA = re.compile(r"(?<![A-Za-z])(?:(?![A-Za-z]{2})[\w\s+\-*/^=().]){5,200}")
LAST_QUESTION = re.compile(r"[^.?!\n]{1,400}\?")
NAMES_BEGIN = re.compile(
    r"(?<![\w\\+*/^\u221a-])(?<![-+*/^] )[a-zA-Z](?:_\w)? ?= ?[^=]+(?:,|\band\b|\bor\b|$)"
)


def final_answer(text: str, question: str = "") -> str | None:
    """The answer that the text ends with, as written, or None where no answer is marked.

    In this order: the last `\\boxed{…}`, with those that it is joined to; `<answer>…</answer>`; a
    marker on the last line, or a heading above it; a last line that is nothing but a quantity
    ("25", "x = 25 cm"); a last line that concludes ("Therefore …") or sets its one number in bold.
    A last box that is not closed is no answer, and neither is what a line denies or compares with.
    """
    if BOX in text:
        return clear_box(text, question)
    if found := TAGGED.findall(text[-2_000:]):
        return str(found[-1])
    lines = last_lines(text)
    if not lines or len(lines[-1]) > MOST_CHARS:
        return None
    if len(lines) > 1 and HEADING.match(lines[-2].strip("* _")):
        return tidy(lines[-1], question)
    return marked(lines[-1], question) or stated(lines[-1], question)


def last_number(text: str) -> str | None:
    """The last number of a text, whatever it stands for."""
    found = VALUE.findall(text[-MOST_CHARS:])
    return found[-1].strip() if found else None


def reference_answer(reference: str) -> str:
    """The answer in a reference, which may be a whole solution ("… #### 18") or the bare answer."""
    stripped = reference.strip()
    in_box = boxed(stripped) if BOX in stripped else None
    last = stripped[stripped.rfind("\n") + 1 :]
    return in_box or (marked(last) if len(last) <= MOST_CHARS else None) or stripped


def clear_box(text: str, question: str) -> str | None:
    """The boxed answer with its unit, None where what stands around the box says more or less.

    `-x = \\boxed{5}`, `\\boxed{5}!`, "not \\boxed{5}" and "\\boxed{5}. Wait, 6." are no 5.
    """
    answer, start, end = boxes(text)
    if answer is None:
        return None
    while text[:start].endswith("\\boxed{") and text.startswith("}", end):
        start, end = start - len("\\boxed{"), end + 1
    *earlier, line = text[max(0, start - MOST_CHARS) : start].rstrip("\n").split("\n")
    before = LAYOUT_END.sub("", TEXT.sub(r" \1 ", MARKS.sub("", f"{line}\\").removesuffix("\\")))
    behind = text[start : end + MOST_CHARS]
    behind = TEXT.sub(r" \1 ", behind[: ends(behind)[1]][end - start :])
    lines = [one for one in earlier if one.strip()]
    led = before or " ".join(lines[-1:])
    clause = re.split(r"[.,;:!?](?:\s|$)", led)[-1]
    if GLUED_BEFORE.search(before) or GLUED_BEHIND.match(behind):
        return None
    rest = LAYOUT.sub("", behind)
    if (
        words(clause) & (DENIED | LIMITS)
        or words(rest) & DENIED
        or derived(f"{clause} {rest}", question)
    ):
        return None
    if not of_the_question(led, answer, question):
        return None
    if unit := re.match(r"\^\s*\{?\\circ\}?|\\?%|\u00b0|[A-Za-z][^.,;:!?()\n$]*", rest):
        answer = with_unit(answer, unit[0], question)
    amount = read_quantity(plain(answer)) if answer else None
    said = marked(before, question) or (marked(lines[-1], question) if lines else None)
    for other in (said, final_answer(rest, question)):
        value = NAMED_BY_LETTER.sub("", plain(other or ""))
        stated_amount = read_quantity(value)
        if amount and stated_amount and amount.value != stated_amount.value:
            return None
    return answer


def of_the_question(before: str, value: str, question: str) -> bool:
    """Whether a value may answer the question: what equals it is no other letter, 2x, -x or x^2."""
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
    """Whether a number is that of a square, a root and the like that nobody asked for."""
    return any(found not in question.lower() for found in DERIVED.findall(before.lower()))


def with_unit(answer: str, behind: str, question: str) -> str | None:
    """An answer with the unit behind it, None where the words behind it may change it."""
    first, *others = behind.split()
    if NO_UNIT.fullmatch(first.lower()):
        return None
    for unit in (behind, " ".join([first, *others[:1]]), first):
        one = read_quantity(plain(f"1 {unit}"))
        if one and (one.unit.dimensions or one.percent or one.value != 1):
            return f"{answer} {unit}"
        if one and not one.unit.name:  # square units
            return answer
    return answer if words(first) <= CONCLUDING | FOLLOWS | words(question) else None


def boxed(text: str) -> str | None:
    """What stands in the last box, if it is closed, and in the boxes that it makes a list with."""
    return boxes(text)[0]


def boxes(text: str) -> tuple[str | None, int, int]:
    """The last box, or the list that it ends, with its start and its end."""
    at = text.rfind(BOX)
    content, last = box_at(text, at)
    if content is None:
        return None, at, at
    found = [content]
    names: list[str] = []
    while (before := text.rfind(BOX, max(0, at - MOST_CHARS), at)) >= 0:
        content, end = box_at(text, before)
        between = text[end:at] if content is not None and end <= at else "."
        joint = JOINT.fullmatch(between) if len(between) < 100 else None
        if content is None or joint is None:
            unclear = content not in found and CASES.search(between)
            return (None if unclear else joined(found, names)), at, last
        found.insert(0, content)
        names.insert(0, joint[1] or "")
        at = before
        if len(found) > MOST_BOXES:
            return None, at, last
    first = FIRST_NAME.search(text[max(0, at - 20) : at])
    return joined(found, [first[1] if first else "", *names]), at, last


def joined(found: list[str], names: list[str]) -> str:
    """Several boxes as one list, with their names if all have one."""
    if len(set(found)) == 1:
        return found[0]
    if len(names) == len(found) and all(names):
        found = [f"{name} = {one}" for name, one in zip(names, found, strict=True)]
    return ", ".join(found)


def box_at(text: str, at: int) -> tuple[str | None, int]:
    """What stands in the box that starts at `at`, if it is closed and not too long, and its end."""
    start = text.find("{", at, at + 20)
    if start < 0 or text[at + len(BOX) : start].strip():
        bare = BARE_BOX.match(text, at, at + 100)
        return (bare[1].rstrip(".,;:!"), bare.end()) if bare else (None, at)
    depth = 0
    for brace in BRACE.finditer(text, start, start + MOST_CHARS + 2):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : brace.start()].strip() or None, brace.end()
    return None, at


def last_lines(text: str) -> list[str]:
    """The last lines, without marks at their start, farewells, checks and empty lines."""
    end = text.rstrip()[-MOST_CHARS - 1 :]
    end = end[: ends(end)[1]]
    end = re.sub(r"<<[^<>\n]{0,100}>>", "", end.rstrip())
    end = re.sub(r"\\([*$])", r"\1", end)
    end = re.sub(r"(?:\\\[|\$\$)\s*([^$]{1,300}?)\s*(?:\\\]|\$\$)", _on_one_line, end)
    lines = [MARKS.sub("", line.strip()) for line in end.split("\n")[-8:] if re.search(r"\w", line)]
    while len(lines) > 1 and CHECKED.match(lines[-1]) and not words(lines[-1]) & TAKEN_BACK:
        lines.pop()
    return lines


def marked(line: str, question: str = "") -> str | None:
    """What stands behind a marker on the line."""
    bare = EMPHASIS.sub(r"\1", re.sub(r"\*\*|__", "", line)).strip()
    if found := LABEL.match(bare):
        return tidy(found[1], question)
    found = SAID.search(bare)
    of = re.search(r"value of ([^.:]{1,60}?) (?:is|would|=)", found[0]) if found else None
    if of and not of_the_question(f"{of[1]} =", "", question):
        return None
    # "Some say the answer is 12." states none
    return tidy(found[1], question) if found and leads(bare[: found.start()]) else None


def tidy(rest: str, question: str = "") -> str | None:
    """The answer in what stands behind a marker, None where it is taken back."""
    answer = first_sentence(rest.strip())
    behind = rest[len(answer) :]
    numbers = VALUE.findall(behind)
    if words(behind) & DENIED or (numbers and numbers[-1].strip(" .") not in answer):
        return None
    if re.match(r"not\b", answer, re.IGNORECASE):
        return None
    if result := worked_out(answer):
        return result
    whole, answer = answer, REMARK.sub("", FILLER.sub("", answer)).strip()
    if words(whole) & WRONG:
        return None
    if PROSE.search(plain(answer)) and read_quantity(plain(answer)) is None:
        return stated_value(answer, question, CONCLUDING | words(question)) or answer or None
    return answer or None


def leads(before: str) -> bool:
    """Whether a sentence begins behind this part of a line, but for "So" and its like."""
    before = LEAD.sub("", before.rstrip()).rstrip(" *_\"'([$")
    if re.search(r"^\W*(?:yes|no)\W*$|\b(?:says?|said|thinks?|thought|claims?)\b", before.lower()):
        return False  # "Yes, the answer is no."
    return not before or before[-1] in ".!?:;,\u2026" or before[-1] > "\u2e80"


def first_sentence(text: str) -> str:
    """The text up to its first full stop that does not shorten a word."""
    for end in SENTENCE_END.finditer(text):
        if end.group(1) is None or end.group(1).lower() not in ABBREVIATED:
            return text[: end.end(1) if end.group(1) is not None else end.start()].strip()
    return text


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
    said = CONCLUDES.sub("", bare)
    label = {word for word in words(said.rpartition("=")[0]) if len(word) > 1}
    if label and label <= CONCLUDING | words(question) and (result := worked_out(said)):
        return result
    concludes = said != bare
    if spans and not concludes:
        return stated_value(unmarked(sentence), question, None)
    if "=" in said and not concludes:
        return None
    common = CONCLUDING if concludes else COUNTING
    asked = common | words([question, *LAST_QUESTION.findall(question)][-1])
    if value := stated_value(said, question, asked, concludes) if question or concludes else None:
        return value
    # other words of the prompt may stand beside a number that is not one of it: "Tom sold 7"
    if not concludes and len(words(said) - asked) > 1:
        return None
    value = stated_value(said, question, asked | words(question))
    new = value and {*map(bare_digits, VALUE.findall(value))}.isdisjoint(
        map(bare_digits, VALUE.findall(question))
    )
    return value if new else None


def unmarked(text: str) -> str:
    """The text without the marks of bold type and of inline formulas."""
    return INLINE.sub(lambda found: found[1] or found[2], text.replace("**", ""))


def stated_value(
    said: str, question: str, vocabulary: frozenset[str] | None, concludes: bool = False
) -> str | None:
    """The value that a sentence states.

    None where the sentence denies it, or says something else of it than was asked: it has words
    that are not of the `vocabulary` (None for any), and does not conclude "… is 5".
    """
    if words(said) & WRONG or re.search(r"\d!\W*$", said):  # a factorial, or the end
        return None
    said = REMARK.sub("", said)
    for found in FORMULA.findall(question):
        if re.search(r"[=^]", found):
            said = said.replace(found.strip(" ."), " ")
    if not re.search(r"\d", said):  # "There are two horses."
        said = SPELLED.sub(spelled, said)
    spot = value_in(said.strip(" *"), question)
    if spot is None or said.rstrip(" *").endswith("?"):
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


def value_in(said: str, question: str) -> tuple[str, str, str] | None:
    """The value in a sentence, between what leads to it and what is behind it.

    It is a list of names with their values, or a formula at the end, or the one number: the only
    one, or the only one that the question has not.
    """
    asked = {bare_digits(one) for one in VALUE.findall(question)}
    listed = NAMES_BEGIN.search(said)
    if listed and named(plain(said[listed.start() :])):
        return said[: listed.start()], said[listed.start() :], ""
    if "=" in said and re.search(r"\band\b|, ", said):
        return None
    start = max((found.end() for found in SAYS.finditer(said)), default=0)
    before, end = said[:start], said[start:]
    if re.search(r"\d", end) and not re.search(r"[A-Za-z]{2}", end):
        new = {bare_digits(one) for one in VALUE.findall(before)} - asked
        return None if new and not before.endswith("=") else (before, end, "")
    start = said.rfind("=") + 1
    values = list(VALUE.finditer(said, start))
    if len(values) > 1:
        values = [one for one in values if bare_digits(one[0]) not in asked]
    if len(values) != 1 or re.search(r"[+*/^\u00d7\u00f7]", VALUE.sub("", said[start:])):
        return None
    before, behind = said[: values[0].start()], said[values[0].end() :]
    if re.search(r"[^\s(\"'$]$|[-+] $", before) or re.match(r"[^\s.,;:)\"']", behind):
        return None
    return before, values[0][0], behind


def worked_out(text: str) -> str | None:
    """The result of a calculation that is right, with words around it: "Total: 5 + 7 = 12 cm"."""
    before, _, result = text.strip(" .*$").rpartition("=")
    amount = read_quantity(plain(result))
    if amount is None:
        return None
    calculation = WORDS_IN.sub(" ", plain(before.rpartition("=")[2]))
    return result.strip() if agree(calculation, str(amount.value)) else None


def bare_digits(number: str) -> str:
    """The digits of a number, without separators and signs."""
    return re.sub(r"[^\d.]", "", number).rstrip(".")


def _on_one_line(found: re.Match[str]) -> str:
    return f"${' '.join(found[1].split())}$"
