"""Prompts that nobody can answer from their text: they need a file, an image, a page, or an
earlier conversation.

"Base it on the attached spreadsheet" does; "Explain how to attach a spreadsheet to an e-mail" does
not, nor does "Use the table below:" with a table below. Source: Evol-Instruct's demand that a child
be answerable; the kinds are those that open implementations filter by keyword.
"""

from __future__ import annotations

import re

from synth.generate.elimination.references import reads_nothing, sees_nothing

THING = (
    r"(?:files?|documents?|docs?|pdfs?|spread ?sheets?|workbooks?|worksheets?|images?|pictures?|"
    r"photos?|photographs?|screenshots?|scans?|diagrams?|charts?|graphs?|maps?|figures?"
    r"|drawings?|"
    r"sketch(?:es)?|plots?|illustrations?|videos?|clips?|footage|recordings?|audio|podcasts?|"
    r"slides?|decks?|presentations?|attachments?|data ?sets?|csvs?|zips?|archives?|transcripts?|"
    r"letters?|contracts?|reports?|articles?|posts?|papers?|pages?|websites?|links?|urls?"
    r"|emails?|"
    r"e-mails?|invoices?|brochures?|leaflets?|notes?|logs?|tables?|code|snippets?)"
)
SEEN = (
    r"(?:images?|pictures?|photos?|photographs?|screenshots?|scans?|diagrams?|charts?|graphs?|"
    r"figures?|drawings?|plots?|illustrations?|videos?|clips?|footage|recordings?|audio|podcast"
    r"|tape|map)"
)
TEXT = (
    r"(?:texts?|passages?|paragraphs?|excerpts?|extracts?|articles?|stor(?:y|ies)|poems?|lists?|"
    r"tables?|code|snippets?|functions?|examples?|problems?|questions?|dialogues?|speech"
    r"|letters?|"
    r"figures|data|numbers|readings|results|entries|conversation|statements?|options|case study|"
    r"scenario|report|instructions|prompt|sentences?|lines?|graph|chart|diagram)"
)
PUT = r"(?:attached|enclosed|uploaded|linked|appended|accompanying|embedded|supplied|pasted)"
DID = r"(?:attached|uploaded|enclosed|linked|pasted|sent|shared|recorded|scanned|emailed|posted)"
NAME = r"[\w-]+\.(?:csv|xlsx?|pdf|docx?|png|jpe?g|gif|mp[34]|wav|pptx?|zip|txt|parquet)\b"
THE = r"(?:the|this|these|those|my|our|your)"
OPENS = (
    r"(?:read|visit|open|see|watch|browse|click|follow|consult|check|go to|look at|listen to|at"
    r"|on|from|under|per)"
)

ATTACHMENTS = re.compile(
    rf"\b{THE} (?:\w+ ){{0,2}}?{PUT} (?:\w+ ){{0,2}}?{THING}\b"
    rf"|\b{THING}(?: (?:that|which))? (?:i|we|you)(?:'ve| have| had)? (?:just |already )?{DID}\b"
    rf"|\b(?:i|we)(?:'ve| have)? (?:just |already )?(?:attached|uploaded|enclosed|linked)\b"
    r"|\b(?:see|find) (?:the )?(?:attached|enclosed)\b|\b(?:is|are) (?:attached|enclosed)(?: "
    r"here(?:with)?| below)?(?=[.,;!?])"
    r"|\b(?:the|this|my) attachment\b"
    rf"|\b(?:in|on|from|of|by|see|consult|study|examine|using|look at|to|with|at) (?:this|the) "
    rf"(?:\w+ )?{SEEN} (?:below|above|here|provided|supplied|shown|overleaf|opposite|on the "
    rf"(?:left|right|screen|wall))\b"
    rf"|\b(?:the|this) (?:\w+ )?{SEEN} (?:shows?|depicts|displays|illustrates|gives|indicates"
    rf"|suggests|reveals|proves|tells|makes)\b"
    rf"|\b(?:shown|depicted|displayed|visible|pictured|plotted|heard|seen|drawn) (?:in|on) "
    rf"(?:the|this) "
    rf"(?:\w+ )?{SEEN}\b"
    rf"|\b(?:in|look at|examine|study|watch|view|listen to|transcribe|caption|play|describe"
    rf"|inspect) (?:this|these|the) (?:\w+ )?{SEEN}\b(?! (?:of|about|in which|that|from|for))"
    r"|\b(?:figure|fig\.|exhibit|plate|appendix|slide) (?:\d+|[A-D])\b"
    rf"|\b{OPENS}\b[^.!?\n]{{0,50}}?(?:https?://|www\.)\S+"
    rf"|(?:https?://|www\.)\S+[^.!?\n]{{0,20}} (?:says|shows|explains|describes|lists|gives)\b"
    rf"|\b(?:open|load|see|consult|download|check|use|take|using|from|in|inspect|import) (?:\w+ "
    rf"){{0,4}}?{NAME}"
    rf"|\b(?:click|follow|open|visit) (?:the|this) (?:\w+ )?(?:link|url|page|website|address)\b"
    rf"|\b(?:linked|hosted|published|found|available) (?:here|at (?:this|the) (?:link|address"
    rf"|url))\b"
    r"|\b(?:scan|use) (?:the|this) qr code\b",
    re.IGNORECASE,
)
SAID = (
    r"(?:discussed|said|mentioned|agreed|told|explained|wrote|described|talked about|covered"
    r"|established|decided|went through|saw|gave|listed|suggested|proposed|sent|asked|outlined"
    r"|showed)"
)
EARLIER = r"(?:previous|last|earlier|prior|preceding|former|first)"
TALK = (
    r"(?:conversations?|chats?|messages?|answers?|repl(?:y|ies)|responses?|sessions?|exchanges?"
    r"|discussions?|turns?|e-?mails?|calls?|meetings?|suggestions?)"
)
CONVERSATION = re.compile(
    rf"\b(?:as|like|than|what|which|that|how) (?:we|you|i)(?:'ve| have| had)? (?:already |just "
    rf"|earlier |previously |both )*{SAID}\b[^.!?,;]{{0,30}}"
    r"\b(?:earlier|before|yesterday|last (?:time|week|night|month)|above|previously|already|a "
    r"moment ago|this morning|on (?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
    rf"|\b(?:as|like) (?:we|you|i)(?:'ve| have| had)? (?:already |just |earlier |previously "
    rf")*{SAID}\b"
    rf"|\b(?:our|your|my) (?:very )?{EARLIER} (?:\w+ )?{TALK}\b"
    rf"|\bin (?:the|our|your) {EARLIER} (?:\w+ )?{TALK}\b"
    rf"|\b(?:we|you|i) (?:already |just |earlier |previously )+(?:have |had )?{SAID}\b"
    rf"|\b(?:we|you|i) {SAID} (?:\w+ ){{0,4}}?(?:earlier|before(?=\W*[,.;?!]|\W*$| and)"
    rf"|yesterday|last (?:time|week|night|month)|a moment ago|this morning)\b"
    r"|\bwhere (?:we|you|i) (?:left off|stopped|were|broke off)\b"
    r"|\b(?:you|we)(?:'ve| have) already (?:seen|been|got|had|made|done)\b"
    r"|\b(?:remember|recall)(?:ing)? (?:that|what|how|when|from) (?:i|we|you)\b"
    r"|\b(?:same|usual) (?:\w+ )?(?:as|like) (?:last time|before|yesterday|earlier)\b"
    r"|\b(?:from|in|to|repeat|redo|of) (?:part|step|question|exercise|section|chapter) (?:one"
    r"|two|three|four|\d+|[A-D])\b(?! of (?:the|your|this|an?))",
    re.IGNORECASE,
)
# satisfied by a passage, a table or code in the prompt itself
ELSEWHERE = re.compile(
    rf"\b(?:the|this|these|those) (?:\w+ )?{TEXT} (?:\w+ )?(?:below|above|that follows|before "
    rf"this|overleaf|at hand|in question|quoted earlier|mentioned (?:above|earlier|before)|from "
    rf"(?:before|earlier|above))\b"
    rf"|\b(?:the|this|these) (?:above|aforementioned|preceding|foregoing|following|given"
    rf"|provided|said) (?:\w+ )?{TEXT}\b"
    rf"|\bas (?:\w+ )?(?:mentioned|described|shown|stated|listed|given|explained|defined|noted) "
    rf"(?:above|below|earlier|before|previously|there)\b"
    rf"|\b(?:according to|based on|in the words of|summarise|summarize|shorten|translate|edit"
    rf"|proofread|continue|quote from|found in) (?:the|this) {TEXT}\b(?! (?:of|about|on|by|in "
    rf"which|that|called|for|from|with))"
    rf"|\bthe (?:author|writer|narrator|speaker)(?:'s)? (?:of (?:the|this) {TEXT}|means|argues"
    rf"|claims|implies|main (?:point|claim))\b",
    re.IGNORECASE,
)
MATERIAL = re.compile(r"\n[^\n]*\w[^\n]*\w|[\"“][^\"”]{30,}[\"”]|```|:\s+\S+(?:[,;]\s*\S+){2,}")


def needs_attachment(text: str) -> bool:
    """Whether the prompt refers to a file, an image, a recording or a page that is not in it."""
    if sees_nothing(text):
        return True
    return any(not _follows(text, found.end()) for found in ATTACHMENTS.finditer(text))


def needs_context(text: str) -> bool:
    """Whether the prompt refers to a conversation or a text that is not there."""
    if CONVERSATION.search(text):
        return True
    has_material = MATERIAL.search(text) is not None
    if reads_nothing(text, with_material=has_material):
        return True
    return ELSEWHERE.search(text) is not None and not has_material


def _follows(text: str, end: int) -> bool:
    """Whether the sentence with the reference ends on a colon, and what is meant stands below."""
    return re.match(r"[^.?!\n]*:\s*\n\s*\S", text[end:]) is not None
