"""What stands around, or in place of, the prompt that the teacher was asked to write.

Patterns of whole phrases, since a prompt may use their words in good faith: "I cannot get my router
to work", "Let me know which of the two you would choose". What the parent says is not held against
its child.
"""

from __future__ import annotations

import re

from synth.generate.elimination.languages import QUOTED
from synth.generate.elimination.words import words

# Source: arXiv:2304.12244, section 3.3, and later open implementations.
COPIED = re.compile(
    r"given prompt|rewritten prompt|new prompt\b.{0,3}[:#]|created prompt|</?(?:prompt|constraint)>"
    r"|#[^#\n]{0,40}(?:prompt|instruction)[^#\n]{0,10}#"
    r"|\b(?:evolved|revised|harder|original|initial|updated|resulting) (?:prompt|instruction"
    r"|version)\b.{0,3}(?:[:#]|\bis\b)"
    r"|\b(?:version|variant|copy|rewrite|rewriting) of (?:the|your|this) (?:\w+ )?"
    r"(?:prompt|instruction)\b|\bthe (?:new|evolved|revised|original|initial) prompt\b"
    r"|\badd(?:ed|s|ing)? 10 to 20 words\b|\bthe prompt (?:above|below)\b"
    r"|^\W*(?:prompt|instruction)(?: \d)?\W*:",
    re.IGNORECASE,
)
# both prompts, each behind its label: "Before: … After: …"
PAIRED = re.compile(
    r"^\W*(?:before|old|original|initial|unevolved)\b[^:\n]{0,20}:.+?"
    r"(?:^|[\s*])(?:after|new|evolved|rewritten|revised|harder)\b[^:\n]{0,20}:",
    re.IGNORECASE | re.DOTALL,
)
# What a chat template puts between turns, and what a protocol leaves behind: never part of a turn.
CONTROL = re.compile(
    r"<[|\uff5c][^<>\n]{1,40}[|\uff5c]>|\[/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS)\]|<</?SYS>>"
    r"|<(?:start|end)_of_(?:turn|text|image)>|</?(?:s|bos|eos|pad|unk|sep|think|scratchpad)>"
    r"|\[(?:END|EOS|BOS|EOF|STOP|DONE|OUT|/?ASSISTANT|/?USER|/?SYSTEM)[A-Z _]{0,16}\]"
    r"|^#{2,}\s*(?:response|instruction|input|output|human|user|assistant|system|answer|prompt)\s*:"
    r"\W*$|^#{2,}\s*(?:response|human|user|assistant|system|end)\W*$"
    r"|^\W{0,3}(?:human|user|assistant|system|bot|ai)\W{0,3}:?\W{0,3}\Z"
    r"|^-{3,}\s+[*_]*[a-z][a-z ]{2,20}[*_]*: ?[*_]*(?:done|completed?|finished|ok|success\w*|none"
    r"|n/a|true|yes|ready|final|v?\d[\w.]*)[*_.]*\s*\Z",
    re.IGNORECASE | re.MULTILINE,
)
WRAPPED = re.compile(
    r"^\s*(?:\{\s*[\"']\w+[\"']\s*:|\[\s*[\"'{]|<\w+>|```)|^\s*[\"'](?:prompt|instruction)|</\w+>\s*$"
    r"|&(?:quot|lt|gt|amp|#39);|\\n\S"
    # the whole of it in bold or italics, in a LaTeX box or in quotes
    r"|^\s*(\*{1,3}|_{1,3}|~~)(?=\S)(?:(?!\1).)+\1\s*$|^\s*\$*\\(?:text|boxed|textbf)\{.*\}\$*\s*$",
    re.IGNORECASE | re.DOTALL,
)

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
    r"(?:^|[.!?]\s+)\W*(?:\w+ )?sorry\b|\b(?:i am|i'm) (?:\w+ )?sorry\b", re.IGNORECASE
)
SORRY_WORDS = 80  # arXiv:2304.12244: "sorry" in fewer words is a refusal

YES = (
    r"(?:sure(?: thing)?|certainly|absolutely|definitely|of course|okay|ok|alright|gladly|no "
    r"problem(?: at all)?|got it|understood|with pleasure|yes|right)"
)
MADE = (
    r"(?:prompt|version|rewrite|rewriting|rewritten|revision|instruction|attempt|result|output|"
    r"response|answer|suggestion|reply|text|variant|evolution|possible version|one)"
)
OPENERS = re.compile(
    rf"^\W*{YES} ?!"
    rf"|^\W*{YES} ?[,.:;–-]+ ?(?:here|i\b|i'|let|below|this is|see|happy|glad|the following"
    rf"|working)"
    rf"|^\W*(?:(?:what|that's|that is|this is|such) an? )?(?:\w+ )?(?:great|good|excellent"
    rf"|interesting|fantastic|wonderful|thoughtful|fascinating|lovely) (?:question|prompt"
    rf"|request|topic|challenge|idea)\b"
    rf"|^\W*(?:here(?:'s| is| are)|below (?:is|are|you will find)|the following is|please find) "
    rf"(?:(?:the|your|my|an?|one) )?(?:[\w'-]+ ){{0,4}}?{MADE}\b[^.!?\n]{{0,140}}:"
    r"|^\W*here (?:we go|you go|it is)\b|^\W*here is what i (?:came|have)"
    r"|^\W*(?:alright|ok|okay|so)?,? ?(?:the user (?:wants|asks|is)|let's see\b|let's (?:dive"
    r"|get started|begin)|let me (?:help|take care|rewrite|do|start|think|work))"
    r"|^\W*(?:as (?:you )?(?:requested|asked)|in response to your|per your (?:request"
    r"|instructions)|following your instructions|to make (?:this|the) (?:prompt|question"
    r"|request) (?:harder|more))\b"
    r"|^\W*i(?:'ve| have|'ll| will)(?: now)? (?:\w+ )?(?:rewritten|rewrite|rephrased?|revised?"
    r"|made|prepared?|produced?|created?|evolved?|added|kept|changed|write|turned)\b"
    r"|^\W*(?:the )?(?:output|response|answer|result|rewritten|final version|version \d)\W*:"
    rf"|\b(?:my|the) (?:answer|suggestion|version|attempt|result|output|rewrite) (?:is as "
    rf"follows|follows|reads|is below)\b"
    r"|^\W*(?:the following|this) (?:\w+ ){0,2}(?:response|text|version|prompt|rewrite|question) "
    r"(?:was|is|has been|adds|keeps) (?:written|prepared|rewritten|created|based|now|an?\b"
    r"|the\b)?"
    r"|^\W*(?:thanks|thank you) for (?:asking|your|the|sharing)|^\W*i(?:'d| would) be (?:happy"
    r"|glad|delighted) to"
    r"|^\W*(?:happy|glad|delighted) to (?:help|assist)|^\W*you(?:'re| are) (?:absolutely |quite "
    r"|exactly )?(?:right to ask|asking)"
    r"|^\W*yes, i can\b|^\W*what an? \w+ (?:topic|question|prompt|idea)\b|\blet me do it "
    r"justice\b|\bsee below\.",
    re.IGNORECASE,
)
SIGN_OFFS = re.compile(
    r"(?:\bi |[.!?)}|\]]\s+|^|\n)hope (?:this|that|it) "
    r"(?:\w+ ){0,2}(?:helps?|answers|is what|works|meets|fits)\b[^\n]{0,120}$"
    r"|\blet me know if you(?:'d like| would like| want| need| wish) (?:me to|any|a |an |another"
    r"|more|further|something)[^\n]{0,120}$"
    r"|\bfeel free to (?:ask (?:if|for)|reach out|let me know|request|adjust)[^\n]{0,120}$"
    r"|\b(?:anything|something) else (?:that )?i can (?:help|do)[^\n]{0,60}$"
    r"|\bplease let me know\b[^\n]{0,120}$|\bi trust (?:that )?this (?:meets|is)[^\n]{0,120}$"
    r"|\bwould you like me to\b[^\n]{0,100}$|\b(?:i'm|i am) here to help\W*$|\bhappy to "
    r"(?:adjust|revise|help|refine)\b[^\n]{0,60}$"
    r"|\bthis (?:response|prompt|version|rewrite|text) (?:was|is now|has been|adds|keeps"
    r"|now)\b[^\n]{0,140}$"
    r"|\bjust say the word if you\b[^\n]{0,100}$|\bgood luck with\b[^.?!\n]{0,60}!\W*$"
    r"|(?:^|[.!?]\s+)thank you for (?:reading|the \w+ question|asking)\W*$"
    r"|\b(?:i|i've) (?:have )?(?:added|kept|made|changed|rewrote|rewritten"
    r"|chose)\b[^.!?\n]{0,80}\b(?:prompt|constraint|requirement|original|harder"
    r"|request)\b[^\n]{0,80}$|\bif you need more\b[^\n]{0,60}i'm here[^\n]*$",
    re.IGNORECASE,
)


def wrapped(text: str) -> bool:
    """Whether the prompt stands in markup, or has the marks of a chat template or protocol."""
    return bool(WRAPPED.search(text) or CONTROL.search(text))


def copied(text: str) -> bool:
    """Whether the words of the instruction stand in the prompt, or the prompt beside another."""
    return bool(COPIED.search(text) or PAIRED.match(text))


def refused(text: str) -> bool:
    """Whether the teacher declines, in whole or in part."""
    plain = QUOTED.sub(" ", text.replace("\u2019", "'"))
    sorry = len(words(text)) < SORRY_WORDS and SORRY.search(plain)
    return bool(sorry or REFUSED.search(plain))


def framed(text: str) -> bool:
    """Whether the teacher speaks to its asker before or after the prompt."""
    plain = QUOTED.sub('"…"', text.replace("\u2019", "'")).strip()
    return bool(OPENERS.search(plain[:300]) or SIGN_OFFS.search(plain[-300:]))
