"""What the teacher says to its asker before and after the prompt: greetings, announcements, offers.

A prompt is the asker's speech: it commands, asks, and tells of the asker. A frame is the teacher's
speech about its own reply, and a sentence of its own at either end. So the sentences at the ends
are read one by one, and one is a frame if all that it speaks of is the reply (its words are those
of `TALK`) and one who replies says it. "I want a short answer" is an asker's, "I have kept the
answer short" is a teacher's.
"""

from __future__ import annotations

import re

from synth.generate.elimination.languages import QUOTED
from synth.generate.elimination.words import STEM_CHARS, STOP_WORDS, words

ENDS_READ = 3  # sentences at either end
MOST_WORDS = 30
PART = re.compile(r"(?<=[.!?:])[\"'”’)*_]*\s+|\n+")
# stems of the words for a reply, what is done with it, and what is said beside it
TALK = frozenset(
    word[:STEM_CHARS]
    for word in words(
        "ability able accomplish adapt apply carry execute outline perform present reuse undertake "
        "above absolutely account act actually add additional adjust ahead ai "
        "alright alter always amazing analyse analyze another answer anything anytime "
        "appreciate approach ask asked assist assistance assistant attempt available aware "
        "awesome based begin below best better bit break brief briefly bring came care careful "
        "carefully certainly change check cheers clarify clear clearer clears close closely "
        "coding come comes complete completed comprehensive concise conclude concludes consider "
        "content context continue convenience convey cooking cool correct count covered craft "
        "create curious custom customize data deal dear definitely delighted deliver "
        "deliverable depth detail detailed details different difficulty discuss disposal dive "
        "document does don't done double draft easy edit else enjoy ensure especially "
        "everything exactly example examples excellent exciting expand explain extra fantastic "
        "fascinating favorite favourite feedback feel final find fine finish finished first fit "
        "fits follow following follows form formal format forward free friend fulfil fulfill "
        "full fun further generate get give given glad gladly go goes going good got great "
        "greetings guidance guide guidelines hand handle happen happy hear hello help helped "
        "helpful helps here here's hesitate hey hi hint hope hopefully i'd i'll i'm i've idea "
        "ideas important improve include included incorporate info information input instead "
        "instruction instructions intend intended interested interesting it'll keep kept kindly "
        "know language learning length let let's like long look looking love lovely luck made "
        "make makes matter matters may meet meets message mind mindful minute missed model "
        "modify moment more need needs nice no note now of offer ok okay one option options "
        "order original output over part particular patience per perfect ping please pleased "
        "pleasure points polish possible prefer prepare prepared problem proceed process "
        "produce produced prompt provide provided purpose put query question questions quick "
        "reach read reading ready reason receive received refine reflect regard relevant remain "
        "remember reply request requested requests require required requirement requirements "
        "respect respects respond response rest result results return review revise revised "
        "revision rewrite rewriting rewritten rules said say section see seem send sense serve "
        "service set shall share short shorter shortly simple simpler soon sounds specific "
        "specify start started stated step straight studying style submit suggest suggested "
        "suggestion suggestions suit suits summarise summarize summary sure tackle tailor take "
        "taken talk task tell text thank thanks that's there's thing things think thorough "
        "thought thoughts time today together tone topic touch trust try turn tweak unclear "
        "understand understood update use useful user using version versions walk want wanted "
        "way welcome well what's wish wonder wonderful word words work works worry would wow "
        "write writing written yes yet you'd you're you've"
    )
)
WHO_REPLIES = re.compile(
    # what is done, or will be done, about the reply by the one who speaks
    r"\b(?:i|we)(?:'ve|'ll|'m| have| will| shall| am| can| could| would be| did| do| now| just"
    r"|'d be| hope| trust| think| understand| see| believe| followed| made| wrote| added| kept"
    r"| remain| love| appreciate)\b|\b(?:shall|should|may|can|could) (?:i|we)\b|\blet (?:me|us)\b"
    r"|\blet's\b|\bmy (?:\w+ )?(?:answer|response|reply|output|result|suggestion|version|attempt"
    r"|take|pleasure|work|understanding|goal|aim|rewrite|revision|draft)\b(?! is (?!as|below|here"
    r"|given|ready|to))|^\W*hope\b|\bthank(?:s| you)\b|\bi'm (?:here|happy|glad)"
    # what it has been asked for
    r"|\byou(?:'ve| have|'d|'re| are)? ?(?:just )?(?:asked|requested|wanted|provided|gave|given"
    r"|sent|shared|had in mind|looking for|wished|specified|described|needed|ordered)\b"
    r"|\bas (?:\w+ )?(?:requested|instructed|asked|required|specified|desired)\b"
    r"|\byour (?:\w+ )?(?:request|instructions?|question|query|input|patience|message|requirements?"
    r"|convenience|inquiry|needs|guidelines|specifications|brief|wishes)\b"
    r"|\bask(?:ed)? (?:me )?for\b|\bdear (?:user|asker|friend|reader)\b"
    # what is handed over, and what comes next
    r"|\b(?:here|below)(?:'s| is| are| you| it| we)\b|\b(?:please )?find (?:\w+ ){0,3}?(?:below"
    r"|here)\b"
    r"|\bsee below\b|\b(?:output|result|response|answer|version|text|task|reply|rewrite)s? (?:is "
    r"|are |has been |have been )?(?:follows?|completed?|done|finished|ready|as follows|below)\b"
    r"|^\W*(?:writing|rewriting|working|processing|generating|drafting|thinking|done|finished"
    r"|completed)\b"
    r"|\b(?:the |this )?(?:above|following|present|preceding) (?:response|answer|text|version|reply"
    r"|output|rewrite|prompt)\b|\bthat (?:concludes|is all|wraps|completes)\b|\bthat's (?:it|all)\b"
    # is the asker served, and what else would the asker like?
    r"|\b(?:do|would|did) you (?:\w+ )?(?:want|like|need|prefer|wish)\b|\bif you(?:'d| would| want"
    r"| need| like| have| wish| prefer)\b|\b(?:for|with|suits?|help(?:s|ed|ful)?|hope|trust|tell) "
    r"(?:to )?you\b|\bdoes (?:that|this|it) (?:\w+ )?(?:make sense|help|work|answer|suit|look"
    r"|sound)"
    r"|\blet me know\b|\bfeel free\b|\bdon't hesitate\b|\bplease (?:double-check|verify|review)\b"
    r"|\byou(?:'re| are) (?:\w+ )?welcome\b|\byou got it\b|\banything else\b",
    re.IGNORECASE,
)
# an asker says what it wants, or gives a command about the reply
ASKER = re.compile(
    r"\bi(?:'d| would)? (?:\w+ )?(?:want|need|like|prefer|wish|ask|expect|require|look forward|'m "
    r"looking|am looking|cannot|can't|don't|do not|wonder)\b(?! to (?:add|note|point out|mention))"
    r"|\bhelp me\b|\b(?:tell|give|show|write|explain|teach|send|convince"
    r"|remind) (?:to )?me\b(?! if)"
    r"|^\W*(?:please )?(?:(?:and|then|also|finally|now|next|first) )?(?:answer|write|explain|give"
    r"|state|say|use|keep|make|include|add|end|begin|start|finish|list|name|show|describe|compare"
    r"|consider|assume|suppose|imagine|avoid|mention|put|check|reply|respond|summari[sz]e|provide"
    r"|do not|don't|never|ask|choose|work|think|limit|divide|set|take|read|offer|review|edit"
    r"|follow|rewrite|return|format|improve|suggest|discuss|create|produce|generate"
    r"|help)\b(?! that)"
    r"|\b(?:must|should|has to|is to|may|ought to) (?:not |never |only |also )?(?:be|have|contain"
    r"|fit|include|hold|use|stay|explain|work|make|follow)\b(?! ready)"
    r"|^\W*(?:what|which|who|why|how|when|where)\b",
    re.IGNORECASE,
)
# social words that nobody begins or ends a task with
SOCIAL = re.compile(
    r"^\W*(?:wow|yay|ah|aha|oh|ooh|voil[aà]|ta-da|cheers|enjoy|perfect|great|excellent|awesome"
    r"|amazing"
    r"|fantastic|brilliant|wonderful|splendid|lovely|nice|cool|good (?:luck|day|one|choice)"
    r"|well done"
    r"|congratulations|absolutely|certainly|definitely|of course|sure(?: thing)?|gladly|yes|yep"
    r"|yeah|indeed|no problem|no worries|my pleasure|with pleasure|you got it|you bet|got it"
    r"|understood|roger|consider it done|right away|on it|best of luck|take care|all the best"
    r"|(?:stay|keep|remain) \w+(?=!)|have (?:fun|a \w+ (?:day|time|one))|happy \w+ing"
    r"|thanks?(?: you| a lot| so much)?(?: again)?"
    r"|you(?:'re| are) (?:\w+ )?welcome|welcome|hi(?: there)?|hello(?: there)?|hey(?: there)?"
    r"|greetings|glad to \w+)\b(?:,? (?:yes|of course|again|indeed|there|friend|sure"
    r"|with (?:this|that|it)))?[^.!?:,\w]*(?:[!\u2600-\u27bf\U0001f300-\U0001faff]|\Z|\.\W*\Z)"
    r"|^\W*(?:wow|ah|aha|oh),? [^.?!]{1,60}!",
    re.IGNORECASE,
)
# of the subject, but in the teacher's part
ON_SUBJECT = re.compile(
    r"\b(?:that's|that is|this is|what) an? (?:\w+ )?(?:great|good|excellent|interesting|fantastic"
    r"|wonderful|fascinating|lovely|important|thoughtful) (?:point|question|topic|idea|choice"
    r"|subject|request|observation)\b|\b(?:subject|topic|question|theme) after my own heart\b"
    r"|\bi(?:'m| am) (?:just |only |merely )?an? (?:\w+ )?(?:ai|language model|assistant|bot)\b"
    r"|\b(?:i )?understand that you(?:'re| are| want| need| would|'d)\b|\b(?:the|this|my|your) task"
    r"(?: here)? is to (?:write|rewrite|evolve|make|produce|create)\b[^.]{0,60}\.\s+(?:let|i)\b"
    r"|\b(?:in|with|for|throughout) this (?:response|answer|reply|rewrite|version|prompt"
    r"|text),? (?:i|we)\b"
    r"|\b(?:to|in order to) (?:fulfil+|complete|answer|address|meet|satisfy) (?:the|your|this) "
    r"(?:task|request|question|requirements?|instructions?|prompt)\b,?[^.?!]{0,8}\b(?:i|we)\b"
    r"|\bi(?:'ve| have) (?:\w+ ){0,2}?(?:added|changed|included|omitted|altered|left out|removed) "
    r"[^.?!]{0,60}\b(?:asked|requested|required|instructed|instructions|original|prompt)\b"
    r"|\b(?:anything|something|a point|a detail) (?:that )?i(?:'ve| have)? (?:missed|overlooked"
    r"|forgotten|left out|got wrong)\b"
    r"|\bi(?:'ll| will| am going to|'m going to|'ve| have| can)(?: now| be| also| gladly"
    r"| carefully)* "
    r"(?:walk|guide|take|talk) you through\b|\blet me (?:walk|guide|take|break|show|explain|answer"
    r"|address|tackle|see|start|begin|think)\b"
    r"|^\W*(?:word|character|token|reading) ?(?:count|time)s?\W*(?::|\d|\Z)"
    r"|^\W*(?:note|disclaimer|nb|n\.b\.|p\.s\.|ps)\W+(?:i|i've|i have|i'm|this (?:response|answer"
    r"|text|version|prompt|rewrite)|the (?:above|response|answer|text|prompt))\b"
    r"|\b(?:ping|message|contact|call|ask) me (?:when|if|whenever|any ?time|for)\b"
    r"|^\W*(?:assistant|response|reply|my (?:response|answer|reply|rewrite|attempt))\W*:?\W*\Z",
    re.IGNORECASE,
)

LABEL = re.compile(
    r"\W{0,2}[*_#]{1,4} ?(?:my |the |final |your )?(?:response|answer|reply|output|result|solution"
    r"|rewrite|rewriting|prompt|question)\b\W*?[*_\n]",
    re.IGNORECASE,
)


def talks(text: str, beside: str) -> bool:
    """Whether a sentence at either end of the text, and not in the other, is the teacher's own."""
    if LABEL.match(text) and not LABEL.match(beside):
        return True
    parts = [part for part in PART.split(_plain(text)) if words(part)]
    before = _plain(beside)
    ends = parts if len(parts) <= 2 * ENDS_READ else parts[:ENDS_READ] + parts[-ENDS_READ:]
    if len(parts) < 2:
        return False
    return any(_of_teacher(part) for part in ends if part not in before)


def _plain(text: str) -> str:
    return QUOTED.sub('"…"', text.replace("\u2019", "'")).strip()


def _of_teacher(part: str) -> bool:
    if SOCIAL.search(part) or ON_SUBJECT.search(part):
        return True
    said = words(part)
    if len(said) > MOST_WORDS or ASKER.search(part) or not WHO_REPLIES.search(part):
        return False
    return all(word in STOP_WORDS or _is_talk(word) for word in said)


def _is_talk(word: str) -> bool:
    """Whether the word, or what is left of it without an ending, is one of `TALK`."""
    forms = (word, *(word.removesuffix(ending) for ending in ("s", "es", "ed", "d", "ing", "er")))
    return any(form[:STEM_CHARS] in TALK for form in forms if form)
