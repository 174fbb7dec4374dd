"""`preamble`: the teacher talks to its asker before or after the text that was asked for.

"Sure! Here is the rewritten text:" is not part of a textbook. Only the two ends are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.quality.phrases import any_of, plain
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

HEAD_CHARS = 300
TAIL_CHARS = 400
# What one asks a teacher for. "Here is the rewritten text:" talks to the asker; "Here are some tips
# to stay fit:" opens many a good list, so tips, steps, ideas and examples are not among them.
ASKED_FOR = (
    r"(?:response|answer|rewriting|summary|text|article|passage|solution|explanation|draft|story|"
    r"essay|poem|code|function|script|document|content|translation|faq)s?"
)
ASKED_FOR_BY = r"(?:\w+ )?(?:answer|response|reply|suggestion|proposal|solution|attempt|take)"
YES = (
    r"(?:sure(?: thing)?|certainly|absolutely|definitely|of course|okay|ok|gladly|no problem|"
    r"got it|understood|with pleasure)"
)
PRAISED = (
    r"(?:(?:really |very )?"
    r"(?:great|good|excellent|interesting|fantastic|wonderful|thoughtful|fascinating))"
)
OPENERS = any_of(
    rf"{YES} ?!",
    rf"{YES} ?[,.:;-]+ ?(?:here|i\b|let|below|this is|happy|glad|the following)",
    r"sure(?: thing)?[,.] ",
    rf"(?:(?:what|that's|that is|this is) an? )?{PRAISED} (?:question|prompt|request|topic) ?[!.,]",
    r"(?:here(?:'s| is)|below is) (?:(?:the|your|my|an?|one) )?"
    r"(?:[\w'-]+ ){0,4}?(?:prompt|version|rewrite|question|instruction)\b[^.!?\n]{0,120}:",
    r"i(?:'ve| have|'ll| will) (?:now )?(?:rewr[io]t\w*|rephras\w+|revis\w+)",
    r"(?:as (?:you )?requested|in response to your|per your (?:request|instructions))\b",
    r"(?:ok|okay|alright)[,.]? (?:so )?(?:the user|here we go|let me|let's see)",
    r"(?:output|response|answer|rewritten (?:prompt|text)|new prompt): ?(?:\n|$|(?=[a-z#*|]))",
    r"(?:the following|this) (?:response|text|version|prompt|rewrite) (?:was|is|has been) "
    r"(?:written|prepared|rewritten|created|based)",
)
# A prompt may say these in good faith: "Here is an article: …", "Let me know if …".
TEXT_OPENERS = any_of(
    r"i(?:'d| would) (?:be (?:more than |very )?(?:happy|glad|delighted)|love) to "
    r"(?:help|assist|explain|provide|answer|share)",
    r"i(?:'m| am) (?:happy|glad|delighted|here) to (?:help|assist|explain|provide|answer|share)",
    r"(?:thank you|thanks) for (?:asking|(?:your|the) (?:\w+ )?(?:question|message|request)|"
    r"reaching out|sharing)",
    r"happy to (?:help|assist)\b",
    r"you(?:'re| are) (?:\w+ )?(?:right to ask|asking)\b",
    r"(?:yes, )?i can (?:certainly |definitely )?(?:do|help with) (?:that|this)\b",
    rf"what an? {PRAISED} (?:question|topic|request|idea)\b",
    # "Got it. Writing it down now:", "Alright, this is what I have:"
    rf"(?:{YES}|alright|all right)(?: at all)? ?[,.!-]+ [^.!?\n:]{{0,80}}"
    r"\b(?:i|i'(?:ve|ll|m)|i'd|me|my|you|your|now)\b[^.!?\n:]{0,80}:(?:\s|$)",
    rf"(?:{YES}(?: at all)? ?[,.!-]+ )?(?:my|the) {ASKED_FOR_BY} "
    r"(?:is as follows|goes as follows|follows|would be(?: as follows)?|is below)[.:]",
    rf"this is an? (?:\w+ )?{PRAISED} (?:question|topic|request|prompt)\b",
    r"let's (?:dive|get started|begin|jump)(?: (?:right )?in(?:to it)?)?[!.]",
    r"(?:here(?:'s| is| are)|below (?:is|are)) (?:(?:the|your|my|an?|some|one) )?"
    rf"(?:[\w'-]+ ){{0,4}}?{ASKED_FOR}\b[^.!?\n]{{0,120}}:",
)
LAST_WORDS = r"[^\n]{0,160}$"
SIGN_OFFS = any_of(
    r"\bhope (?:this|that|it|these) (?:\w+ ){0,3}?"
    rf"(?:helps?|helped|helpful|answers|clarif\w+|useful|is what|meets)\b{LAST_WORDS}",
    rf"\b(?:feel free|(?:do not|don't) hesitate) to (?:ask|reach out|let me|contact){LAST_WORDS}",
    rf"\blet me know (?:if|how|whether|what|in case)\b{LAST_WORDS}",
    r"\bif you (?:have|need|want|would like|'d like) (?:any|more|further|additional)\b"
    rf"[^.!?\n]{{0,60}}\b(?:ask|i'm here|happy to help){LAST_WORDS}",
    rf"\bis there (?:anything|something) else (?:i can|you){LAST_WORDS}",
    rf"\bwould you like me to\b{LAST_WORDS}",
    rf"\bi trust (?:that )?(?:this|it) (?:\w+ )?(?:helps|meets|answers|is what){LAST_WORDS}",
    rf"\bjust (?:say the word|ask|let me know)\b{LAST_WORDS}",
    rf"\bif you need (?:more|further|any|additional)\b[^.!?\n]{{0,60}}\bi'm here{LAST_WORDS}",
    rf"[.!?]\s+(?:i(?:'d be|'m) )?happy to (?:adjust|revise|help|expand|clarify){LAST_WORDS}",
    r"\bgood luck(?: with [^.!?\n]{1,60})?!\W*$",
    r"\b(?:thank you|thanks) for (?:reading|asking|the (?:\w+ )?question|your question)\W*$",
    rf"\bthis (?:response|text|version) (?:was|is|has been) written\b{LAST_WORDS}",
    r"\bhappy (?:learning|coding|studying|reading|writing|cooking)!\W*$",
)


class Preamble(Model):
    """Drops a text that opens or ends with stock phrases to the asker.

    The score is how many of the two ends have one (0 to 2).
    """

    name: ClassVar[str] = "preamble"
    openers: bool = Field(True, description="drop for the opening")
    sign_offs: bool = Field(True, description="drop for the end")

    def judge(self, batch: Batch) -> Verdicts:
        """`stock_opener` or, in texts, `stock_sign_off`; the note quotes what was found."""
        reasons: list[str | None] = []
        scores, notes = [], []
        of_texts = batch.subject == "text"
        for text in batch.texts:
            head = plain(text.strip()[:HEAD_CHARS]).lstrip("*_#> \n")
            opener = OPENERS.match(head) or (TEXT_OPENERS.match(head) if of_texts else None)
            tail = plain(text.strip()[-TAIL_CHARS:])
            sign_off = SIGN_OFFS.search(tail) if of_texts else None
            found = [match.group() for match in (opener, sign_off) if match]
            scores.append(float(len(found)))
            notes.append(" … ".join(phrase[:60] for phrase in found))
            if opener and self.openers:
                reasons.append("stock_opener")
            else:
                reasons.append("stock_sign_off" if sign_off and self.sign_offs else None)
        return Verdicts(reasons, scores, notes)
