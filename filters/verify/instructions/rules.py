"""The rules: for each kind of instruction, whether a text follows it.

Source: IFEval (arXiv:2311.07911) for the names and parameters up to `startend:`, IFBench
(arXiv:2507.02833) for the later ones except `json_keys`. Docstrings say where ours differ. We
apply open-instruct's corrections (pull requests 1612 and 1683): `!` ends a sentence, an option may
occur anywhere in the text, and `around` has a tolerance.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

import orjson

from filters.verify.instructions.parts import (
    PUNCTUATION,
    ParameterError,
    bare_words,
    number,
    occurrences,
    related,
    string,
    strings,
    words,
)
from synth.text.language import probabilities
from synth.text.markdown import unfenced
from synth.text.sentences import paragraphs, sentences

Given = Mapping[str, Any]
NO_JSON: Final = object()
Rule = Callable[[str, Given], bool]
"""(text, parameters) -> whether the text follows. Raises `ParameterError`."""

CONJUNCTIONS = frozenset({"and", "but", "for", "nor", "or", "so", "yet"})
PRONOUNS = frozenset({
    "i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves",
    "you", "your", "yours", "yourself", "yourselves", "he", "him", "his", "himself",
    "she", "her", "hers", "herself", "it", "its", "itself",
    "they", "them", "their", "theirs", "themselves",
})  # fmt: skip
CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
BRACKET_DEPTH = 5  # as IFBench, whose instruction has no parameter
KEYWORD_TIMES = {"keyword1": 1, "keyword2": 2, "keyword3": 3, "keyword4": 5, "keyword5": 7}
AROUND = "*_`~\"' \t\n"  # emphasis and quotation marks
CURLY = str.maketrans("\u201c\u201d\u2018\u2019", "\"\"''")


def number_words(text: str, given: Given) -> bool:
    """IFEval counts "don't" as two words; with `divider: blank`, spaces separate words."""
    found = text.split() if given.get("divider") == "blank" else words(text)
    return related(len(found), given.get("relation"), number(given, "num_words"))


def number_sentences(text: str, given: Given) -> bool:
    return related(len(sentences(text)), given.get("relation"), number(given, "num_sentences"))


def number_paragraphs(text: str, given: Given) -> bool:
    """Paragraphs separated by `***`, as in IFEval; by empty lines with `divider: blank`."""
    if given.get("divider") == "blank":
        return len(paragraphs(text)) == number(given, "num_paragraphs")
    parts = re.split(r"\s?\*\*\*\s?", text)
    inner = parts[1:-1]
    found = sum(bool(part.strip()) for part in parts)
    return all(part.strip() for part in inner) and found == number(given, "num_paragraphs")


def nth_paragraph_first_word(text: str, given: Given) -> bool:
    parts, nth = paragraphs(text), number(given, "nth_paragraph")
    if len(parts) != number(given, "num_paragraphs") or not 1 <= nth <= len(parts):
        return False
    wanted = string(given, "first_word").lower().split()
    first = bare_words(parts[nth - 1])[: len(wanted)]
    return wanted in (first, [re.split(r"[.,?!'\"]", word)[0] for word in first])


def keywords(text: str, given: Given) -> bool:
    """All keywords as whole words; IFEval also counts them inside other words."""
    return all(occurrences(text, keyword) for keyword in strings(given, "keywords"))


def forbidden_words(text: str, given: Given) -> bool:
    return not any(occurrences(text, word) for word in strings(given, "forbidden_words"))


def keyword_frequency(text: str, given: Given) -> bool:
    found = occurrences(text, string(given, "keyword"))
    return related(found, given.get("relation"), number(given, "frequency"))


def letter_frequency(text: str, given: Given) -> bool:
    found = text.lower().count(string(given, "letter").lower())
    return related(found, given.get("let_relation"), number(given, "let_frequency"))


def placeholders(text: str, given: Given) -> bool:
    return len(re.findall(r"\[[^\[\]\n]*\]", text)) >= number(given, "num_placeholders")


def postscript(text: str, given: Given) -> bool:
    marker = string(given, "postscript_marker").lower().rstrip(".")
    spaced = r"\.\s?".join(map(re.escape, marker.split(".")))
    return re.search(rf"(?m)(?<!\w){spaced}", text.lower()) is not None


def bullets(text: str, given: Given) -> bool:
    """Lines that start with `*` or `-`, but not `**bold**`, `*italics*` or horizontal rules."""
    found = re.findall(r"(?m)^[ \t]*(?:\*(?!\*)(?!\S[^*\n]*\*)|-(?!-))[ \t*-]*[^\s*-]", text)
    return related(len(found), given.get("relation", "exactly"), number(given, "num_bullets"))


def one_of(text: str, given: Given) -> bool:
    """One of IFEval's three answers, or one of `options`."""
    usual = ["My answer is yes.", "My answer is no.", "My answer is maybe."]
    return any(occurrences(text, str(option), 0) for option in given.get("options") or usual)


def highlights(text: str, given: Given) -> bool:
    """`*this*` or `**this**`, each counted once; IFEval counts the second form twice."""
    found = re.findall(r"\*\*([^\n*]+)\*\*|\*([^\n*]+)\*", text)
    filled = sum(bool("".join(groups).strip()) for groups in found)
    return filled >= number(given, "num_highlights")


def sections(text: str, given: Given) -> bool:
    """Exactly as many section lines (the name and a number, Roman too); IFEval accepts more.

    A text with two answers has every section twice, which fails.
    """
    name = re.escape(string(given, "section_spliter"))
    found = re.findall(rf"(?m)^[^\w\n]*{name}\s?(\d+|[IVXLC]+)\b", text)
    return number(given, "num_sections") in (len(found), len(set(found)))


def json_format(text: str) -> bool:
    return _json(text) is not NO_JSON


def json_keys(text: str, given: Given) -> bool:
    """A JSON object with exactly these keys. Not in IFEval."""
    value = _json(text)
    return isinstance(value, dict) and value.keys() == set(strings(given, "keys"))


def _json(text: str) -> object:
    try:
        return orjson.loads(unfenced(text))
    except orjson.JSONDecodeError:
        return NO_JSON


def title(text: str) -> bool:
    return re.search(r"<<[^\n<>]*[^\s<>][^\n<>]*>>", text) is not None


def two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def repeat_prompt(text: str, given: Given) -> bool:
    wanted = " ".join(string(given, "prompt_to_repeat").lower().split())
    return " ".join(text.lower().split()).startswith(wanted)


def lowercase(text: str) -> bool:
    return text.islower() or not any(map(str.isalpha, text))


def uppercase(text: str) -> bool:
    return text.isupper() or not any(map(str.isalpha, text))


def capital_words(text: str, given: Given) -> bool:
    found = sum(word.isupper() for word in re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text))
    return related(found, given.get("capital_relation"), number(given, "capital_frequency"))


def no_comma(text: str) -> bool:
    return not re.search("[,\uff0c\u060c]", text)


def end_phrase(text: str, given: Given) -> bool:
    """The text ends with the phrase, ignoring case and surrounding emphasis or quotes."""
    ends = [
        one.translate(CURLY).strip(AROUND).lower() for one in (text, string(given, "end_phrase"))
    ]
    return ends[0].endswith(ends[1])


def quotation(text: str) -> bool:
    stripped = text.strip()
    return len(stripped) > 1 and stripped[0] in '"\u201c' and stripped[-1] in '"\u201d'


def response_language(text: str, given: Given) -> bool:
    """Raises `ParameterError` for a text too short to detect its language; IFEval accepts it."""

    likely = probabilities(text)
    if not likely:
        raise ParameterError("the text is too short to detect its language")
    return max(likely, key=lambda code: likely[code]) == string(given, "language")


def word_count_range(text: str, given: Given) -> bool:
    return number(given, "min_words") <= len(words(text)) <= number(given, "max_words")


def unique_words(text: str, given: Given) -> bool:
    return len(set(bare_words(text))) >= number(given, "N")


def exact_numbers(text: str, given: Given) -> bool:
    bare = text.translate(str.maketrans("", "", PUNCTUATION))
    return len(re.findall(r"\b\d+\b", bare)) == number(given, "N")


def keyword_counts(text: str, given: Given) -> bool:
    """Each keyword as often as `counts` says; IFBench's `keyword1` … `keyword5`: 1, 2, 3, 5, 7."""
    named = {given[name]: times for name, times in KEYWORD_TIMES.items() if name in given}
    wanted = given.get("counts", named)
    if not isinstance(wanted, Mapping) or not wanted:
        raise ParameterError(f"`counts` is {wanted!r}; expected a mapping from keyword to number")
    return all(occurrences(text, keyword) == count for keyword, count in wanted.items())


def no_whitespace(text: str) -> bool:
    return bool(text) and not re.search(r"\s", text)


def word_a_line(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(len(line.split()) == 1 for line in lines)


def nested_brackets(text: str, given: Given) -> bool:
    """Brackets nested deeply enough, each closed by its own kind."""
    depth = number(given, "depth") if "depth" in given else BRACKET_DEPTH
    closing: list[str] = []
    for char in text:
        if char in CLOSED_BY:
            closing.append(CLOSED_BY[char])
        elif char in ")]}":
            if closing and closing.pop() == char:
                if len(closing) + 1 >= depth:
                    return True
            else:
                closing.clear()
    return False


def word_repeats(text: str, given: Given) -> bool:
    counts = Counter(bare_words(text))
    return max(counts.values(), default=0) <= number(given, "small_n")


def sentence_keyword(text: str, given: Given) -> bool:
    parts, nth = sentences(text), number(given, "N")
    return 1 <= nth <= len(parts) and bool(occurrences(parts[nth - 1], string(given, "word")))


def last_first(text: str) -> bool:
    ends = [bare for sentence in sentences(text) if (bare := bare_words(sentence))]
    return all(one[-1] == other[0] for one, other in pairwise(ends))


def conjunctions(text: str, given: Given) -> bool:
    return len(CONJUNCTIONS & set(bare_words(text))) >= number(given, "small_n")


def pronouns(text: str, given: Given) -> bool:
    return sum(word.lower() in PRONOUNS for word in words(text)) >= number(given, "N")


def _bare(rule: Callable[[str], bool]) -> Rule:
    """Adapts a rule that takes no parameters."""
    return lambda text, _given: rule(text)


RULES: Final[dict[str, Rule]] = {
    "length_constraints:number_words": number_words,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "keywords:existence": keywords,
    "keywords:forbidden_words": forbidden_words,
    "keywords:frequency": keyword_frequency,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "detectable_content:number_placeholders": placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": bullets,
    "detectable_format:constrained_response": one_of,
    "detectable_format:number_highlighted_sections": highlights,
    "detectable_format:multiple_sections": sections,
    "detectable_format:json_format": _bare(json_format),
    "detectable_format:json_keys": json_keys,
    "detectable_format:title": _bare(title),
    "combination:two_responses": _bare(two_responses),
    "combination:repeat_prompt": repeat_prompt,
    "change_case:english_lowercase": _bare(lowercase),
    "change_case:english_capital": _bare(uppercase),
    "change_case:capital_word_frequency": capital_words,
    "punctuation:no_comma": _bare(no_comma),
    "startend:end_checker": end_phrase,
    "startend:quotation": _bare(quotation),
    "count:word_count_range": word_count_range,
    "count:unique_word_count": unique_words,
    "count:numbers": exact_numbers,
    "count:keywords_multiple": keyword_counts,
    "count:conjunctions": conjunctions,
    "count:pronouns": pronouns,
    "format:no_whitespace": _bare(no_whitespace),
    "format:newline": _bare(word_a_line),
    "format:parentheses": nested_brackets,
    "words:repeats": word_repeats,
    "words:last_first": _bare(last_first),
    "sentence:keyword": sentence_keyword,
}
