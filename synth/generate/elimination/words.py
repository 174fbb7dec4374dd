"""The words that a prompt is made of: what a child adds to its parent, and what it loses.

Length is no measure of difficulty (Spearman 0.27), so a child is asked for *content*: words that
are neither grammar nor stock phrases about a good answer ("in detail", "please", "high quality").
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from rapidfuzz import fuzz

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
STEM_CHARS = 5  # "explain", "explains" and "explained" are one word; "explanation" is another
STOP_WORDS = frozenset(
    WORD.findall(
        "a about after all also am an and any are as at be because been before being below both "
        "but by can could did do does doing don't during each for from had has have having he her "
        "here him his how i if in into is isn't it it's its itself just me my no nor not now of "
        "off on once only or other our out over own same she should so some such than that that's "
        "the their them then there these they this those through to too under until up us very "
        "was we were what when where which while who whom why will with would you your yours"
    )
)
FILLER = frozenset(
    word[:STEM_CHARS]
    for word in WORD.findall(
        "accurate accurately add additional adequate ample answer answering answers appropriate "
        "aspect aspects attention best better care careful carefully clear clearly coherent "
        "complete completely comprehensive concise consider correct correctly cover deep deeply "
        "depth detail detailed details effort elaborate ensure every everything exactly excellent "
        "explanation express extensive fine following full fully further general give given gives "
        "good great greatly help helpful high ideal important in-depth information informative "
        "insight insightful interesting it'd kindly know like look main make many matter maximum "
        "more most much needed nice note nothing one perfect please point possible precise proper "
        "properly provide quality question quickly quite rather really reasonable relevant reply "
        "request respond response rich right say simply structured suitable sure take task tell "
        "think thorough thoroughly thought thoughtful time topic try understand useful valuable "
        "want way well whole wish work worthwhile write written anything else get go got "
        "satisfying possibly wonderful high-quality improve love actually way words other means "
        "expert-level polished nicely deeper put real slightly moment superficial grateful let "
        "able could would ask asked exact"
    )
)
"""What praises an answer without asking for anything in particular."""
IDIOMS = re.compile(
    r"\b(?:in (?:short|other words|full|fact|general|any case|a nutshell)|right away|"
    r"at (?:all|once|the same time)|as (?:well|much|far|best|soon) as (?:you|it|i)?|"
    r"without further \w+|i can use|something|step back|"
    r"a (?:good|great) deal|that is to say|to be honest)\b",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<=[.!?:])[\"'”’)]*\s+|\n+")
DATA = re.compile(r"[|{}]|:\s.*\d")
MIN_RESTATED = 24  # characters; shorter sentences are alike by chance
RESTATED_RATIO = 75
HALF = 0.5
MOST_MENTIONS = 2  # words of the parent that are said again count as much as so many new ones


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, in order."""
    return tuple(WORD.findall(text.lower().replace("\u2019", "'")))


@lru_cache(maxsize=4096)
def mentions(text: str) -> Counter[str]:
    """The stems of the words that say something, counted: no grammar, no stock phrases."""
    said = (word[:STEM_CHARS] for word in words(IDIOMS.sub(" ", text)) if word not in STOP_WORDS)
    return Counter(stem for stem in said if stem not in FILLER)


def content(text: str) -> frozenset[str]:
    """The stems of the words that say something."""
    return frozenset(mentions(text))


def added(child: str, parent: str) -> int:
    """How many content words the child has more than its parent: new ones less lost ones.

    A paraphrase gains as many as it loses, and a sentence that says again what one of the parent's
    says beside it gains nothing. A new demand about the parent's own words counts them too, up to
    two, or "what is X without Y?" would be nothing.
    """
    before, after = mentions(parent), mentions(_without_restatements(child, parent))
    net = len(after.keys() - before.keys()) - len(before.keys() - after.keys())
    again = sum(after[stem] > count for stem, count in before.items())
    return net + (min(again, MOST_MENTIONS) if net >= MOST_MENTIONS else 0)


def _without_restatements(child: str, parent: str) -> str:
    said = _sentences(parent)
    there = [one for one in said if len(one) > MIN_RESTATED and one in child]
    if not there:
        return child
    kept = (
        part
        for part in _sentences(child)
        if part in said or DATA.search(part) or not any(_restates(part, one) for one in there)
    )
    return " ".join(kept)


def _restates(part: str, one: str) -> bool:
    return fuzz.ratio(part, one) >= RESTATED_RATIO and kept_share(one, part) > HALF


def _sentences(text: str) -> list[str]:
    return [part.strip("\"'”’) ") for part in SENTENCE_END.split(text)]


def new_words(child: str, parent: str) -> int:
    """How many content words of the child its parent does not have."""
    return len(content(child) - content(parent))


def kept_share(child: str, parent: str) -> float:
    """The share of the parent's content words that the child has too; 1 where it has none."""
    before = content(parent)
    return len(before & content(child)) / len(before) if before else 1.0
