"""The signs that `refusal` looks for, in lower case with straight quotes and single blanks.

Each sign is a class of sentences, by its grammar: who speaks (I, my, the model, or nobody in a
passive), what is negated (ability, permission, will), and what is not done (a verb of help or of
speech). The speaker and the verb keep what people say in stories and letters apart: "I can't
believe it", "I refuse to give up", "beyond my control".
"""

import re

from filters.quality.phrases import any_of

# What a teacher will not do. "I can't help but smile" and "I won't give up" are no refusals.
DO = (
    r"(?:assist|help(?! but)|provide|supply|give(?! up)|offer|answer|discuss|engage|fulfil|comply|"
    r"support|suggest|share|create|writ(?:e|ing)|generate|produce|recommend|promote|endorse|"
    r"encourage|condone|advise|participate|complete|do (?:that|this|so|it\b)|continue|proceed|"
    r"respond|satisfy|reveal|disclose|access|advocate|accept|process|carry out|teach|guide|"
    r"facilitate|justify|speculate|take part|go (?:into|further|along)|comment|attempt|verify|"
    r"address|undertake|honou?r|talk about|speak (?:about|to|on)|say (?:more|anything)|"
    r"be (?:able|producing|writing|helping|answering|discussing|"
    r"of (?:any )?(?:help|assistance|service)))"
)
WILL_NOT = (
    r"(?:can't|cannot|can not|couldn't|could not|won't|will not|wouldn't|would not|shouldn't|"
    r"should not|must not|mustn't|can no longer|refuse to|decline to|prefer not to|"
    r"(?:rather|better) not|(?:choose|chosen|choosing|decided|going|opted|opting|prefer) "
    r"(?:not to|to not))(?: in (?:all )?good \w+)?"
)
NOT_ABLE = (
    r"(?:unable|not (?:\w+ )?(?:able|going|programmed|comfortable|allowed|permitted|authori[sz]ed|"
    r"in a position|at liberty|capable|designed|equipped|qualified|set up|willing|supposed))"
)
DECLINE = (
    r"(?:declin(?:e|ing)|abstain(?:ing)?|refrain(?:ing)?|withhold|withdraw (?:my|this|the|what)|"
    r"skip (?:this|that|it)|sit (?:this|that) (?:one )?out|(?:stop|end) (?:right )?here|"
    r"(?:leave|omit|skip) (?:it|this|that|those|these|them|the (?:rest|others?|remaind?e?r?\w*))"
    r"(?: \w+)? (?:there|unanswered|out|blank|aside|unsaid))"
)
PROPER = (
    r"(?:appropriate|ethical|acceptable|safe|legal(?! advice)|okay|ok|respectful|advisable|"
    r"my place)"
)
RULES = (
    r"(?:guidelines?|polic(?:y|ies)|programming|instructions|terms (?:of|and)|rules|restrictions|"
    r"safeguards|limitations)"
)
REPLY = r"(?:answer|reply|response|help|advice|information|assistance|content)"
ASKED = r"(?:requests?|questions?|quer(?:y|ies)|prompts?|topics?|subjects?|content|tasks?)"
MACHINE = r"(?:model|assistant|ai|chatbot|bot|system)"
# What a relative clause of refusal hangs on: "a subject I can go into", "something I won't do".
THING = (
    r"(?:something|anything|things?|one|an? (?:\w+ ){0,2}?(?:subject|topic|matter|area|question|"
    r"request|task|kind|type|category|conversation|discussion|road|path))"
)

# One of these is enough.
REFUSALS = {
    "apology": any_of(
        r"^(?:i(?:'m| am) (?:\w+ )?(?:sorry|afraid)|sorry|i (?:\w+ )?apologi[sz]e|my apologies|"
        r"unfortunately|regrettably)\b[^.!?]{0,60}?\b"
        rf"(?:i(?:'m| am)? (?:\w+ )?(?:{WILL_NOT}|{NOT_ABLE}|don't|do not|must decline)|"
        r"(?:that|this)(?: request)? (?:isn't|is not|goes|would))\b"
    ),
    "will_not": any_of(
        rf"\bi(?:'m| am|'ve| have|'d| had| would)? (?:\w+ )?{WILL_NOT}(?: \w+)? {DO}",
        r"\bi(?:'d| had) better not (?:try|say|do)\b",
        # the verb's object may stand in front, and the negation too
        rf"\b(?:under no circumstances|in no case|nor|neither) (?:can|could|may|will|would) i {DO}",
    ),
    "unable": any_of(rf"\bi(?:'m| am) (?:\w+ )?{NOT_ABLE}\b"),
    "only_able": any_of(
        rf"\bi(?: can| may| will|'ll|'m| am)(?: \w+)? only (?:\w+ to )?"
        rf"(?:{DO}|(?:speak|talk) (?:in|about|of))",
        r"\bi(?: can|'ll| will| have) (?:only )?(?:answer|say|share|cover|do)(?:ed)? "
        r"(?:only )?what i (?:can|may|am|could)\b",
    ),
    # a sentence of its own: "A doctor will be able to help. I'm not."
    "ellipsis": any_of(
        r"[.!?] (?:but )?i(?:'m not| am not| cannot| can't| won't| will not)[.!](?: |$)"
    ),
    "decline": any_of(
        r"\bi (?:(?:must|will|would|have to|need to) )*(?:\w+ )?decline\b",
        r"\bi (?:must|will have to|have to|need to) (?:\w+ )?"
        r"(?:refrain|pass on|turn (?:it|this|that)? ?down|leave it there|refuse)\b",
        r"\bi(?:'d| would) (?:much )?rather not\b",
    ),
    "leaves_out": any_of(
        r"\bi(?:'m| am| must|'ll| will|'d| would| have| need| should)"
        rf"(?: (?:going|have|had|to|better|obliged|rather|forced|\w+ly))* {DECLINE}",
        r"\b(?:those|that|these|the (?:rest|others))\b[^.!?]{0,20} i(?:'ll| will| must| have to)"
        r"(?: \w+)? (?:leave|skip|pass over|decline)\b",
        r"\b(?:part|section|half|rest|remainder|second|third|last|others?)\b[^.!?]{0,20} i"
        r"(?:'ll| will| must| have to| need to) (?:leave out|omit|skip|pass over|withhold)\b",
        r"\bi(?:'m going to|'ll| will| need to| have to| must)(?: \w+ly)? (?:stop you|push back|"
        r"draw a line|hold back|redirect)\b",
        r"\bi (?:\w+ )?avoid (?:such|these|this|that|those)\b",
        r"\b(?:i|we) (?:\w+ )?regret\b[^.!?]{0,60}\b(?:cannot|can't|unable|not)\b",
    ),
    "not_allowed": any_of(
        r"\b(?:guidelines|polic(?:y|ies)|rules|programming) (?:\w+ )?"
        r"(?:(?:do not|don't|does not|doesn't) (?:allow|permit|let)|forbids?|prohibits?|prevents?)",
        r"\b(?:cannot|can't|can not) be (?:\w+ )?"
        r"(?:completed|answered|given|created|fulfilled|provided|discussed|written|generated)\b",
        r"\b(?:cannot|can't|can not|will not|won't|may not) be (?:\w+ )?"
        r"(?:shared|supplied|shown|covered|disclosed|described|explained|processed|met) "
        r"(?:here|by me|by this|in this (?:chat|conversation|context|answer)|for safety)\b",
        r"\bi(?:'ve| have| was)(?: been)? (?:asked|told|instructed|programmed|trained|designed) "
        r"(?:not to|to (?:avoid|decline|refuse|stay|steer|keep (?:away|clear|out)))\b",
        r"\b(?:prevents?|keeps?|stops?|prohibits?|bars?) me from\b",
        r"\b(?:providing|answering|writing|discussing|sharing|creating|producing|generating|"
        r"helping|"
        r"describing|explaining) (?:(?:with|about) )?(?:such|this|that|it|these|those|your|you)\b"
        r"[^.!?]{0,60} (?:is|would be) (?:\w+ )?(?:prohibited|forbidden|not (?:allowed|permitted|"
        r"possible|something|appropriate)|against|inappropriate|irresponsible|wrong|unethical)\b",
        r"\b(?:i|we)\b[^.!?]{0,60} for (?:legal|safety|ethical|privacy|policy|security|copyright) "
        r"reasons\b",
    ),
    "not_in_reach": any_of(
        r"(?:\bnot|\bnever|n't) (?:\w+ )?"
        rf"{THING} (?:\w+ )?(?:that |which )?i(?:'m| am| can| do| will|'d|'ll)?\b",
        rf"\b{THING} (?:that |which )?i(?:'m| am)? (?:\w+ly )?"
        rf"(?:(?:don't|do not) (?:do|deal|{DO})|{WILL_NOT} (?:do\b|{DO})|{NOT_ABLE})",
        r"\b(?:outside|beyond|not within|exceeds?|not part of)(?: of)? "
        r"(?:the (?:scope|limits|bounds|range) of )?"
        r"(?:what (?:i|we)(?:'m|'re| am| are| can| may| do)|(?:my|our) (?:\w+ )?"
        r"(?:guidelines|role|limits|scope|abilit|capabilit|capacity|competence|expertise|remit|"
        r"use|permissions|boundaries|domain))",
        r"(?:\bnot|\bnever|n't) (?:\w+ ){0,2}?(?:possible|feasible|permitted|allowed|permissible) "
        r"for (?:me|us)\b",
        r"\blimits? (?:to|on|of) what i(?:'m| am| can| may| will)\b",
        r"(?:\bnot|n't) (?:available|accessible|open) to me\b",
        r"\btoo (?:sensitive|risky|personal|dangerous|controversial|harmful) for me\b",
    ),
    "no_reply": any_of(
        r"\bno \w+ from me\b",
        rf"\bno (?:\w+ )?{REPLY} (?:(?:can|may|will) be (?:\w+ )?"
        r"(?:given|provided|offered|shared|made)|follows|is (?:given|possible|offered|provided))\b",
        r"\b(?:section|part|passage|details?|rest|remainder|code|content|answer|text)s?\b"
        r"[^.!?]{0,60} (?:has|have|was|were) (?:been )?(?:\w+ )?"
        r"(?:left out|omitted|removed|withheld|redacted|excluded|blocked)\b[^.!?]{0,60}"
        r"\b(?:polic|guideline|safety|rules|sensitive|harm|inappropriate|copyright|violat)",
    ),
    "other_subject": any_of(
        r"\blet's not (?:go|discuss|talk|get into|do that)\b",
        r"^(?:\w+,? ){0,3}?(?:let's|let us|(?:can|could|shall|may) we|perhaps we (?:can|could)|"
        r"i(?:'d| would) (?:rather|prefer to|prefer if we)) (?:\w+ )?"
        r"(?:talk|speak|discuss|chat|move|change|switch)\b[^.!?]{0,20}"
        r"\b(?:something else|else|another|different|the (?:subject|topic))\b",
        r"\b(?:please|try|could you|you (?:can|could|may|might))(?: \w+)? rephras(?:e|ing)\b",
        r"\b(?:please|(?:could|can|would|will) you(?: please)?) (?:choose|pick|try|suggest|ask) "
        r"(?:me )?(?:about |for )?(?:an?other|some other|something else|a different)\b",
        r"\b(?:happy|glad|free|able) to (?:help|assist|look|talk|discuss|answer)(?: \w+){0,2} "
        r"(?:any ?thing else|something else|any other|another|an? (?:different|safe))\b",
        r"\bi(?:'m| am) still learning (?:how to (?:answer|respond|handle|help)|about this)\b",
    ),
    "idiom": any_of(
        r"\b(?:off the table|off[- ]limits|a no-go|out of (?:bounds|the question)) for (?:me|us)\b",
        r"\b(?:my hands are tied|above my pay grade|count me out|where i draw the line)\b",
        r"\b(?:lines?|boundar(?:y|ies)|limits?) (?:that )?i (?:don't|do not|won't|can't|cannot) "
        r"(?:cross|overstep|exceed)\b",
        r"\bi(?:'d|'ll)?(?: \w+){0,2} (?:leave|defer)(?: \w+){0,2} to (?:the )?(?:\w+ )?"
        r"(?:experts?|professionals?|specialists?|doctors?|lawyers?|someone|somebody)\b",
        r"\b(?:isn't|not) my (?:area|field|department|business|role)\b",
    ),
    "stops": any_of(
        r"^(?:(?:\w+ )?i(?:'d| would)? (?:think|believe|feel) )?(?:i|we) "
        r"(?:should|must|have to|need to|had better) (?:stop|leave it|end|pause)\b"
    ),
    "no_opinions": any_of(
        r"\b(?:requires?|needs?|take) [^.!?]{0,60}?"
        r"(?:opinions?|feelings|beliefs|emotions|experiences?|preferences)\b[^.!?]{0,60}? "
        r"(?:which|that)? ?i (?:do not|don't|cannot|can't|lack)",
        r"\bi (?:do not|don't) (?:have|hold) (?:any )?personal (?:opinions?|beliefs?|views?)\b",
    ),
    "sent_elsewhere": any_of(
        r"^(?:instead of|rather than) (?:an? )?(?:answer|reply|response|help)\w*\b[^.!?]{0,30}"
        r"\b(?:suggest|recommend|refer|point|direct|encourage|urge) (?:that )?you\b",
    ),
    "no_access": any_of(
        r"\bi (?:do not|don't) (?:currently )?have (?:any )?(?:direct )?"
        r"(?:access to|the (?:ability|capability)|(?:personal|specific|private) information)",
        r"\bi (?:\w+ )?(?:lack|have no|do not have|don't have|do not possess|don't possess) "
        r"(?:\w+ ){0,3}?(?:access|expertise|capabilit|authori[sz]ation|permission|qualification)",
        r"\b(?:access|expertise|permission|knowledge|capabilit\w+)\b[^.!?]{0,60} i "
        r"(?:have none|lack|do not have|don't have)\b",
        r"\bmy (?:training|knowledge|data)(?: \w+)? (?:does not|doesn't|do not|don't) "
        r"(?:cover|include|contain|extend|reach)\b",
    ),
    "no_support": any_of(
        r"\bi (?:\w+ )?(?:do not|don't) "
        r"(?:condone|support|promote|endorse|encourage|feel (?:comfortable|able|right)|advocate)",
        r"\bwe (?:\w+ )?(?:do not|don't|cannot|can't|no longer|are unable to) (?:\w+ )?"
        rf"(?:support|accept|process|handle|fulfil|answer|allow|offer)(?: \w+)? {ASKED}\b",
    ),
    "disapproval": any_of(
        r"\bi (?:do not|don't) (?:think|believe) (?:that )?(?:it(?:'s| is| would be) )?(?:\w+ )?"
        r"(?:appropriate|accurate|fair|right|ethical|a good idea|should be)",
        r"\bi (?:do not|don't) (?:think|believe|feel)(?: that)? (?:i|it(?:'s| is)) "
        rf"(?:should|can|could|ought to|right to|wise to|fair to|my place to) {DO}",
        r"\bi(?:'d| would)(?: only)? be doing you a (?:\w+ )?disservice\b",
        r"\b(?:irresponsible|wrong|improper|reckless|dishonest|unfair|presumptuous) "
        rf"(?:of|for) me to (?:{DO}|guess|try)",
    ),
    "as_an_ai": any_of(
        rf"\b(?:as an?|i(?:'m| am) (?:just |only )?an?) (?:[\w-]+ ){{0,3}}?{MACHINE}\b"
        r"[^.]{0,40}?\b(?:(?:do not|don't) (?:have the|condone|promote|support|engage)|cannot|"
        r"can't|must (?:decline|clarify|respect)|it(?:'s| is) not within)",
        rf"\b(?:the|this) (?:\w+ )?{MACHINE} (?:is|cannot|can't|does|will|has)\b[^.!?]{{0,80}}?"
        rf"\b(?:unable to|not able to|cannot|can't|not (?:allowed|permitted) to) {DO}",
    ),
    "not_appropriate": any_of(
        r"\b(?:it|that|this)(?:'s| is| would be| would)? (?:\w+ )?(?:not|never) (?:be )?"
        rf"(?:\w+ ){{0,2}}?{PROPER}\b",
        r"\b(?:it|that|this)(?:'s| is| would be) (?:\w+ )?(?:inappropriate|unethical) (?:to|for)\b",
        rf"\b(?:not an? {PROPER}|an? (?:inappropriate|unethical)) {ASKED}\b",
        rf"\b{ASKED} (?:that )?you(?:'ve| have)? (?:asked|made|sent) is(?:n't| not) {PROPER}\b",
    ),
    "against_rules": any_of(
        r"(?:\b(?:goes|go|is|are|would be)|'s) against (?:[\w'-]+ ){0,4}?"
        r"(?:programming|guidelines|polic|principles|ethic|moral|terms|rules i)",
        r"\b(?:violat\w+|conflict\w* with|contrary to|at odds with|per|under|in line with|"
        rf"according to|due to|because of|given|owing to) my (?:\w+ ){{0,2}}?{RULES}",
        r"\b(?:may|might|could|would) (?:\w+ )?(?:violate|conflict with|breach|be against) "
        rf"(?:our|the (?:content|safety|usage)) (?:\w+ ){{0,2}}?{RULES}",
    ),
    "advises_against": any_of(
        r"\bi (?:(?:must|would|have to) )*(?:\w+ )?(?:advise|recommend|caution) against",
        r"\bi (?:must )?strongly (?:disagree|discourage|urge you not|condemn)",
    ),
}
# Enough where the whole reply is one or two sentences: there is nothing else that it could say.
CURT = {
    "curt": any_of(
        r"^(?:(?:no|nope|nah|sorry|apologies|hmm+|well|honestly|unfortunately|alas)[,.!]? )*"
        r"(?:(?:can't|cannot|can not|won't|will not|unable to|not (?:able|going|allowed|willing) "
        rf"to) (?:do|{DO})|(?:must|have to|will) (?:\w+ly )?(?:decline|refuse|pass)\b)",
        rf"^(?:\w+ ){{0,3}}?{ASKED} (?:(?:is|was|has been) )?(?:\w+ly )?"
        r"(?:declined|denied|refused|rejected|blocked|not (?:allowed|permitted|supported))"
        r"(?:[.:;!]|$| due| because| by| as )",
        r"^(?:\w+, )?(?:not (?:comfortable|willing|prepared|allowed|permitted)|(?:sorry|"
        r"no),? no)\b",
        r"\bi (?:can't|cannot) (?:say|tell|know|judge)[.!]",
        r"\b(?:no comment|no can do|off[- ]limits|not up for discussion)\b",
        r"\b(?:content|safety|usage) (?:policy|guidelines?|rules?) (?:violation|breach)\b",
        r"\b(?:ask|consult|see|contact|find) (?:an? )?(?:\w+ )?"
        r"(?:human|person|someone else|somebody else|professional|expert)\b",
        r"\bi(?:'ve| have) (?:nothing|no (?:answer|reply|comment))\b",
        r"\b(?:prefer|choose|chosen|decided|opt) (?:not|to not)\b",
    ),
}
# In one sentence of a short reply all three: somebody who speaks of themselves, a denial, and what
# was asked for.
DENIES = (
    # "we" counts and proves in many a solution
    re.compile(r"\b(?:i|me|my|we (?:don't|do not|can't|cannot|are|regret))\b"),
    re.compile(
        r"n't\b|\b(?:not|no|nothing|never|cannot|refus\w+|avoid|restrict\w+|break(?:ing)?|hesitate|"
        r"flagged|distance|elsewhere|uncomfortable|unwilling|against|violat\w+|only an?|lack|"
        r"sooner|"
        r"disappoint|declined?|unable|(?:ends?|stops?) here)\b"
    ),
    re.compile(
        r"\b(?:answer\w*|questions?|requests?|topics?|subjects?|matters?|discuss\w*|content|"
        r"help(?! but)|"
        r"assist\w*|writ(?:e|ing)|explain|information|polic(?:y|ies)|rules|principles|settings|"
        r"model|"
        r"comment(?:ing)?|tell you|respond\w*|prompts?|instructions|advice|guidelines|opinions?|"
        r"sides|service|job|role|"
        r"abilit\w+|capabilit\w+|tasks?|credentials|reveal|provide|share|touch on|disappoint)\b"
    ),
)
# Alone each of these is good advice; two of them are a lecture in place of an answer.
LECTURES = {
    "must_say": any_of(
        r"\bi must (?:\w+ )?(?:emphasi[sz]e|clarify|inform|stress|remind|note|point out)"
    ),
    "never_acceptable": any_of(
        r"\bnever (?:acceptable|the answer|okay|justified)\b",
        r"\b(?:not|never) be (?:condoned|tolerated|considered)\b",
        r"\b(?:(?:is|are) (?:both )?(?:illegal|unethical)|illegal (?:and|or)|serious crime)\b",
    ),
    "harm": any_of(
        r"\b(?:assisting|helping|answering|explaining|sharing|providing|writing|creating)\b"
        r"[^.!?]{0,60} (?:could|may|might|can|would)(?: \w+)? "
        r"(?:cause (?:\w+ )?harm|infringe|be (?:\w+ )?(?:harmful|dangerous|unsafe|illegal))\b"
    ),
    "important_to": any_of(
        r"\bit(?:'s| is) (?:\w+ )?(?:important|crucial|essential) to (?:\w+ )?"
        r"(?:note|remember|respect|treat|recogni[sz]e|prioriti[sz]e|understand|avoid|approach)"
    ),
    "instead": any_of(r"(?:^|[.!?] )instead,? (?:i|let's|consider|focus|it's)\b"),
    "seek_help": any_of(
        r"\b(?:seek(?:ing)? (?:\w+ )?help|you are not alone|going through a difficult)\b",
        r"\breach out to (?:a|your|someone)\b",
        r"\bsorry to hear\b",
    ),
}
