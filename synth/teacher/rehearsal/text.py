"""What a text is about, cheaply: its sentences, its key terms, its numbers, its length in tokens.

Cached, because one source is asked about in several styles and one prompt in several samples.
"""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W\d_][^\W_]*(?:['’-][^\W_]+)*")
NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|[.,]\d)")
SENTENCE_END = re.compile(
    # not after "E. O.", "e.g.", "Dr.", "No." and their like
    r"(?<=[.!?])(?<!\b[A-Za-z]\.)(?<!\b(?:Dr|Mr|Ms|No|St|vs|al)\.)(?<!\b(?:Mrs|Sec|Par|Fig|etc)\.)"
    r"[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9À-Þ])"
)
ARTICLES = frozenset("a an the my your his her its our their this that of in for with".split())  # noqa: SIM905  a list of words is read as words
OPENERS = ("", ".", "!", "?", ":", "\n", "-", "*", "#")
"""What a sentence or line may open after, so that a capital there need not mean a name."""
READ_CHARS = 8_000
"""How much of a text is read for its key terms. The rest adds time and hardly any term."""
CHARS_PER_TOKEN = 8
"""Guards the token count of text without spaces; prose is counted by its words."""

STOP_WORDS = frozenset(
    """a about above after again against all almost along already also although always am among an
    and another any anybody anyone anything are around as ask asked asks at away back be became
    because become been before began begin behind being below best better between both but by call
    called came can cannot change come comes could did do does doing done down during each eight
    either else end enough even ever every everybody everyone everything exactly explain fact far
    few first five follow following for form found four from full gave get getting give given gives
    go goes going good got great had half hand hardly has have having he help her here him his how
    however i i'd i'll i'm i've if in include including instead into is isn't it it's its itself
    just keep kept kind know last later least leave left less let like likely list little long look
    made make makes making many may maybe me mean means might mine more most much must my myself
    name near nearly need needed needs neither never new next nine no nobody none nor not nothing
    now of off often old on once one only onto or other others otherwise our out over own part
    perhaps place please point put quite rather read reader really reply right said same say says
    second see seem seems seen set seven several shall she should show since six so some somebody
    someone something sometimes soon state still stop such take taken tell ten than that that's the
    their them then there these they they're thing things think third this those though three
    through till time to today together too took toward try turn twice two under until up upon us
    use used uses using usually very want wants was way we we're well went were what what's
    whatever when where whether which while who whole whom whose why will with within without won't
    word words work would write written wrong yes yet you you're your yours yourself
    add answer argue assume avoid base bring build calculate check choose classify code compare
    compose compute condense consider continue create decide define describe design determine
    discuss divide draft draw evaluate examine extract find finish generate identify imagine
    implement invent introduce label mention number offer order outline pick plan prepare present
    produce propose provide pull rank reason reduce refer rewrite shorten simplify solve sort spell
    suggest summarise summarize suppose translate weigh true false none http https html www int str
    float bool dict tuple def return""".split()  # noqa: SIM905  a list of 400 literals is harder to read
)


@lru_cache(maxsize=2048)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, lines kept apart, each with single spaces."""
    found: list[str] = []
    for line in text.split("\n"):
        if line.strip():
            found.extend(
                " ".join(part.split()) for part in SENTENCE_END.split(line) if part.strip()
            )
    return tuple(found)


@lru_cache(maxsize=4096)
def key_terms(text: str) -> tuple[str, ...]:
    """Up to 12 words and word pairs that the text is about, best first, in its own spelling.

    Frequent, long and capitalised words win, and those that stand where a noun does: after an
    article, at the end of a run of content words. Pairs such as "seed library" come first. Never
    fewer than three: a text that holds none is about "the question".
    """
    text = text[:READ_CHARS]
    weight: dict[str, int] = {}
    spelling: dict[str, str] = {}
    pairs: dict[str, int] = {}
    run: list[str] = []
    after_article = False
    end = -1
    for match in WORD.finditer(text + " ."):
        word, start = match[0], match.start()
        low = word.lower()
        plain = low in STOP_WORDS or len(word) < 4 or low.endswith(("n't", "n’t"))
        if run and (plain or text[end:start] != " "):
            _close_run(run, after_article, weight, pairs)
            run.clear()
        if plain:
            after_article = low in ARTICLES
            end = -1
            continue
        if not run:
            after_article = after_article and text[end + 1 : start].strip() == ""
        opens = start == 0 or text[max(0, start - 2) : start].strip(" \"'“‘(") in OPENERS
        if opens and word[1:].islower():
            spelling.setdefault(low, low)
        else:
            spelling[low] = word
        # verbs and adverbs read badly where a noun is expected
        doubtful = low.endswith(("ed", "ly", "ing"))
        first = min(len(low), 10) + 5 * (not spelling[low].islower()) - 6 * doubtful
        weight[low] = weight.get(low, first) + 4
        run.append(low)
        end = match.end()
    if run:
        _close_run(run, after_article, weight, pairs)

    terms: list[str] = []
    used: set[str] = set()
    for pair in sorted(pairs, key=lambda pair: -pairs[pair]):
        first_word, last_word = pair.split()
        if len(terms) < 4 and first_word not in used and last_word not in used:
            terms.append(f"{spelling[first_word]} {spelling[last_word]}")
            used.update((first_word, last_word))
    singles = [low for low in sorted(weight, key=lambda low: -weight[low]) if low not in used]
    terms += [spelling[low] for low in singles[: 12 - len(terms)]]
    return tuple(terms + ["the question", "the details", "the rest"][len(terms) :])


def _close_run(
    run: list[str], after_article: bool, weight: dict[str, int], pairs: dict[str, int]
) -> None:
    """Credits the end of a run of content words, where a noun is most likely to stand."""
    weight[run[-1]] += 3 + 5 * after_article
    if len(run) > 1:
        pair = f"{run[-2]} {run[-1]}"
        pairs[pair] = pairs.get(pair, 0) + weight[run[-2]] + weight[run[-1]] + 6


def numbers(text: str) -> list[str]:
    """The numbers of a text as it spells them, in order; not those inside words, codes or dates."""
    return NUMBER.findall(text)


def count_tokens(text: str) -> int:
    """About what a tokenizer would count: 1.3 a word, and at least one for every 8 characters."""
    return max(len(text.split()) * 13 // 10, len(text) // CHARS_PER_TOKEN) if text else 0


def cut_tokens(text: str, tokens: int) -> str:
    """The longest beginning of the text, whole words if it has any, of at most `tokens` tokens."""
    if count_tokens(text) <= tokens:
        return text
    allowed = (tokens * 10 + 9) // 13
    pieces = text.split(maxsplit=allowed)
    end = len(text)
    if len(pieces) > allowed:
        end -= len(pieces[-1])
    return text[: min(end, tokens * CHARS_PER_TOKEN)].rstrip()
