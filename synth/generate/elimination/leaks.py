"""Whether a prompt tells its own answer: behind a label, as a fact, in passing, or as a number.

A leak names the answer (solution, result, output) and then says what it is. What a prompt may well
say of an answer is of another kind: what it must be like ("the answer must be short"), whom it is
for, what it may look like ("Output: a table with two columns").
"""

from __future__ import annotations

import re

from synth.generate.elimination.languages import QUOTED

VALUE = r"[$£€]?[-\u2212]?[$£€]?(?:\d[\d,./]*|\$?\\d?frac\{\d+\}\{\d+\})"
# says what an answer is to look like, not what it is
FORM = (
    r"(?:(?:an?|one|two|three|four|five|\d+|at (?:most|least)|no more|up to|only|just|in|as|under"
    r"|within|exactly|plain|valid|either|full|short|bullet) (?:[\w'-]+ ){0,4}?(?:words?|sentences?"
    r"|paragraphs?|lines?|bullets?|points|tables?|lists?|haiku|poems?|letters?|emails?|essays?|code"
    r"|script|function|columns?|rows?|strings?|integers?|booleans?|arrays?|objects?|dictionary"
    r"|pages?|characters|tuples?|file|text|english|number|figure)\b|json|csv|yaml|xml|html|markdown"
    r"|yes or no|true or false)"
)
ANSWER = r"(?:answer|solution|result|outcome|output|response|reply|conclusion|ground truth)"
WHICH = (
    r"(?:(?:short|correct|right|expected|model|sample|suggested|final|reference|example|gold|golden"
    r"|true|ideal|intended|desired|target|likely|full|complete|best|actual|exact) )"
)
CODE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
START = r"(?:^|[.?!:)}\]\n\"”…]\s{0,9}|\()"
ANSWER_LABEL = re.compile(
    r"(?:(?<![\w-])[*_]*(?:(?:The )?(?:[Ss]hort |[Cc]orrect |"
    r"[Rr]ight |[Ee]xpected |[Mm]odel |[Ss]ample |[Ss]uggested |[Ff]inal )?(?:Answer|Solution"
    r"|Spoiler|Key|(?<= )(?:answer|solution))(?: "
    r"key)?))[*_ ]*(?:\([^)\n]{0,20}\))?[*_ ]*[:=](?!\s*$)[*_]*\s*\S|\\boxed\{"
)
LETTERED = re.compile(r"(?:^|\s)A(?:ns)?: \S")
ANSWER_TOLD = re.compile(
    r"(?:^|[.?!)}|\n]\s{0,9}|\(|\s(?=(?-i:The )))"
    r"(?:(?:for reference|hint|spoiler|note|remember|of course|in short|by the way|as it happens|"
    r"incidentally|in fact|naturally|clearly)\W+)?(?:\(?the (?:short |correct |right |expected "
    r"|true |simple |real |usual )*"
    r"(?:answer|solution|result|reason|explanation)(?:,? (?:here|to (?:this|that|it|what follows"
    r"|the (?:question|task|problem|prompt|puzzle|riddle|above|following))|of course"
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
WORKED_EXAMPLE = re.compile(r"\binputs?\W{0,3}[:=]", re.IGNORECASE)  # its output is given too
# "Output: …", "Ground truth: …", "(For the grader: …", "### Answer": a label, and no form behind it
SAID_BEHIND_LABEL = re.compile(
    rf"{START}[*_# ]*(?:(?:the|your|my|an?) )?(?:{WHICH}{{0,2}}(?:{ANSWER}|completion)(?: key)?"
    rf"|expected|correct|reference|gold|ideal|assistant|ai|bot|(?:for|notes? (?:to"
    rf"|for)) (?:the )?(?:grader|marker|examiner"
    r"|teacher|reviewer|evaluator|assessor)s?(?: only)?|rubric|marking scheme|grading (?:key"
    r"|notes?))(?: (?:is|should be|would be|will be|reads))?(?:[*_ ]*[:=][*_ ]*|(?<=[a-z]) *\n+)"
    rf"(?=\S)(?!(?:must|should|may|use|write|give|state|keep|in)\b|{FORM})(?:{VALUE}|\S+[ \n]+\S+)",
    re.IGNORECASE,
)
HEADED = re.compile(
    rf"^#{{1,6}} *(?:the )?{WHICH}?{ANSWER}[*_: ]*\n\s{0, 9}(?!{FORM})\S",
    re.IGNORECASE | re.MULTILINE,
)
IN_PASSING = re.compile(
    rf"\b(?:knowing|given|note|remember|since|because|seeing|considering|in mind|assured|recall"
    rf"|(?:case|if) you(?:'re| are)? wonder(?:ing)?|your information|fyi)\b[^.?!\n]{{0,24}}"
    rf"\b(?:the|its|your) {WHICH}?{ANSWER}(?: (?:to|of|for|here)\b[^.?!:\n]{{0,30}})?,? "
    rf"(?:is|equals|should be|would be|will be|comes to|turns out to be)\b:? "
    rf"(?!(?:an? |the |to |not |no |yes |only |for |meant|read|needed|unknown|required|wanted"
    rf"|expected to|correct\b|wrong|right|short|long|known|limited)|{FORM})\S"
    # the answer as a quote, before or behind its name
    rf"|\b(?:given|knowing|from|with|for|have) (?:the|this|your) {WHICH}?{ANSWER},?:? (?:of "
    rf"|that |is |which is )*\"…"
    rf"|[…\"”]+ (?:is|as|would be|should be) (?:the|a|your) {WHICH}?(?:answer|solution|result"
    rf"|reply)\b"
    # a colon behind the verb: what follows is the answer itself
    rf"|\b(?:the|your|its) {WHICH}?{ANSWER}(?: (?:to|of|for|here)\b[^.?!:\n]{{0,40}})? (?:is"
    rf"|should be|would be|will be|must be|reads)\s*:\s*(?!{FORM})\S",
    re.IGNORECASE,
)
AS_NUMBER = re.compile(
    rf"\b(?:this|that|it|which|they|everything|all of (?:it|this)|the (?:following|whole|sum|total"
    rf"|value|expression|calculation|result|answer|above)|what follows)(?: \w+ly)? "
    rf"(?:gives|give|makes|make|equals?|yields?|comes? (?:out )?to|works? out (?:at|to|as)"
    rf"|amounts? to"
    rf"|totals?|evaluates? to|turns? out to be|results? in|leaves?|adds? up to|has the value)"
    rf" {VALUE}(?: ?%| \w+)?\)?\s*(?:[.!:)]|$)"
    rf"|\byou (?:should|will|must|ought to|'ll|would|are going to)(?: \w+)? (?:get|obtain|find"
    rf"|reach|have|arrive at|end up (?:with|at)|come to|see|be left with) {VALUE}(?: ?%"
    rf"| \w+)?\)?\s*(?:[.!:)]|$)"
    rf"|\b(?:the|your|its) {WHICH}?(?:{ANSWER}|value|total|sum) (?:is|should be|will be|must be"
    rf"|would be|equals|comes to) {VALUE}(?: ?%| \w+)?\)?\s*(?:[.!),]|$)",
    re.IGNORECASE,
)


def tells_answer(text: str) -> bool:
    """Whether the prompt gives its own answer away."""
    plain = QUOTED.sub('"…"', CODE.sub(" ", text).replace("\u2019", "'"))
    if not WORKED_EXAMPLE.search(plain) and SAID_BEHIND_LABEL.search(plain):
        return True
    if HEADED.search(plain) or IN_PASSING.search(plain) or AS_NUMBER.search(plain):
        return True
    lettered = LETTERED.search(plain) and not re.search(r"\bB:", plain)  # a dialogue has B too
    return bool(lettered or ANSWER_LABEL.search(plain) or ANSWER_TOLD.search(plain))
