"""What a teacher says around, or in place of, the prompt that it was asked to write.

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
    r"|\bthe (?:new|evolved|revised|original|initial) prompt\b"
    r"|\badd(?:ed|s|ing)? 10 to 20 words\b|\bthe prompt (?:above|below)\b"
    r"|^\W*(?:prompt|instruction)\W*:",
    re.IGNORECASE,
)
WRAPPED = re.compile(
    r"^\s*(?:\{\s*[\"']\w+[\"']\s*:|\[\s*[\"'{]|<\w+>|```)|^\s*[\"'](?:prompt|instruction)|</\w+>\s*$"
    r"|&(?:quot|lt|gt|amp|#39);|\\n\S",
    re.IGNORECASE,
)

DO = (
    r"(?:assist|help(?! but)|provide|give(?! up)|offer|answer|discuss|engage|fulfil+|comply"
    r"|write|"
    r"create|generate|produce|rewrite|continue|complete|respond|comment|advise|share|go into|"
    r"carry out|take part|do that|do this|evolve|proceed|support|process|participate|go on"
    r"|address)"
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
    r"|request)\b[^\n]{0,80}$"
    r"|\bif you need more\b[^\n]{0,60}i'm here[^\n]*$",
    re.IGNORECASE,
)

ANSWER_LABEL = re.compile(
    r"(?:(?<![\w-])[*_]*(?:(?:The )?(?:[Ss]hort |[Cc]orrect |"
    r"[Rr]ight |[Ee]xpected |[Mm]odel |[Ss]ample |[Ss]uggested |[Ff]inal )?(?:Answer|Solution"
    r"|Spoiler|Key|"
    r"(?<= )(?:answer|solution))(?: "
    r"key)?))[*_ ]*(?:\([^)\n]{0,20}\))?[*_ ]*[:=](?!\s*$)[*_]*\s*\S"
    r"|\\boxed\{"
)
LETTERED = re.compile(r"(?:^|\s)A(?:ns)?: \S")
ANSWER_TOLD = re.compile(
    r"(?:^|[.?!)}|\n]\s*|\(|\s(?=(?-i:The )))"
    r"(?:(?:for reference|hint|spoiler|note|remember|of course|in short|by the way|as it happens|"
    r"incidentally|in fact|naturally|clearly)\W+)?(?:\(?the (?:short |correct |right |expected "
    r"|true |simple |real |usual )*"
    r"(?:answer|solution|result|reason|explanation)(?:,? (?:here|to (?:this|that|it)|of course"
    r"|is known))?,? "
    r"(?:is(?: that| this)?|comes to|turns out to be|would be|works out (?:at|to|as)|lies in"
    r"|being|runs as follows)[:,]? "
    r"(?!(?:to|not|meant|read|given|for|only|allowed|expected|needed|required|wanted|graded"
    r"|judged|"
    r"supposed|limited|used|intended|due|addressed|of no|going to|written|spoken|up to|best"
    r"|longer|"
    r"shorter|wrong|right|no\b|yes\b|too|checked|marked|unknown|a (?:list|table|number|poem"
    r"|letter))\b))"
    r"|[?]\s+(?:it(?:'s| is)|this(?:'s| is)|that(?:'s| is)|they (?:are|do)(?: so)?)?,? "
    r"?(?:because|due to|thanks to|simply because)\b"
    r"|[?]\s*\(?(?:it(?:'s| is| equals| comes to)|that(?:'s| is)|namely|which is|=|i\.e\.)?,? "
    r"?[$£€]?-?\d[\d,./]*(?: ?%| \w+)?\)?[.!]?\s*$"
    r"|\b(?:which|it|this|that|and so it|the (?:value|total|sum|result)) (?:equals|comes to"
    r"|works out (?:at|to)|amounts to|is equal to|evaluates to) [$£€]?-?\d",
    re.IGNORECASE,
)


def refused(text: str) -> bool:
    """Whether the teacher declines, in whole or in part."""
    plain = QUOTED.sub(" ", text.replace("\u2019", "'"))
    sorry = len(words(text)) < SORRY_WORDS and SORRY.search(plain)
    return bool(sorry or REFUSED.search(plain))


def framed(text: str) -> bool:
    """Whether the teacher speaks to its asker before or after the prompt."""
    plain = QUOTED.sub('"…"', text.replace("\u2019", "'")).strip()
    return bool(OPENERS.search(plain[:300]) or SIGN_OFFS.search(plain[-300:]))


def tells_answer(text: str) -> bool:
    """Whether the prompt gives its own answer away."""
    plain = QUOTED.sub('"…"', text.replace("\u2019", "'"))
    lettered = LETTERED.search(plain) and not re.search(r"\bB:", plain)  # a dialogue has B too
    return bool(lettered or ANSWER_LABEL.search(plain) or ANSWER_TOLD.search(plain))
