"""What stands around, or in place of, the prompt that the teacher was asked to write.

Only what is sure: meaning is the judge's to decide (`gain`). What the parent says is not held
against its child.
"""

from __future__ import annotations

import re

from synth.characters import words_of
from synth.generate.elimination.pool import shingles

COPIED_WORDS = 8  # in a row: no coincidence, see `filters.grounding.copying`
# Source: arXiv:2304.12244, section 3.3, and the labels and tags of our own prompt files.
LABELS = re.compile(
    r"</?(?:prompt|constraint)>|#[^#\n]{0,40}(?:prompt|instruction)[^#\n]{0,10}#"
    r"|\b(?:given|new|rewritten|evolved|revised|original) (?:prompt|instruction)\b.{0,3}[:#]",
    re.IGNORECASE,
)
# what a chat template puts between turns
CONTROL = re.compile(
    r"<[|\uff5c][^<>\n]{1,40}[|\uff5c]>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?s>"
    r"|^#{2,} ?(?:response|instruction|human|user|assistant|system)\W*$",
    re.IGNORECASE | re.MULTILINE,
)
WRAPPED = re.compile(
    r"\s*(?:\{\s*[\"']\w+[\"']\s*:.*\}|```.*```|(\*\*|__)(?:(?!\1).)+\1)\s*", re.DOTALL
)
OPENER = re.compile(
    r"\W*(?:sure|certainly|absolutely|of course|great question)\b ?[!,.:]"
    r"|\W*here(?:'s| is) [^.\n]{0,80}\b(?:prompt|version|question|rewrite)\b[^.\n]{0,80}:",
    re.IGNORECASE,
)
SIGN_OFF = re.compile(
    r"\b(?:i hope (?:this|that|it)|let me know if (?:you'd like|you would like|you need)"
    r"|feel free to ask|would you like me to)\b[^\n]{0,120}\Z",
    re.IGNORECASE,
)
QUOTED = re.compile(r"\"[^\"\n]*\"|“[^“”\n]*”|«[^«»\n]*»|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`")

DO = (
    r"(?:assist|help(?! but)|provide|give(?! up)|offer|answer|discuss|engage|fulfil+|comply"
    r"|write|"
    r"create|generate|produce|rewrite|continue|complete|respond|comment|advise|share|go into|"
    r"carry out|take part|do that|do this|evolve|proceed|support|process|participate|go on"
    r"|address|tell you|say (?:any ?(?:thing|more)|more)|verify (?:any|the|this|what)|give you"
    r"|go any"
    r"|fulfil|elaborate|help you|cover (?:this|that|the|all)|do (?:all of|everything|any|more|so)"
    r"|reveal|disclose|be of)"
)
NOT = (
    r"(?:can't|cannot|can not|won't|will not|couldn't|am unable to|'m unable to|'m not able to"
    r"|am not able to|refuse to|am not allowed to|'m not allowed to|'m not permitted to|am not "
    r"permitted to|am not willing to|'m not willing to)"
)
REFUSED = re.compile(
    r"\bas an ai\b|\b(?:an? |ai )language model\b|how (?:can|may) i (?:assist|help)"
    rf"|(?<!imagine that )(?<!suppose that )(?<!imagine )(?<!suppose )(?<!if )(?<!when )\bi(?: "
    rf"\w+)? ?{NOT}(?: \w+)? {DO}\b(?! (?:my|up|it |out\b))"
    r"|\bi(?:'m| am)? (?:\w+ )?(?:must|will have to|have to|need to|would rather|'d rather"
    r"|prefer to|shall) (?:\w+ )?"
    r"(?:decline|refrain|refuse|pass on|turn (?:it|this|that) ?down|not (?:go|answer|discuss"
    r"|write)|avoid (?:this|that|it)|leave it there)\b"
    r"|\b(?:i|we) (?:\w+ )?decline\b|\bi won't do that\b"
    r"|\b(?:subject|topic|thing|one|matter)s? (?:that )?i (?:have to|must|need to|cannot|can't"
    r"|will not|won't|am not able to|'m not able to|'m not)\b"
    r"|\bnot (?:comfortable|something i)\b|\b(?:do|don't|not) feel comfortable\b"
    r"|\b(?:guidelines|polic(?:y|ies)|rules|principles)\b[^.!?]{0,25}\b(?:do(?:es)? not|don't"
    r"|doesn't|forbids?|prevents?|prohibits?|allow|follow|permit|can't)\b"
    r"|\b(?:outside|beyond|exceeds) (?:of )?(?:what i (?:can|may|do)|my (?:guidelines|role"
    r"|limits|abilities)|them\b)"
    r"|\b(?:cannot|can't|can not|could not) be (?:completed|answered|given|created|fulfilled"
    r"|provided|generated|produced|done here)\b"
    r"|\bno answer (?:can|could|will) be given\b"
    r"|\b(?:not|never|hardly) be (?:appropriate|right|proper|responsible) for me\b"
    r"|\bi (?:do not|don't) (?:currently )?have (?:any )?(?:access|personal|opinions)|\bi have "
    r"no access\b|\bwhich i do not have\b"
    r"|\bcould cause harm\b|\bwe should stop here\b|\bi will not attempt\b|\bi won't be (?:able"
    r"|producing)"
    # able, permitted, qualified: the one who replies speaks of what it may do
    r"|\bi(?:'m| am) (?:not|un)\s?(?:\w+ )?(?:able|permitted|allowed|authori[sz]ed|qualified"
    r"|equipped"
    r"|designed|programmed|in a position|supposed) to (?:tell|give|do (?:all|this|that|so|more)"
    r"|say|cover"
    r"|share|advise|judge|verify|answer|write|help|go|provide|discuss|continue|complete|comment)\b"
    r"|\b(?:outside|beyond|exceeds?) (?:of )?(?:what i(?:'m| am)|my (?:\w+ )?(?:abilit|knowledge"
    r"|scope|remit|expertise|capabilit|training|competence))"
    r"|\b(?:not|isn't|aren't) within (?:my|what i)\b|\bmy knowledge (?:ends|stops)\b"
    r"|\bi (?:should not|shouldn't|ought not to|must not|mustn't) (?:\w+ )?(?:be )?(?:writ|answer"
    r"|do this|help|say|discuss|continu|provid|shar|produc)\w*\b"
    r"|\bi (?:have to|must|will|need to|should) (?:\w+ )?(?:withdraw|retract|stop here|end here"
    r"|leave it (?:here|there|at that)|break off)\b|\bas far as i can go\b"
    # left out by rule, with or without an "I"
    r"|\b(?:left out|omitted|removed|withheld|redacted|skipped|blocked|filtered|cannot be (?:shown"
    r"|included))\b[^.!?]{0,50}\b(?:polic(?:y|ies)|guidelines|safety|harm\w*|restrictions?"
    r"|regulations|inappropriate|sensitive)\b|\bcontent polic(?:y|ies)\b"
    r"|\bdoing you (?:a|no) (?:disservice|favou?rs?)\b"
    r"|\bbeing a responsible assistant\b|\bspeak to (?:someone|a person) who is trained\b"
    r"|\b(?:please )?consult (?:a|an) (?:\w+ )?(?:professional|expert|specialist) (?:about"
    r"|instead|for)\b"
    r"|\b(?:something|what|requests? of this (?:sort|kind)) (?:\w+ )?(?:i|ones i) (?:have to"
    r"|must|need to) (?:decline|turn down|refuse)"
    r"|\b(?:because of|owing to|according to) (?:the |my )?(?:rules|guidelines|polic(?:y|ies)"
    r"|limits|standards|instructions)\b"
    r"|\bi must turn down\b|\bthere are limits to what i\b|\bunable to (?:fulfil+|help|assist"
    r"|comply|provide)\b"
    r"|\bi(?:'m| am) (?:sorry|afraid),? (?:but |that )?i (?:\w+ )?(?:can|could|am|'m|do|will"
    r"|won't)",
    re.IGNORECASE,
)
SORRY = re.compile(
    r"(?:^|[.!?]\s)\W{0,9}(?:\w+ )?sorry\b|\b(?:i am|i'm) (?:\w+ )?sorry\b", re.IGNORECASE
)
SORRY_WORDS = 80  # arXiv:2304.12244: "sorry" in fewer words is a refusal


def wrapped(text: str) -> bool:
    """Whether the whole prompt is in markup, or it has the marks of a chat template."""
    return bool(WRAPPED.fullmatch(text) or CONTROL.search(text))


def copied(text: str, beside: str, told: str) -> bool:
    """Whether the prompt has labels of the instruction, or a run of its words (`told`)."""
    if LABELS.search(text) and not LABELS.search(beside):
        return True
    runs = shingles(told, COPIED_WORDS) - shingles(beside, COPIED_WORDS)
    return not runs.isdisjoint(shingles(text, COPIED_WORDS))


def refused(text: str) -> bool:
    """Whether the teacher declines, in whole or in part."""
    plain = QUOTED.sub(" ", text.replace("\u2019", "'"))
    sorry = len(words_of(text)) < SORRY_WORDS and SORRY.search(plain)
    return bool(sorry or REFUSED.search(plain))


def framed(text: str) -> bool:
    """Whether the teacher speaks to its asker before or after the prompt."""
    plain = text.replace("\u2019", "'")
    return bool(OPENER.match(plain) or SIGN_OFF.search(plain[-300:]))
