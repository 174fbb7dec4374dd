"""Makes an answer do what its prompt demands in words that are read, or break one such demand.

    obey("It grew, and grew. Then it stopped.", [no_comma], …) == "It grew and grew. Then it …"

Knows the constraints that `evolve` adds, and a few that prompts state beside them; what it does not
know stays as it came. Lengths are met by sentences about the prompt's key terms, more or fewer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from synth.instructions.attached import Instruction
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import bank, capital, pick, say
from synth.teacher.rehearsal.text import key_terms, sentences

WORD = re.compile(r"\w+")  # as IFEval counts words
MARK = re.compile(r"(?m)^(?:[-*•]|\d{1,2}[.)])\s+")
LONG = re.compile(r"(?<![\\\w])[A-Za-z]{2,}(?!\w)")
SPARE = ("so", "then", "again", "here")  # in the place of a forbidden word
PARAGRAPH = 3  # sentences
MANY = 10**6
Wanted = dict[str, dict[str, Any]]


def obey(text: str, instructions: Sequence[Instruction], prompt: str, dice: Dice) -> str:
    """The answer as the instructions want it."""
    wanted = {one.id: dict(one.given) for one in instructions}
    terms = key_terms(prompt)
    slots = {"a": dice.pick(terms[:4])}
    extra = _keywords(wanted, dice)
    before, after = _around(wanted, dice, slots)
    room = _room(wanted, f"{before} {extra} {after}", bool(after))
    if room is not None:
        text = _laid_out(_fitted(text, room, terms, dice), extra, wanted)
    elif extra:
        text = _with(text, extra)
    if found := wanted.get("detectable_format:number_highlighted_sections"):
        text = _highlighted(text, found["num_highlights"])
    text = f"{before}{text}{after}"
    if "punctuation:no_comma" in wanted:
        text = re.sub(r",(?=\S)", " ", text).replace(",", "")
    for word in wanted.get("keywords:forbidden_words", {}).get("forbidden_words", ()):
        text = _without(text, word, wanted["keywords:forbidden_words"]["forbidden_words"])
    return _cased(text, wanted)


def disobey(text: str, instructions: Sequence[Instruction], prompt: str, dice: Dice) -> str | None:
    """The answer that breaks one of the instructions and keeps the others; None: cannot be."""
    one = dice.pick(instructions)
    others = [each for each in instructions if each.id != one.id]
    against = _opposite(one, dice)
    if against is None:
        return None
    text = obey(text, [*others, *against], prompt, dice)
    match one.id:
        case "punctuation:no_comma":
            return text if "," in text else f"{text} So, that is that."
        case "detectable_format:json_format":
            return f"{text}\nThat is all."
        case "keywords:existence":
            return None if one.given["keywords"][0].lower() in text.lower() else text
    return text


def _opposite(one: Instruction, dice: Dice) -> list[Instruction] | None:
    """What to do in order to break it, at times by little; nothing where it is enough to go on."""
    given = dict(one.given)
    match one.id.partition(":")[2]:
        case "number_words" | "number_sentences" as kind:
            name = "num_words" if kind == "number_words" else "num_sentences"
            count, relation = given[name], given["relation"]
            little = dice.between(1, max(1, count // 4))
            if relation == "at least":
                less = {"relation": "at most", name: max(1, count - little)}
                return [Instruction(one.id, less)] if count > 1 else None
            more = {"relation": "at least", name: count + little}
            return [Instruction(one.id, more)]
        case "word_count_range":
            more = {"relation": "at least", "num_words": given["max_words"] + dice.between(1, 40)}
            return [Instruction("length_constraints:number_words", more)]
        case "number_paragraphs":
            return [Instruction(one.id, {"num_paragraphs": given["num_paragraphs"] + 1})]
        case "number_bullet_lists":
            relation, count = given.get("relation", "exactly"), given["num_bullets"]
            fewer = relation == "at least" or (relation == "exactly" and dice.chance(0.5))
            return [Instruction(one.id, {"num_bullets": count - 1 if fewer else count + 1})]
        case "number_highlighted_sections":
            return [Instruction(one.id, {"num_highlights": given["num_highlights"] - 1})]
        case "existence":
            forbidden = {"forbidden_words": [given["keywords"][0]]}
            return [Instruction("keywords:forbidden_words", forbidden)]
        case "forbidden_words":
            return [Instruction("keywords:existence", {"keywords": given["forbidden_words"][:1]})]
        case "end_checker":
            return [Instruction(one.id, {"end_phrase": f"{given['end_phrase']} Goodbye."})]
    return []


@dataclass(frozen=True, slots=True)
class _Room:
    """How many words and sentences the body may have, ends included."""

    words: tuple[int, int]
    sentences: tuple[int, int]


def _room(wanted: Wanted, around: str, more: int) -> _Room | None:
    """The room that is left beside what stands around the body; None where nothing is said."""
    words = _bounds(wanted.get("length_constraints:number_words"), "num_words")
    if found := wanted.get("count:word_count_range"):
        words = (found["min_words"], found["max_words"])
    said = _bounds(wanted.get("length_constraints:number_sentences"), "num_sentences")
    parts = wanted.get("length_constraints:number_paragraphs", {}).get("num_paragraphs", 0)
    points = wanted.get("detectable_format:number_bullet_lists", {}).get("num_bullets")
    least = max(parts, 0 if points is None else points + 1)
    if words is said is None and not least:
        return None
    beside = len(WORD.findall(around))
    low, high = words or (0, MANY)
    fewest, most = said or (0, MANY)
    return _Room(
        (max(1, low - beside), max(1, high - beside)),
        (max(1, least, fewest - more), max(1, least, most - more)),
    )


def _bounds(given: dict[str, Any] | None, name: str) -> tuple[int, int] | None:
    if given is None:
        return None
    count = given[name]
    match given["relation"]:
        case "at least":
            return count, MANY
        case "at most":
            return 0, count
        case "less than":
            return 0, count - 1
    return count, count


def _fitted(text: str, room: _Room, terms: Sequence[str], dice: Dice) -> list[str]:
    """The text's sentences, fewer, shorter, or with more about its terms, as there is room."""
    body = [_sentence(one) for one in sentences(MARK.sub("", text)) if WORD.search(one)]
    end = [body.pop()] if body and "\\boxed" in body[-1] else []
    (low, high), (fewest, most) = room.words, room.sentences
    more = _more(terms, dice)
    while len(body) + len(end) < fewest or _words([*body, *end]) < low:
        body.append(next(more))
    del body[max(0, most - len(end)) :]
    while len(body) + len(end) > max(1, fewest) and _words([*body, *end]) > high:
        body.pop()
    if body:
        share = high - _words(end) if fewest == 1 else high // (len(body) + len(end))
        over = _words([*body, *end]) > high
        body = [_short(one, share) for one in body] if over else body
        missing = low - _words([*body, *end])
        body[-1] = f"{body[-1][:-1]}{' too' * missing}{body[-1][-1]}" if missing > 0 else body[-1]
    return body + end


def _more(terms: Sequence[str], dice: Dice) -> Iterator[str]:
    while True:
        for frame in dice.draw(bank("answer", "frames"), MANY):
            a, b, c = dice.draw(terms, 3)
            yield _sentence(say(frame, dice, {"a": a, "b": b, "c": c}))


def _words(parts: Sequence[str]) -> int:
    return sum(len(WORD.findall(part)) for part in parts)


def _sentence(text: str) -> str:
    """The text as one sentence."""
    text = text.strip().rstrip(":;, ")
    return capital(text if text.endswith((".", "!", "?")) else f"{text}.")


def _short(sentence: str, words: int) -> str:
    """At most so many words of a sentence."""
    found = list(WORD.finditer(sentence))
    return sentence if len(found) <= words else f"{sentence[: found[max(words, 1) - 1].end()]}."


def _laid_out(body: list[str], extra: str, wanted: Wanted) -> str:
    """The sentences as paragraphs or points."""
    if extra:  # within a sentence, for sentences may be counted
        body[0] = f"{body[0].rstrip('.!?')} \u2013 {extra[:1].lower()}{extra[1:]}"
    points = wanted.get("detectable_format:number_bullet_lists", {}).get("num_bullets")
    if points is not None:
        lead, items = body[: len(body) - points], body[len(body) - points :]
        return "\n".join([" ".join(lead), *(f"- {one}" for one in items)])
    count = wanted.get("length_constraints:number_paragraphs", {}).get("num_paragraphs")
    size = max(1, len(body) // count) if count else PARAGRAPH
    ends = [size * at for at in range(1, count)] if count else list(range(size, len(body), size))
    parts = [body[i:j] for i, j in zip([0, *ends], [*ends, len(body)], strict=True)]
    return ("\n\n***\n\n" if count else "\n\n").join(" ".join(part) for part in parts)


def _keywords(wanted: Wanted, dice: Dice) -> str:
    """A sentence with the keywords, "" where none are wanted."""
    keywords = wanted.get("keywords:existence", {}).get("keywords")
    if not keywords:
        return ""
    return pick("answer", "keyword_lines", dice, {"words": " and ".join(keywords)})


def _around(wanted: Wanted, dice: Dice, slots: dict[str, str]) -> tuple[str, str]:
    """What stands before and behind the body."""
    before = after = ""
    if "detectable_format:title" in wanted:
        before = f"<<{capital(pick('answer', 'titles', dice, slots))}>>\n\n"
    if found := wanted.get("detectable_content:postscript"):
        after = f"\n\n{found['postscript_marker']} {pick('answer', 'postscripts', dice, slots)}"
    if found := wanted.get("startend:end_checker"):
        after += f"\n\n{found['end_phrase']}"
    return before, after


def _with(text: str, sentence: str) -> str:
    """The text with a sentence more, before its last line where that holds the result."""
    head, newline, last = text.rpartition("\n")
    if "\\boxed" in last:
        return f"{head}{newline}{sentence}\n{last}"
    return f"{text}\n\n{sentence}"


def _highlighted(text: str, count: int) -> str:
    """The text with `count` of its longer words between asterisks."""
    places = list(LONG.finditer(text.partition("```")[0]))
    chosen = places[:: max(1, len(places) // max(1, count))][:count]
    for found in reversed(chosen):
        text = f"{text[: found.start()]}*{found[0]}*{text[found.end() :]}"
    return text


def _without(text: str, word: str, forbidden: Sequence[str]) -> str:
    """The text with another word in the place of the forbidden one."""
    spare = next(one for one in SPARE if one not in forbidden)
    return re.sub(
        rf"\b{re.escape(word)}\b",
        lambda found: spare.capitalize() if found[0][0].isupper() else spare,
        text,
        flags=re.IGNORECASE,
    )


def _cased(text: str, wanted: Wanted) -> str:
    """What is done to the whole: JSON, letters, quotation marks, no blanks."""
    if "detectable_format:json_format" in wanted and not _is_json(text):
        text = orjson.dumps({"answer": text}).decode()
    if "change_case:english_lowercase" in wanted:
        text = text.lower()
    if "change_case:english_capital" in wanted:
        text = text.upper()
    if "startend:quotation" in wanted:
        text = f'"{text}"'
    if "format:no_whitespace" in wanted:
        text = "".join(text.split())
    return text


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
