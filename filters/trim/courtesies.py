"""The words of courtesies: sentences about the exchange, not about the subject.

They are matched with one sentence in lower case, mostly from its beginning. Written after 264
labelled openers and sign-offs of 31 models (AlpacaEval), where F1 is 0.94 and 0.91: figures of the
rows they were written on, so others may be lower. A logistic regression over the hashed words of
these sentences, alone, reached 0.66 and 0.75 out of fold in one short trial: too few rows.
"""

from __future__ import annotations

import re


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
"""What may stand before a courtesy, and is none alone."""
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
"""Cut only with the offer behind it: "I cannot …, but I can …" hides no refusal."""
OF_YOU = re.compile(
    r"\b(?:do you (?!know\b|have\b)|you(?:'ve| do| use| feel| think)\b)", re.IGNORECASE
)
"""Prompts that ask about the one who answers: what it cannot do is then an answer."""
OFFERS = re.compile(
    r"\bi(?: can| could|(?: will|'ll) (?:be|do|try|help|provide))\b(?!'| not\b| only\b)"
    r"(?!.*\b(?:if you|(?:tell you|suggest|say|confirm) that)\b)"  # a condition, an answer
)
HELPS = re.compile(r"i can (?:\w+ )?(?:help|provide)\b")
HERE = r"(?:here(?:'s| is| are)|below (?:is|are)|let(?:'s| me))\b"
LEADS_IN = _begins(
    # a comma or bracket behind "here is" tells of the subject: "here is okroshka, a cold soup:"
    rf"(?:[^.!?]{{0,120}}, ?(?:but )?)?{HERE}[^,(]*$",
    r"it(?:'s| is| sounds| seems) (?:\w+ )?(?:understandable|you(?:'re|'ve)?)\b",
    r"you can\b.*:$",
)
"""Cut only behind a courtesy: a list needs its bare lead-in."""
HANDS_OVER = re.compile(
    r"here(?:'s| is) (?:the|an?|my|your) (?:[\w-]+ ){0,3}"
    r"(?:version|rewrite|response|translation|summary|text)\b[^.!?]*:$"
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
"""Cut only beside one that asks back: "Enjoy!" may be the last line of a recipe."""
REMARKS = re.compile(
    r"i(?:'ve| have)? (?:also )?(?:tried|included|provided|used|kept|made|wrote|added)\b"
)
"""A paragraph that begins so and ends by asking back is about the answer."""
OF_THE_ANSWER = re.compile(r"\b(?:i|i'm|i've|me|my|above)\b")

SPEAKS_AS = re.compile(
    r"\b(?:e-?mail|letter|message|invitation|chat|dialogue|conversation|screenplay|speech|persona"
    r"|customer|post|tweet|a reply|interview|act as|act like|pretend|role of|role-?play|imagine"
    r"|you are (?:an?|the|my)(?! ai))\b",
    re.IGNORECASE,
)
"""Prompts whose answer may say "I" and "you" as somebody else."""
YES_OR_NO = re.compile(
    r"(?:^|[.!?\n]\s*)(?:is|are|was|were|do|does|did|has|have|had|should|will|may|might|must|am"
    r"|(?:can|could|would) (?!you))\b[^.!?\n]*\?\W*$",
    re.IGNORECASE,
)
"""Prompts that "Absolutely!" answers."""
