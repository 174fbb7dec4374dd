"""References that nothing in a prompt answers: "judging from the graph", "the email below".

A definite reference to something that is read, seen or opened needs it in the prompt, or a word
before that brings it in: "Draw a graph of … Judging from the graph, …" is answerable, the second
half of it alone is not. So each rule finds a reference and then looks for its antecedent: another
mention of its head noun. What a prompt wants to be made ("put it in the table") is not consumed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# what cannot stand in a text: it is seen, heard or opened
SEEN = (
    r"(?:images?|pictures?|photos?|photographs?|screenshots?|scans?|x-?rays?|diagrams?|charts?"
    r"|graphs?"
    r"|maps?|floor ?plans?|blueprints?|drawings?|sketch(?:es)?|plots?|scatter ?plots?|histograms?"
    r"|heat ?maps?|infographics?|dashboards?|flow ?charts?|illustrations?|videos?|clips?|footage"
    r"|recordings?|audio|slides?|slideshows?|decks?|pdfs?|spread ?sheets?|workbooks?|worksheets?"
    r"|csvs?|data ?sets?|databases?|attachments?|files?|icons?|logos?|posters?|handouts?|webpages?)"
)
# what could stand in a text
READ = (
    r"(?:texts?|passages?|paragraphs?|excerpts?|extracts?|articles?|stor(?:y|ies)|poems?|lists?"
    r"|tables?|code|snippets?|scripts?|functions?|programs?|dialogues?|speech(?:es)?|letters?"
    r"|e-?mails?"
    r"|messages?|comments?|posts?|tweets?|threads?|reviews?|transcripts?|minutes|conversations?"
    r"|reports?|documents?|contracts?|invoices?|memos?|notes?|logs?|surveys?|questionnaires?"
    r"|quiz(?:zes)?"
    r"|exercises?|questions?|problems?|results|readings|figures|essays?|drafts?|manuscripts?|cvs?"
    r"|resumes?|recipes?|advert(?:isement)?s?|menus?|chapters?|scenes?|repository|repo|codebase)"
)
THE = r"(?:the|this|these|those|my|our|each of the|all of the|all the|both)"
MODS = r"(?:(?!(?:of|to|in|with|and|for|on)\b)[\w'-]+ ){0,2}?"
TAKE = (
    r"(?:(?:judging|working|going|drawing|relying|building|starting) (?:only |solely )?(?:from|on"
    r"|by)"
    r"|based (?:only |solely |purely )?(?:on|upon)|according to|refer(?:ring)?(?: back)? to|consult"
    r"|read(?: through)?|open|look(?:ing)? (?:at|over|through)|see|watch|view|listen to|inspect"
    r"|import"
    r"|load|debug|fix|refactor|run|shorten|summari[sz]e|translate|proofread|edit|correct|transcribe"
    r"|caption|annotate|grade|mark|critique|continue|finish|match|label|identify|count|in|from|on"
    r"|using|with|explain the \w+ (?:in|of))"
)
STRONG = (
    r"(?:(?:judging|working|going|drawing|relying) (?:only |solely )?(?:from|on|by)"
    r"|based (?:only |solely |purely )?(?:on|upon)|according to|refer(?:ring)?(?: back)? to|consult"
    r"|read(?: through)?|look(?:ing)? (?:at|over|through)|debug|fix|refactor|shorten|summari[sz]e"
    r"|translate|proofread|edit|correct|transcribe|annotate|grade|critique|continue|check|review"
    r"|improve|rate)"
)
# the noun phrase ends here: "the map publisher" is no map
END = (
    r"(?=\W*$|[,.;:?!)]| (?:and|or|to|in|on|for|with|that|which|has|have|is|are|as|but|how|what"
    r"|who|where"
    r"|next|at|into|does|did|do|was|were|below|above|attached|provided|only|alone|show|shows"
    r"|named|when|here|there|into|first|then|again|so|by|whose|page|line|again)\b)"
)
# brings the thing in, or asks for it
MADE = (
    r"(?! (?:of|about|on how|that (?:you|shows|would|could)|you\b|which|called|titled|from \d"
    r"|by [A-Z]))"
)
PLACE = (
    r"(?:above|below|earlier|overleaf|opposite|here|on the (?:left|right|next page|previous page"
    r"|screen"
    r"|board|back)|in the (?:appendix|annex|margin|sidebar|footnotes?|attachment|handout|box|figure"
    r"|picture|image))"
)
SHOWN = (
    r"(?:listed|shown|given|quoted|printed|reproduced|depicted|pictured|drawn|set out|provided"
    r"|supplied|included|displayed|presented|introduced|defined|described|mentioned|cited)"
)
DONE = (
    r"(?:made|wrote|gave|drew|produced|created|sent|suggested|proposed|prepared|drafted|compiled"
    r"|listed|showed|posted|shared|generated|finished|built|started)"
)
SETTLED = (
    r"(?:agreed|settled|decided|discussed|talked|spoke|worked out|drew up|went over|went through"
    r"|covered|established|arranged|fixed)"
)

# the group is the head noun
SEES = re.compile(
    rf"\b{TAKE} {THE} {MODS}({SEEN})\b{END}{MADE}"
    rf"|\b{THE} {MODS}({SEEN}) (?:\w+ )?(?:above|below|overleaf|opposite|provided|supplied"
    rf"|on the (?:left|right|screen|wall)|at hand)\b"
    rf"|(?:^|[.?!]\s+)(?:the|this|my) ({SEEN}) (?:has|have|contains?|includes?|lists?|comes? with"
    rf"|holds?|lasts?)\b|\b{THE} {MODS}({SEEN}) {SHOWN}\b"
    r"|\b(?:in|from|of) (?:my|our) (?:\w+ )?(repository|repo|codebase|inbox|drive|folder"
    r"|database)\b"
    r"|\b(?:from|see|using|consult) [^.?!\n]{0,40}?\bin (?:the|our|your) (appendix|annex"
    r"|attachment)\b",
    re.IGNORECASE | re.MULTILINE,
)
SENT = re.compile(
    r"(?:^|[.?!\"”)]\s+)(?:attached|enclosed|appended) (?:is|are|you|please|below|here)\b"
    r"|\bi(?:'ve| have)? (?:just |already |also )*(?:sent|shown|given|shared|forwarded|e-?mailed"
    r"|handed|uploaded|posted|attached)(?: with)? you\b(?! (?:a (?:chance|choice|reason)|time))"
    r"|\byou(?:'ll| will| can)? (?:have |find )?(?:received|attached|enclosed)\b"
    r"|\bmy (?:last |latest )?(?:upload|attachment)\b",
    re.IGNORECASE | re.MULTILINE,
)
READS = re.compile(
    rf"\b{STRONG} (?:the|this|these|those|my|our) {MODS}({READ})\b{MADE}"
    rf"|\b(?:the|this|these|those) {MODS}({READ}) (?:above|below|overleaf|opposite|provided"
    rf"|supplied)\b"
    r"(?! (?:the|a|my|zero|average|freezing|\d))"
    rf"|\b(?:the|these|those|each of the) (?:\w+ ){{0,2}}?(\w+) {SHOWN} {PLACE}"
    rf"|\b(?:remaining|other|next|rest of the) ({READ}|tasks|items|entries|points"
    rf"|exercises) (?:from|on|in"
    r"|of) (?:the|this|your|our) (?:list|sheet|page|quiz|test|exam|set|series|chapter)\b"
    rf"|\bthe ({READ}|plan|version|answer|solution|outline|summary|translation|design"
    rf"|proof) (?:that |which )?you (?:have |had |'ve )?(?:just |already |last )?{DONE}\b"
    r"|\b(?:in|from) (?:the|our|your) (appendix|annex|textbook|course book|syllabus|lecture"
    r"|reading)\b",
    re.IGNORECASE,
)
# by its number or letter: "Table 2", "exercise 14b", "scenario B"
NUMBERED = re.compile(
    r"\b(?:refer(?:ring)?(?: back)? to|back to|see|from|solve|consult|answer|read|look at|do"
    r"|complete|per"
    r"|in|of|on|to|for|with|use|using|redo|repeat) ((?:table|figure|exhibit|exercise|scenario"
    r"|diagram|worksheet|listing|appendix|annex|lesson|plate|slide|graph|chart|dataset"
    r"|image) (?:\d+[a-z]?|[A-H]|[IVX]+))\b(?! (?:of|from|in) (?!the same))"
    r"|\b(?:refer(?:ring)?(?: back)? to|back to|see|from|solve|consult|do|redo|repeat"
    r"|read) ((?:problem"
    r"|question|chapter|section|page|paragraph|task|unit|part|case|option|source) (?:\d+[a-z]?"
    r"|[A-H]))\b(?! of)",
    re.IGNORECASE,
)
GOES_ON = re.compile(
    r"(?:^|[.?!\"”)]\s+)(?:the )?same as (?:above|before|last time|earlier)\b"
    r"|(?:^|[.?!\"”)]\s+)(?:(?:exactly |just |the same )?(?:as|like) (?:before|last time|previously"
    r"|earlier|always|usual|yesterday)|once more|this time|again)\b,"
    rf"|\b(?:from|in|of|to|than|with|like|continue|keep|resume|see|use|take) (?:the|your|our|my) "
    rf"(?:(?:previous|earlier|prior|preceding|former) (?:version|draft|attempt|task|request"
    rf"|prompt|round"
    rf"|iteration|instructions?|revision|turn|{READ})|last (?:version|draft|attempt|chapter|episode"
    r"|session|message|e-?mail|letter|lesson))\b(?! of (?:the|your|this|each))"
    r"|\b(?:continue|resume|carry on|pick up|go on)\b[^.?!]{0,30}\b(?:from|where|since"
    r"|after) (?:the last|we|you|it|i)\b(?! (?:paragraph|sentence|line|step))"
    r"|\b(?:from|in|of) the same (?:chapter|page|exercise|book|lesson|unit|worksheet|episode"
    r"|source)\b"
    rf"|\b(?:that|which)? ?(?:we|you and i) (?:have |had |'ve )?(?:already |just |both |once "
    rf"|all )?{SETTLED}(?: on| upon| about)? ?(?:for|earlier|before|last|together|in|at|yesterday"
    rf"|[.,;?!]|$)",
    re.IGNORECASE | re.MULTILINE,
)
# a slot that nobody filled in; not one that the prompt wants to be left open
SLOT = re.compile(
    r"[\[<{]{1,2} ?(?:(?:insert|paste|put|enter|type|attach|upload|provide|fill in|copy|place|drop"
    r"|add|your|my)\b[^\]>}\n]{0,80}|[^\]>}\n]{1,60} (?:goes )?here) ?[\]>}]{1,2}"
    r"|(?:[:=]|\bis|\bare) ?[\[<{]{1,2} ?(?-i:[A-Z][A-Z _-]{2,40}\d?) ?[\]>}]{1,2}(?!\()",
    re.IGNORECASE,
)
LEFT_OPEN = re.compile(
    r"\b(?:placeholders?|template|blanks?|square|angle|curly|brackets?|literally|tokens?|tags?"
    r"|such as|variables?|fill[- ]in)\b",
    re.IGNORECASE,
)


def sees_nothing(text: str) -> bool:
    """Whether something to be seen, heard or opened is referred to, and nothing brings it in."""
    return bool(SENT.search(text)) or _dangles(text, SEES) or _unfilled(text)


def reads_nothing(text: str, *, with_material: bool) -> bool:
    """Whether a text, or a part of one, is referred to that is not in the prompt.

    `with_material` says that the prompt has a passage, table or code, which is then what is meant.
    """
    if GOES_ON.search(text) or _dangles(text, NUMBERED):
        return True
    return not with_material and _dangles(text, READS)


def _unfilled(text: str) -> bool:
    return SLOT.search(text) is not None and LEFT_OPEN.search(text) is None


def _dangles(text: str, references: re.Pattern[str]) -> bool:
    """Whether one of the references has no antecedent: its head noun stands nowhere else."""
    for found in references.finditer(text):
        rest = f"{text[: found.start()]} {text[found.end() :]}".lower()
        head = next(filter(None, found.groups()))
        if not any(stem in rest for stem in _stems(head)):
            return True
    return False


def _stems(head: str) -> Iterator[str]:
    """The forms by which a noun may have been brought in before: "stories" by "a story"."""
    low = head.lower()
    yield low
    if len(low) > 3 and low.endswith("s"):
        yield low.removesuffix("s").removesuffix("e").removesuffix("i")
