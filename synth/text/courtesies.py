"""Finds the courtesies of an answer: the end of its opener and the start of its sign-off.

    "Certainly! Here is a haiku:\\n\\nRain taps on the roof …\\n\\nLet me know if you want another."
     --------- opener ----------                              ------------ sign-off ------------

Sentences are judged from both ends inwards, up to the first that is not a courtesy. The patterns
match one sentence in lower case, mostly from its beginning. They were written for 264 labelled
openers and sign-offs of 31 models (AlpacaEval), on which F1 is 0.93 and 0.91; on other rows it may
be lower. A logistic regression over the hashed words of these sentences reached only 0.66 and 0.75
out of fold, because there are too few rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from synth.text.markdown import QUOTED, blocks, without_blocks
from synth.text.sentences import sentence_spans


def _begins(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for phrase in phrases))


AGREE = (
    r"(?:sure(?: thing)?|certainly|absolutely|definitely|of course|ok(?:ay)?|alright|gladly"
    r"|got it|no (?:problem|worries)|here you go)"
)
AGREES = re.compile(rf"{AGREE}[!.,]", re.IGNORECASE)
YES = re.compile(
    rf"(?:{AGREE}|great|oh no|yes|hello|hi|hey|greetings)\b(?: there)?[,.!:\u2013\u2014 ]+",
    re.IGNORECASE,
)
"""Words that may come before a courtesy but are not a courtesy alone."""
SUBJECT = r"(?:question|request|topic|concept|idea|word|challenge|goal)\b"
COURTESY = _begins(
    r"i(?:'m| am|'d| would) (?!not)(?:\w+ ){0,3}(?:happy|glad|delighted|excited|sorry|love|here)"
    r" (?:to|that|you)\b(?!.*\bi\b)",
    r"(?:happy|glad) to help",
    r"(?:thank you|thanks)(?: so much)? for (?:asking|reaching|sharing|(?:the|your) question)",
    r"let me help you\b",
    rf"(?:what|that's|quite) an? [^.?\n:]{{0,50}}\b{SUBJECT}",
    rf"(?:great|good|interesting) {SUBJECT}",
    r"(?:that's great|congratulations)\b",
)
ASSISTANT = r"\b(?:ai|assistant|language model|artificial intelligence)\b"
IS_ASSISTANT = re.compile(ASSISTANT, re.IGNORECASE)
AS_AN_AI = rf"as an? [\w -]{{0,20}}{ASSISTANT}"
I_AM = re.compile(rf"(?:{AS_AN_AI}[^.!?]{{0,80}})?\bi\b")
NOT_ABLE = re.compile(
    r"\bi(?: cannot| can't| do not| don't|(?: am|'m) (?:unable|not))\b"
    rf"|\bi(?: am|'m) an? [\w -]{{0,20}}{ASSISTANT}|{AS_AN_AI} without\b"
)
"""Cut only together with an offer after it, as in "I cannot …, but I can …", so that no refusal is
hidden."""
OF_YOU = re.compile(
    r"\b(?:do you (?!know\b|have\b)|you(?:'ve| do| use| feel| think)\b)", re.IGNORECASE
)
"""Prompts that ask about the assistant. A statement of its limits is then part of the answer."""
OFFERS = re.compile(
    r"\bi(?: can| could|(?: will|'ll) (?:be|do|try|help|provide))\b(?!'| not\b| only\b)"
    r"(?!.*\b(?:if you|(?:tell you|suggest|say|confirm) that)\b)"  # a condition, an answer
)
HELPS = re.compile(r"i can (?:\w+ )?(?:help|provide)\b")
HERE = r"(?:here(?:'s| is| are)|below (?:is|are)|let(?:'s| me))\b"
LEADS_IN = _begins(
    # after "here is", a comma or bracket shows the subject: "here is okroshka, a cold soup:"
    rf"(?:[^.!?]{{0,120}}, ?(?:but )?)?{HERE}[^,(]*$",
    r"it(?:'s| is| sounds| seems) (?:\w+ )?(?:understandable|you(?:'re|'ve)?)\b",
    r"you can\b.*:$",
)
"""Cut only after a courtesy, because a list needs a lead-in that stands alone."""
HANDS_OVER = re.compile(
    r"here(?:'s| is) (?:the|an?|my|your) (?:[\w-]+ ){0,3}"
    r"(?:version|rewrite|response|translation|summary|text|prompt|question)\b[^.!?]*:$"
)
ABOUT = re.compile(r", which is an?\b")  # "a Chola sandwich, which is a popular dish"

ASKS = r"(?:feel free|(?:don't|do not) hesitate) to (?:ask|let me know|reach out|contact me)"
ASKS_BACK = _begins(
    r"(?:i )?hope (?:th\w+|it|you)\b",
    r"(?:please |just )?let me know\b",
    # "reach out to the manufacturer", "ask for help" is advice
    rf"(?:please )?{ASKS}\b(?! (?:(?:to|with) )?(?:the|your|an?|for)\b)",
    rf".*\b{ASKS}\W*$",
    r"if you(?:'d like| would like| want| need)\b.*\bi can\b",
    r"if (?:you|there)\b.*\b(?:let me know|ask(?: me)?\W*$|reach out\W*$"
    r"|i(?:'d|'ll| can| could| would| will) (?:be|do|try|help|assist|provide|give)\b)",
    r"(?:good luck|enjoy)\b.*\blet me know\b",
    r"i(?:'m|'d be| am| would be) (?:here|happy|glad) (?:if you|to (?:help|assist))\b",
    r"is there (?:any|some)thing\b.*\?",
    r"(?:do you have )?any\b.*\bquestions?\b.*\?",
    r"(?:would you like|(?:do you )?want me to|how (?:can|may) i|shall i|what else"
    r"|wh\w+ (?:\w+ )?would you like to (?:know|hear|learn))\b.*\?",
    r"(?:is|does|how does) (?:this|that) (?:what|the|help|work|sound)\b.*\?",
)
WISHES = _begins(r"(?:enjoy|(?:good|best of) luck|have (?:a|fun)|happy \w+ing)\b")
"""Cut only next to a sentence that asks back: "Enjoy!" may be the last line of a recipe."""
REMARKS = re.compile(
    r"i(?:'ve| have)? (?:also )?(?:tried|included|provided|used|kept|made|wrote|added)\b"
)
"""The start of a remark about the answer, if the same paragraph ends by asking back."""
OF_THE_ANSWER = re.compile(r"\b(?:i|i'm|i've|me|my|above)\b")

SPEAKS_AS = re.compile(
    r"\b(?:e-?mail|letter|message|invitation|chat|dialogue|conversation|screenplay|speech|persona"
    r"|customer|post|tweet|a reply|interview|act as|act like|pretend|role of|role-?play|imagine"
    r"|you are (?:an?|the|my)(?! ai))\b",
    re.IGNORECASE,
)
"""Prompts whose answer may say "I" and "you" in another person's voice."""
YES_OR_NO = re.compile(
    r"(?:^|[.!?\n]\s*)(?:is|are|was|were|do|does|did|has|have|had|should|will|may|might|must|am"
    r"|(?:can|could|would) (?!you))\b[^.!?\n]*\?\W*$",
    re.IGNORECASE,
)
"""Prompts to which "Absolutely!" is an answer."""


HEAD_CHARS = 1_500
TAIL_CHARS = 900
TASK_CHARS = 250  # at each end of a prompt, where the task is; the middle may be material
MOST_SENTENCES = 5  # in an opener or a sign-off


class Sentence(NamedTuple):
    """A sentence's position in a text, and its words in lower case with straight quotes."""

    start: int
    end: int
    words: str
    """"" for an emoji alone, "-" for anything that is not a sentence of prose."""


CLOSES = re.compile(
    r"[\"'\u201d\u2019)\]}>|`]$"
)  # closes a quotation or bracket that began earlier
# lists, tables, quotations, code, headings and the turns of a dialogue are content
NOT_PROSE = re.compile(r"\s*(?:[-+\u2022>|#`~]|\* |\d{1,3}[.)]|\w[\w .'-]{0,30}:\s+\S)")
INLINE_COLON = re.compile(r":\s+\S")
EMOJI = r"\u2190-\u2bff\u200d\ufe0f\U0001f000-\U0001faff"
EMOJI_AROUND = re.compile(rf"\A[\s*_{EMOJI}]+|[\s*_{EMOJI}]+\Z")
EMOJI_BEHIND = re.compile(rf"\s*[{EMOJI}]+")
WORD_CHARACTER = re.compile(r"\w")
ENDS = (".", "!", "?", "\u2026")

POINTS_BACK = re.compile(r"\s*(?:this|these|those|if (?:so|an?|the|it))\b")
CONTRASTS = re.compile(r"\s*(?:however|but|that said|instead)\b")
FIRST_PERSON = re.compile(r"\b(?:I|[Mm][ey]|[Oo]ur|us)\b")
VERSE_ABOVE = re.compile(r"^(?![-+*>|#\d])[^\n]*[\w,]\n\Z", re.MULTILINE)
SALUTATION = re.compile(
    r"^[^\w\n]*(?:dear\b|subject:|to whom\b|(?:hi|hello)\b[^\n]{0,40},$)",
    re.IGNORECASE | re.MULTILINE,
)
SIGNED = re.compile(r"\n[^\w\n]{0,5}[\w ]{3,30},[^\w\n]{0,5}\n{1,3}[^\n]{1,60}\n")


def ends(text: str, prompt: str = "") -> tuple[int, int]:
    """The start and end of the answer between its opener and its sign-off.

    Returns 0 and the text's length if it has neither, or if only a question would remain.
    """
    prompt = prompt[:TASK_CHARS] + "\n" + prompt[TASK_CHARS:][-TASK_CHARS:] if prompt else ""
    start, end = _opener_end(text, prompt), _sign_off_start(text)
    cut, rest = text[:start].strip().lower(), text[start : start + TASK_CHARS].lower()
    if _hangs_on(cut, rest) or _limits(cut, rest, prompt):
        start = 0
    body = text[start:end].lstrip()
    greeting = YES.match(body)
    asks = body.rstrip().endswith("?") and "\n" not in body.rstrip()
    if asks or start >= end or not WORD_CHARACTER.search(body, greeting.end() if greeting else 0):
        return 0, len(text)
    found = blocks(body)
    in_code = found and not found[-1].closed and (found[-1].language or len(found) == 1)
    letter = SALUTATION.search(body) or (_speaks(prompt) and FIRST_PERSON.search(_own_words(body)))
    return start, len(text) if in_code or (letter and not SIGNED.search(body)) else end


def has_courtesies(text: str) -> bool:
    """Whether a text has an opener or a sign-off, which is typical of a reply, not of a prompt."""
    return ends(text) != (0, len(text))


def _hangs_on(cut: str, rest: str) -> bool:
    """Whether the rest refers to the cut part: "This behaviour …", "If so, …"."""
    return not AGREES.fullmatch(cut) and POINTS_BACK.match(rest) is not None


def _limits(cut: str, rest: str, prompt: str) -> bool:
    """Whether the cut part states a limit that belongs to the answer.

    It does if the prompt asks about the assistant, or if the rest contrasts with the limit
    ("However, …").
    """
    return NOT_ABLE.search(cut) is not None and bool(OF_YOU.search(prompt) or CONTRASTS.match(rest))


def _opener_end(text: str, prompt: str) -> int:
    cut = 0
    waiting = offered = False  # a greeting or an apology is cut only if an offer follows
    for nth, one in enumerate(_sentences(text, 0, min(len(text), HEAD_CHARS))):
        if nth == MOST_SENTENCES or INLINE_COLON.search(one.words) or ABOUT.search(one.words):
            break
        if one.words and not one.words.endswith((*ENDS, ":")):
            break  # a verse
        claim = YES.sub("", one.words, count=1) if YES.match(one.words) else one.words
        answers = one.words.startswith("yes")  # "Yes, here are …", "Yes, I can write code."
        eager = (claim != one.words and not answers) or waiting or cut > 0 or NOT_ABLE.match(claim)
        if COURTESY.match(claim) or COURTESY.match(one.words):
            cut, waiting, offered = one.end, False, False
        elif OFFERS.search(claim) and (eager or _is_own_offer(claim)):
            cut, waiting, offered = one.end, False, True
        elif AGREES.fullmatch(one.words):
            if YES_OR_NO.search(prompt):
                break
            cut = one.end
        elif HANDS_OVER.match(claim) or (
            eager and not answers and "\n\n" not in text[cut : one.start] and LEADS_IN.match(claim)
        ):
            cut = one.end
            if claim.endswith(":"):
                break
        elif not claim or (NOT_ABLE.search(claim) and not cut):
            waiting = True
        else:
            if offered and I_AM.match(one.words):
                return 0  # the answer is about the assistant
            agreement = AGREES.match(text, one.start)
            if agreement and re.match(HERE, claim):
                cut = agreement.end()
            break
    paragraph = text[cut : cut + HEAD_CHARS].partition("\n\n")[0]
    if _speaks(prompt) and FIRST_PERSON.search(_own_words(paragraph)):
        return 0
    if SPEAKS_AS.search(prompt) and not (AGREES.match(text) or IS_ASSISTANT.search(text, 0, cut)):
        return 0
    emoji = EMOJI_BEHIND.match(text, cut) if cut else None
    return emoji.end() if emoji else cut


def _is_own_offer(claim: str) -> bool:
    """Whether an offer without a lead-in is the assistant's: it is to "you", follows "As an AI" or
    "I cannot …", or contains "help"."""
    to_you = I_AM.match(claim) and ("you" in claim or claim.startswith("as a"))
    return bool(to_you or NOT_ABLE.match(claim) or HELPS.match(claim))


def _sign_off_start(text: str) -> int:
    start = max(0, len(text) - TAIL_CHARS)
    found = list(_sentences(text, start, len(text)))[-MOST_SENTENCES - 1 :]
    found = found[1:] if start or len(found) > MOST_SENTENCES else found
    cut, asks = len(text), False
    for one in reversed(found):
        if not one.words:
            continue
        if VERSE_ABOVE.search(text, max(0, one.start - TASK_CHARS), one.start):
            break
        if (
            one.words.endswith(ENDS)
            and ASKS_BACK.match(one.words)
            and not INLINE_COLON.search(one.words)
        ):
            cut, asks = one.start, True
        elif WISHES.match(one.words) and "\n\n" not in text[one.end : cut]:
            cut = one.start
        else:
            break
    paragraph = text.rfind("\n", 0, cut) + 1
    remarks = [one for one in found if paragraph <= one.start < cut]
    if remarks and remarks[0].start == paragraph:
        first, *more = (one.words for one in remarks)
        if REMARKS.match(first) or (
            ASKS_BACK.match(first) and all(map(OF_THE_ANSWER.search, more))
        ):
            cut = paragraph
    return cut if asks else len(text)


def _speaks(prompt: str) -> bool:
    """Whether the "I" of the text may be somebody other than the assistant."""
    return not prompt or SPEAKS_AS.search(prompt) is not None


def _own_words(text: str) -> str:
    """The writer's own words: the text without code and quotations."""
    return QUOTED.sub("", without_blocks(text))


def _sentences(text: str, start: int, stop: int) -> Iterator[Sentence]:
    while start < stop:
        end = text.find("\n", start, stop)
        end = stop if end < 0 else end
        line = text[start:end]
        if NOT_PROSE.match(line):
            yield Sentence(start, end, "-")
        elif line.strip():
            for at, stop_at in sentence_spans(line):
                yield _sentence(line, start, at, stop_at)
        start = end + 1


def _sentence(line: str, offset: int, at: int, end: int) -> Sentence:
    raw = line[at:end]
    indent = len(raw) - len(raw.lstrip())
    words = raw.strip(" \t*_").lower()
    if not words.isascii():
        words = EMOJI_AROUND.sub("", words).replace("\u2019", "'")
    if words and (CLOSES.search(words) or not WORD_CHARACTER.search(words)):
        words = "-"
    return Sentence(offset + at + indent, offset + at + len(raw.rstrip()), words)
