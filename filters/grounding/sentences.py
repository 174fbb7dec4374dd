"""The statements of a text as `claims` compares them: content words, which of them are denied.

    "The bell was not cast in Venn."  ->  words {bell, cast, venn}, denied {cast, venn}

A word is denied in the scope of a negation: up to four content words behind it, to the end of the
clause. Source: NegEx (Chapman et al. 2001), whose window is five words; ours counts content words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from filters.grounding.source import LINK

TOKEN = re.compile(r"[^\W_]+(?:['\u2019.,-][^\W_]+)*|[,;:()\u2013\u2014.!?\"\u201c\u201d|]")
END = re.compile(
    r"(?<=[.!?])(?<!\b(?<!\u00b0)[A-Z]\.)(?<!\b(?:Dr|Mr|Ms|No|St|vs|cf|pp)\.)(?<!\b(?:Mrs|Sec|Fig|etc|e\.g|i\.e)\.)"
    r"[\"'\u201d\u2019)\]*_]*\s+|\n+|[\u3002\uff01\uff1f]"
)
WRAPPED = re.compile(r"(?<=[^\n.!?:|])\n(?=[a-z])")  # an editor's line break, not a sentence's end
LEAD = re.compile(r"^[\s>*+#|-]*(?:\d{1,3}[.)]\s+)?(?:[QA]:\s*)?")
BREAKS = frozenset(',;:()\u2013\u2014.!?|"\u201c\u201d')
CLAUSE_ENDS = frozenset(";:.!?|")  # not a comma: what is put between commas does not end a scope
CLAUSE_WORDS = frozenset(
    "but although though whereas while because since if unless when so".split()  # noqa: SIM905  as below
)
DOES = frozenset({"do", "does", "did", "doing", "done"})  # "do so" repeats a verb
SO = frozenset({"to", "far", "much", "many", "little", "few", "long", "called", "on"})
SCOPE = 4
NEAR = 3  # content words to either side
NEGATIONS = frozenset(
    """not never no none neither nor nobody nothing nowhere without cannot
    lacks lack lacked rarely seldom hardly scarcely""".split()  # noqa: SIM905  a list of words is read as words
)
AFFIRMS = frozenset(  # behind a negation: "not only", "no fewer than", "no doubt"
    "only just merely simply least fewer less more later earlier sooner doubt matter".split()  # noqa: SIM905  as above
)
IDIOMS = re.compile(
    r"\b(?:in short|at (?:long )?last|at first|first of all|in the first place|of course|a little"
    r"|a few|so far|as (?:long|far|soon|little|much) as|in the end|end up|in the long run|early on"
    r"|right away|at (?:best|worst)|more (?:precisely|exactly|specifically|generally"
    r"|importantly)|what is more|more or less|up to|over time|all over|quite a (?:few|lot)"
    r"|no longer than|sooner or later)\b",
    re.IGNORECASE,
)
FUNCTION: Final = frozenset(
    """a an the this that these those my your his her its our their of in on at by for from to with
    into onto upon within about as and or but so if then than also too very quite rather just
    is are was were be been being am do does did done has have had having will would shall should
    can could may might must ought i you he she it we they me him them us who whom whose which
    what when where why how there here it's that's such some any each both one ones other another
    own only even still yet however therefore thus hence because since while although though
    whereas indeed moreover furthermore q a s t don doesn didn isn aren wasn weren won wouldn
    couldn shouldn hasn haven hadn ain""".split()  # noqa: SIM905  as above
)
BOUNDS = (  # said in many ways, each of which has words that mean something else alone
    (re.compile(r"\bat (?:the )?(?:very )?least\b|\bno (?:less|fewer) than\b"), "at-least"),
    (re.compile(r"\bat (?:the )?(?:very )?most\b|\bno more than\b"), "at-most"),
)
PREFIXES = ("un", "non", "in", "im", "il", "ir", "dis")
UNLESS = frozenset(  # these are no negations of what follows the prefix
    """improve increase indeed inform inside install intake into invaluable invent inflame impress
    import impact imprint implant display discover disclose discharge dispose dispatch disease
    discuss district discount discourse displace until under union unit unite""".split()  # noqa: SIM905  as above
)
LEAST_PREFIXED = 4
AUXILIARY = re.compile(r"(?:n['\u2019]t)$")
SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ied", "ies", "ed", "es", "ly", "ment", "s")
STEM_CHARS = 7


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence."""

    text: str
    words: frozenset[str]
    """Stems of its content words, numbers as written."""
    denied: frozenset[str]
    """Those in the scope of an odd number of negations."""
    tokens: tuple[str, ...]
    """All its words in lower case and in order, function words too, without idioms."""
    negations: int
    names: frozenset[str]
    """Its numbers and the capitalised words inside it: what can be exchanged for another's."""

    def near(self, word: str) -> frozenset[str]:
        """The stems of the content words that stand close to a word."""
        said = [token for token in self.tokens if token == word or token not in FUNCTION]
        found: set[str] = set()
        for at, token in enumerate(said):
            if token == word:
                found.update(map(stem, said[max(0, at - NEAR) : at + NEAR + 1]))
        return frozenset(found - {stem(word)})


@cache
def stem(word: str) -> str:
    """The beginning that the forms of a word share, roughly: "borrowed" and "borrows" are one."""
    if not word.isalpha():
        return word.replace(",", "")
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            word = word[: -len(suffix)]
            break
    word = word.removesuffix("e") if len(word) > 4 else word
    if len(word) > 4 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:STEM_CHARS]


def statements(text: str, *, least: int, most: int) -> list[Statement]:
    """The sentences with at least `least` content words, at most `most` of them, in order."""
    found: list[Statement] = []
    for part in END.split(WRAPPED.sub(" ", LINK.sub(" ", text))):
        if len(found) >= most:
            break
        if part and not part.lstrip().startswith(("#", "<")):
            one = _statement(LEAD.sub("", part)[:2_000])
            if len(one.words) >= least:
                found.append(one)
    return found


def _statement(text: str) -> Statement:
    words, names = set(), set()
    negations = 0
    denials: dict[str, bool] = {}
    left = 0
    tokens: list[str] = TOKEN.findall(text)
    for at, token in enumerate(tokens):
        if token in BREAKS:
            left = 0 if token in CLAUSE_ENDS else left
            continue
        low = token.lower().replace("\u2019", "'")
        if low in CLAUSE_WORDS and not (low == "so" and _is_adverb(tokens, at)):
            left = 0
        negates = low in NEGATIONS or AUXILIARY.search(low) is not None
        if negates and not (at + 1 < len(tokens) and tokens[at + 1].lower() in AFFIRMS):
            left = SCOPE
            negations += 1
            continue
        if low in FUNCTION or (len(low) < 2 and not low.isdigit()):
            continue
        for piece in low.removesuffix("'s").split("-"):
            if not piece or piece in FUNCTION:
                continue
            key = stem(piece)
            words.add(key)
            denials[key] = denials.get(key, False) ^ (left > 0)
        if token[0].isdigit() or (at and token[0].isupper()):
            names.add(stem(low.removesuffix("'s")))
        left = max(0, left - 1)
    denied = frozenset(key for key, is_denied in denials.items() if is_denied)
    plain = IDIOMS.sub(" ", text.lower().replace("\u2019", "'"))
    for bound, name in BOUNDS:
        plain = bound.sub(name, plain)
    return Statement(
        text.strip(),
        frozenset(words),
        denied,
        tuple(token.removesuffix("'s") for token in TOKEN.findall(plain) if token not in BREAKS),
        negations,
        frozenset(names),
    )


def _is_adverb(tokens: list[str], at: int) -> bool:
    """Whether this "so" begins no clause: "do so", "so far", "so to speak"."""
    before, after = tokens[max(at - 1, 0)].lower(), "".join(tokens[at + 1 : at + 2]).lower()
    return before in DOES or after in SO


@cache
def opposites() -> dict[str, frozenset[str]]:
    """Each word of `opposites.txt` with those that say the opposite."""
    found: dict[str, set[str]] = {}
    for line in (Path(__file__).parent / "opposites.txt").read_text("utf-8").splitlines():
        if "|" in line and not line.startswith("#"):
            one, other = ([word.strip() for word in side.split(",")] for side in line.split("|"))
            for first, second in ((one, other), (other, one)):
                for word in first:
                    found.setdefault(word, set()).update(second)
    return {word: frozenset(others) for word, others in found.items()}


def opposed(word: str, other: str) -> bool:
    """Whether two words say the opposite of each other, by the table or by their form.

    By form: one is the other behind a prefix that negates ("unhealthy"), or both are made from one
    word with "-ful" and "-less".
    """
    if other in opposites().get(word, ()):
        return True
    short, long = sorted((word, other), key=len)
    if len(short) >= LEAST_PREFIXED and long.endswith(short):
        return long.removesuffix(short) in PREFIXES and not _is_root(long)
    for one, two in ((word, other), (other, word)):
        root, less, rest = one.partition("less")
        if less and len(root) >= 3 and two == f"{root}ful{rest}":
            return True
    return False


def _is_root(word: str) -> bool:
    """Whether what looks like a prefix is none."""
    return any(stem(word).startswith(stem(one)) for one in UNLESS)
