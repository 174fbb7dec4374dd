"""Whether a text asks for anything: a prompt does, an answer and a refusal do not."""

from __future__ import annotations

import re

from synth.generate.elimination.endings import DATA_LINE
from synth.generate.elimination.languages import QUOTED
from synth.generate.elimination.words import SENTENCE_END, words

ENDS = (".", "!", "?", ":", '"', "”", ")")
FENCE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
QUESTIONS = frozenset("who what when where why which whose whom how".split())  # noqa: SIM905  a list of words is read as words
# what people open a request with, in the imperative
COMMANDS = frozenset(
    """act add address allow analyse analyze annotate answer apply argue arrange ask assess assign
    assume avoid base begin brainstorm break bring build calculate categorise categorize challenge
    check choose cite clarify classify close collect combine come comment compare compile complete
    compose compute conclude condense consider construct continue contrast convert convince
    correct count cover create criticise critique decide deduce define demonstrate derive describe
    design detect determine develop devise diagnose differentiate discuss distinguish divide do
    draft draw edit elaborate enumerate estimate evaluate examine explain explore express extend
    extract fill find finish fit fix focus follow forecast formulate frame generate give group
    guess guide help highlight hypothesise hypothesize identify ignore illustrate imagine
    implement improve include infer integrate interpret interview introduce invent investigate
    join judge justify keep label lay leave let limit link list look make map mark match measure
    mention merge model modify name narrate number offer open optimise optimize order organise
    organize outline paraphrase parse perform persuade pick picture plan play please plot point
    predict prepare present pretend print prioritise prioritize probe produce proofread propose
    prove provide pull put quote rank rate read reason recall recognise recognize recommend
    reconcile recount reduce refactor refer refute relate remember remove replace report research
    respond restate restrict retrieve return review revise rewrite roleplay round rule say scan
    search select separate sequence set settle share show simplify simulate sketch solve sort
    specify spell spot start state structure study suggest summarise summarize support suppose
    swap tabulate take teach tell test think tie trace transform translate treat trim troubleshoot
    try turn type underline unscramble update use using validate verify visualise visualize walk
    weigh work write""".split()  # noqa: SIM905  a list of words is read as words
)
CUES = re.compile(
    r"\?|\b(?:you|your|please|help me|tell me|i (?:want|need|would like|'d like)|let us|"
    r"(?:answer|reply|response|text|reader|paragraph|solution|result|output)s?\b[^.?!]{0,40}"
    r"\b(?:must|should|needs? to|has to|have to|is to|are to|may not)|"
    r"(?:must|should|needs? to|has to) (?:be|have|return|include|contain|fit|use|say|answer|"
    r"explain|give|mention|name|show|open|end|begin|keep|stay|take|handle|work|run))\b",
    re.IGNORECASE,
)


def asking_share(text: str) -> float:
    """The share, 0 to 1, of the text's sentences that ask or demand; 0 for an empty text.

    Quotes, tables, lists and code are left out: they are what is asked about.
    """
    found = [part for part in prose(text) if words(part)]
    return sum(map(asks, found)) / len(found) if found else 0.0


def prose(text: str) -> list[str]:
    """The sentences of the text's prose, quotes shortened to a mark."""
    lines = QUOTED.sub('"…"', FENCE.sub("\n", text)).split("\n")
    spoken = [
        line
        for at, line in enumerate(lines)
        if not at or (line.rstrip().endswith(ENDS) and not DATA_LINE.match(line))
    ]
    return [part for line in spoken for part in SENTENCE_END.split(line)]


def asks(sentence: str) -> bool:
    """Whether an English sentence is a question, a command, or speaks to the one who answers."""
    if CUES.search(sentence):
        return True
    said = words(sentence)
    # a clause may stand before the command: "In two lines, explain …"
    heads = [said[0]] if said else []
    heads += [found[0] for part in sentence.split(",")[1:3] if (found := words(part))]
    if len(said) > 1 and said[0] in ("then", "finally", "also", "first", "and", "now", "next"):
        heads.append(said[1])
    return any(head in COMMANDS for head in heads) or (bool(said) and said[0] in QUESTIONS)
