"""The wordings that `refusal` looks for, in lower case with straight quotes and single blanks."""

from filters.quality.phrases import any_of

# What a teacher will not do. "I can't help but smile" and "I won't give up" are no refusals.
DO = (
    r"(?:assist|help(?! but)|provide|give(?! up)|offer|answer|discuss|engage|fulfil|comply|"
    r"support|suggest|share|create|write|generate|produce|recommend|promote|endorse|encourage|"
    r"condone|advise|participate|complete|do (?:that|this|so)|continue|respond|satisfy|reveal|"
    r"disclose|access|advocate|accept|process|carry out|teach|guide|facilitate|justify|speculate|"
    r"take part|go into|comment|attempt|be (?:able|producing|writing|helping))"
)
WILL_NOT = (
    r"(?:can't|cannot|can not|couldn't|could not|won't|will not|wouldn't|would not|"
    r"refuse to|decline to)"
)
NOT_ABLE = (
    r"(?:unable|not (?:\w+ )?(?:able|going|programmed|comfortable|allowed|permitted|authori[sz]ed|"
    r"in a position|capable|designed|qualified|willing|supposed))"
)
PROPER = r"(?:appropriate|ethical|acceptable|safe|legal|okay|ok|respectful|advisable|my place)"

# One of these is enough.
REFUSALS = {
    "apology": any_of(
        r"^(?:i(?:'m| am) (?:\w+ )?(?:sorry|afraid)|sorry|i (?:\w+ )?apologi[sz]e|my apologies|"
        r"unfortunately|regrettably)\b[^.!?]{0,60}?\b"
        rf"(?:i(?:'m| am)? (?:\w+ )?(?:{WILL_NOT}|{NOT_ABLE}|don't|do not|must decline)|"
        r"(?:that|this)(?: request)? (?:isn't|is not|goes|would))\b"
    ),
    "will_not": any_of(rf"\bi (?:\w+ )?{WILL_NOT}(?: \w+)? {DO}"),
    "unable": any_of(rf"\bi(?:'m| am) (?:\w+ )?{NOT_ABLE}\b"),
    "decline": any_of(
        r"\bi (?:(?:must|will|would|have to|need to) )*(?:\w+ )?decline\b",
        r"\bi (?:must|will have to|have to|need to) (?:\w+ )?"
        r"(?:refrain|pass on|turn (?:it|this|that)? ?down|leave it there|refuse)\b",
        r"\bi(?:'d| would) (?:much )?rather not\b",
    ),
    "not_allowed": any_of(
        r"\b(?:guidelines|polic(?:y|ies)|rules|programming) (?:\w+ )?"
        r"(?:(?:do not|don't|does not|doesn't) (?:allow|permit|let)|forbids?|prohibits?|prevents?)",
        r"\b(?:cannot|can't|can not) be (?:\w+ )?"
        r"(?:completed|answered|given|created|fulfilled|provided|discussed|written|generated)\b",
        r"\b(?:not|never) something (?:that )?i(?:'m| am| can| do| will)?\b",
        r"\b(?:outside|beyond) (?:of )?"
        r"(?:what i (?:can|may|do|am)|my (?:guidelines|role|limits|scope))",
        r"\blimits? (?:to|on|of) what i(?:'m| am| can| may| will)\b",
        r"\bno (?:\w+ )?(?:answer|reply|response|help|advice|information|assistance) "
        r"(?:can|may|will) be "
        r"(?:\w+ )?(?:given|provided|offered|shared|made)\b",
    ),
    "stops": any_of(
        r"^(?:(?:\w+ )?i(?:'d| would)? (?:think|believe|feel) )?(?:i|we) "
        r"(?:should|must|have to|need to|had better) (?:stop|leave it|end|pause)\b"
    ),
    "no_opinions": any_of(
        r"\b(?:requires?|needs?|take) [^.!?]{0,60}?"
        r"(?:opinions?|feelings|beliefs|emotions|experiences?|preferences)\b[^.!?]{0,60}? "
        r"(?:which|that)? ?i (?:do not|don't|cannot|can't|lack)",
    ),
    "sent_elsewhere": any_of(
        r"^(?:instead of|rather than) (?:an? )?(?:answer|reply|response|help)\w*\b[^.!?]{0,30}"
        r"\b(?:suggest|recommend|refer|point|direct|encourage|urge) (?:that )?you\b",
    ),
    "no_access": any_of(
        r"\bi (?:do not|don't) (?:currently )?have (?:any )?(?:direct )?"
        r"(?:access to|the (?:ability|capability)|(?:personal|specific|private) information)"
    ),
    "no_support": any_of(
        r"\bi (?:\w+ )?(?:do not|don't) "
        r"(?:condone|support|promote|endorse|encourage|feel comfortable|advocate)"
    ),
    "disapproval": any_of(
        r"\bi (?:do not|don't) (?:think|believe) (?:that )?(?:it(?:'s| is| would be) )?(?:\w+ )?"
        r"(?:appropriate|accurate|fair|right|ethical|a good idea|should be)"
    ),
    "as_an_ai": any_of(
        r"\b(?:as an?|i(?:'m| am) (?:just |only )?an?) (?:\w+ ){0,3}?"
        r"(?:ai|language model|assistant)\b[^.]{0,40}?\b"
        r"(?:(?:do not|don't) (?:have the|condone|promote|support|engage)|cannot|can't|"
        r"must (?:decline|clarify|respect)|it(?:'s| is) not within)"
    ),
    "not_appropriate": any_of(
        r"\b(?:it|that|this)(?:'s| is| would be| would)? (?:\w+ )?(?:not|never) (?:be )?"
        rf"(?:\w+ ){{0,2}}?{PROPER}\b",
        r"\b(?:it|that|this)(?:'s| is| would be) (?:\w+ )?(?:inappropriate|unethical) (?:to|for)\b",
    ),
    "against_rules": any_of(
        r"\b(?:goes|go|is|are|would be) against (?:\w+ ){0,2}?"
        r"(?:programming|guidelines|polic|principles|ethic|moral|terms|rules i)"
    ),
    "advises_against": any_of(
        r"\bi (?:(?:must|would|have to) )*(?:\w+ )?(?:advise|recommend|caution) against",
        r"\bi (?:must )?strongly (?:disagree|discourage|urge you not|condemn)",
    ),
}
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
        r"\b(?:assisting|helping|answering|explaining|sharing|providing)\b[^.!?]{0,60} "
        r"(?:could|may|might|can|would)(?: \w+)? "
        r"(?:cause (?:\w+ )?harm|be (?:\w+ )?(?:harmful|dangerous|unsafe|illegal))\b"
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
