"""The words that a prompt is made of: what a child adds to its parent, and what it loses.

Length is no measure of difficulty (Spearman 0.27), so a child is asked for *content*: words that
are neither grammar nor stock phrases about a good answer ("in detail", "please", "high quality").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
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
PRAISE = FILLER | frozenset(
    word[:STEM_CHARS]
    for word in WORD.findall(
        # how good: excellence, depth, care, correctness, clarity
        "absolute amazing authoritative balanced beautiful brilliant careless coherence "
        "cohesive compelling competent complex complexities complexity concise conclusive "
        "concrete convincing craft crafted credible critical critically crucial dedication "
        "delve detail diligence diligent easy effective efficient elegant engaging error errors "
        "essential exceptional exhaustive expert expertise extraordinary extremely factor "
        "factors factual faithful fascinating fault faults first-class first-rate flaw flawless "
        "flaws flow fluent focus focused founded fresh genuine genuinely grammar grammatical "
        "highest holistic honest impeccable imperative impress impressive incredible "
        "intelligent intricacies intricacy intricate involved layered logic logical logically "
        "lucid masterful maximise maximize meaningful memorable meticulous mistake mistakes "
        "nuance nuanced nuances objective omit omitted organised organized original outstanding "
        "overlook overlooked perspective perspectives polish powerful professional proficient "
        "profound readable recommended refined reliable remarkable respectful rigor rigorous "
        "rigour robust satisfactory scholarly seriously sharp skill skilled skills smart solid "
        "sophisticated sound standard standards strong style subtle subtleties subtlety "
        "sufficient superb superior thoroughness top truly trustworthy unanswered unclear "
        "understandable understanding unique vital vivid wisdom wise world world-class "
        # how much, from all sides
        "account address all-round angle angles anywhere area areas available avoid broad "
        "component components conclusion conclusions consideration considerations contain "
        "context decade decades dimension dimensions direction element elements entire entirely "
        "examine experience explore facet facets gap gaps idea ideas implication implications "
        "include included including inside issue issues keep key knowledge material miss "
        "missing necessary out outside particular possibility problem reason reasoned reasoning "
        "reasonings reflect see specifics subject thinking throughout touch viewpoints "
        # politeness, stakes, and the one who is to answer
        "abilities ability advance appreciate appreciated assist assistance assistant attention "
        "best-in-class breath brilliantly capable career deadline dear deserve deserves double- "
        "check favor favour glad gratitude happy hello hope job looking manner manners really "
        "renowned role sincerely specialist support teacher thank thankful thanks urgent "
        "urgently user various verify ways world years"
    )
)
"""What speaks of the quality of an answer, where a whole sentence speaks of nothing else."""
IDIOMS = re.compile(
    r"\b(?:in (?:short|other words|full|fact|general|any case|a nutshell)|right away|"
    r"at (?:all|once|the same time)|as (?:well|much|far|best|soon) as (?:you|it|i)?|"
    r"without further \w+|i can use|something|step back|"
    r"from (?:the )?(?:beginning|start|first) to (?:the )?(?:end|finish|last)|"
    r"(?:to|at) the best of your \w+|from (?:every|all|each) (?:angle|side|perspective)s?|"
    r"a (?:good|great) deal|that is to say|to be honest)\b",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<=[.!?:])[\"'”’)]*\s+|\n+")
DATA = re.compile(r"[|{}]|:\s.*\d")
MIN_RESTATED = 24  # characters; shorter sentences are alike by chance
RESTATED_RATIO = 75
HALF = 0.5
FEWEST_PRAISES = 2
MOST_NAMED = 3  # of the parent's words in a sentence that praises; with more it is the parent's own
PRAISES_PER_WORD = 3  # of a sentence that praises, one word in so many may be of no list
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

    A paraphrase gains as many as it loses. A sentence that says again what one of the parent's says
    beside it, or that praises a good answer in general, gains nothing. A new demand about the
    parent's own words counts them too, up to two, or "what is X without Y?" would be nothing; where
    the parent stands whole in the child, all that a further sentence says is a new demand.
    """
    kept, new = _sentences_that_count(child, parent)
    before, after = mentions(parent), mentions(" ".join(kept))
    net = len(after.keys() - before.keys()) - len(before.keys() - after.keys())
    again = sum(after[stem] > count for stem, count in before.items())
    gained = net + (min(again, MOST_MENTIONS) if net >= MOST_MENTIONS else 0)
    return max(gained, len(mentions(" ".join(new))))


def _sentences_that_count(child: str, parent: str) -> tuple[list[str], list[str]]:
    """The child's sentences that say something, and those of them that are new.

    None are new where the parent does not stand whole in the child: they may be its paraphrase.
    """
    said = _sentences(parent)
    there = [one for one in said if len(one) > MIN_RESTATED and one in child]
    known = mentions(parent).keys()
    kept: list[str] = []
    new: list[str] = []
    for part in _sentences(child):
        if part in said or DATA.search(part):
            kept.append(part)
        elif not any(_restates(part, one) for one in there) and not praises(part, known):
            kept.append(part)
            new.append(part)
    return kept, new if all(one in child for one in said) else []


def praises(sentence: str, known: Collection[str] = ()) -> bool:
    """Whether a sentence asks for nothing but a good answer, however it is worded.

    What the parent (`known`, as stems) speaks of may be named: "a deep understanding of tides".
    """
    said = [word for word in words(IDIOMS.sub(" ", sentence)) if word not in STOP_WORDS]
    stems = [word[:STEM_CHARS] for word in said]
    praise = sum(stem in PRAISE for stem in stems)
    specific = {stem for stem in stems if stem not in PRAISE and stem not in known}
    named = {stem for stem in stems if stem in known and stem not in FILLER}
    if praise < FEWEST_PRAISES or len(named) > MOST_NAMED:
        return False
    return len(specific) <= (0 if named else praise // PRAISES_PER_WORD)


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
