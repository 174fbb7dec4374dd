"""Splits a document into chunks that a teacher rewrites well: small, whole sentences, in order.

Source: WRAP (arXiv:2401.16380, section 3.1): at most 300 tokens, since longer chunks lose
information. Ours cuts at headings first and keeps the headings above each chunk. It leaves out cut
sentences, footers and chunks with little content ("The lake is deep. It was measured in 19").

Tokens are estimated at 1.3 per word, so chunks need no tokenizer and are the same for every
teacher. A word of more than 16 characters counts once per 16 characters; in scripts without spaces,
each character counts as a word.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import orjson

from synth.text.characters import UNSPACED_RANGES
from synth.text.markdown import FENCED, is_fence
from synth.text.sentences import CLOSING, PARAGRAPH_END, WIDE_STOPS

TOKENS_PER_WORD = 1.3  # for English text under common BPE vocabularies
WORD_CHARS = 16  # a longer one (an address, base64) is several tokens, so it counts several times
UNSPACED = f"{UNSPACED_RANGES}\u3002\uff01\uff1f"  # with their stops: each counts as a word
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]{{1,{WORD_CHARS}}}")
HEADING = re.compile(r"^[ ]{0,3}(#{1,6})[ \t]+(\S.{0,200}?)[ \t]*#*[ \t]*$", re.MULTILINE)
LISTED = re.compile(  # a line of a list, quotation, table or indented code
    r"[ \t]*(?:[-*+>\u00b7\u2022\u25aa\u2713]|(?:[a-z]|\d{1,3})\\?[.)]) |[^|\n]{0,200}\|| {4}|\t"
)
BEGIN = r"(?<![^\W_])"  # of a word, also in _italics_
CLOSES = "[\"')\\]\u201d\u2019]"  # one mark, since a look-behind has a fixed width
SENTENCE = re.compile(  # not after an initial or a title; a line's end may be within a sentence
    rf"\s(?:(?<=[.!?]\s)|(?<=[.!?]{CLOSES}\s)|(?<=[.!?]{CLOSES}{CLOSES}\s)"
    r"|(?<=[.!?\]]\[.\]\s)|(?<=[.!?\]]\[\d\d\]\s)|(?<=[.!?\]]\[\d\d\d\]\s))"  # "1681.[3] It …"
    rf"(?<!{BEGIN}[A-Z]\.\s)(?<!{BEGIN}(?:Mr|Ms|Dr|St|No|vs)\.\s)"
    rf"(?<!{BEGIN}(?:Mrs|Sec|Fig)\.\s)(?<!{BEGIN}Prof\.\s)"
    "\\s*(?=[\"'(\\[\u201c\u2018]*[A-Z0-9\u00c0-\u00de])"
    r"|\n(?<=[:;|]\n)|\n(?=[ \t]*(?:[-*+|>#\u2022]|\d{1,3}[.)]))"
    "|(?<=[\u3002\uff01\uff1f])(?![\u300d\u300f\u201d\u2019])"
)
BREAKS = (PARAGRAPH_END, SENTENCE, re.compile("\n"), re.compile(r"\s+"))
MANY_CHUNKS = 50
MOST_HEADINGS = 10_000
MOST_LEADING = 6  # consecutive headings, as many as Markdown has levels
LEAD_WORDS = 12  # a longer line without a full stop is not a heading
FULL = 0.5  # of the limit: a chunk at least this full ends where the next section starts
SCRAP = 0.25  # of the limit: a last chunk this short joins the previous one, if both fit
MARKS = (  # after a stop, a page may have "[3]", "[citation needed]", a raised digit or a symbol
    r"(?:\s*(?:\[[^\[\]\n]{1,20}\]|[\u00b9\u00b2\u00b3\u2070-\u2079]"
    r"|[^\w\s.!?:\u2026,;(\[{<\-\u2013\u2014])){0,8}"
)
# or a lead-in ends; not "…", where an extractor cut the text
FINISHED = re.compile(rf"[.!?:{WIDE_STOPS}]{CLOSING}{MARKS}\s*$")
END_CHARS = 80  # of a line, which hold its stop and the marks after it
ENTRIES = re.compile(rf"^(?:{LISTED.pattern}).*", re.MULTILINE)
WRAP = re.compile(r"(?<=[^\n]{40})(?<![.!?:])\n(?=\S)")  # a shorter line is a label
SENTENCE_WORDS = 8  # labels, notices and comments have fewer
LONG_WORDS = 25  # a line this long is text, whatever its marks
CUT_WORDS = 4  # fewer may be a formula or a name
LEAST_CONTENT = 0.4  # of a chunk's tokens; footers and notice boards have less
MAX_TITLE_CHARS = 300  # a title is one line; a longer one is an accident


class Chunk(NamedTuple):
    """A piece of a document."""

    text: str
    section: str
    """The headings above its start, outermost first, such as `Costs > Paper`; "" before the first
    heading. Leaves out a heading in the piece itself."""


class _Span(NamedTuple):
    start: int
    end: int
    words: int


class _Heading(NamedTuple):
    start: int
    end: int
    level: int
    text: str


def chunks(text: str, max_tokens: int) -> list[Chunk]:
    """Splits the text into pieces of at most `max_tokens` (estimated).

    Cuts at headings, then paragraphs, sentences and words, and last within a long word. Only white
    space at cuts and between paragraphs is lost; a blank text gives no piece. A heading stays with
    the text after it. Short sections share a chunk.
    """
    limit = max(1, int(max_tokens / TOKENS_PER_WORD))
    headings = find_headings(text)
    packed = _packed(text, headings, limit)
    sections = _over(headings, [span.start for span in packed])
    return [
        Chunk(PARAGRAPH_END.sub("\n\n", text[start:end].strip()), section)
        for (start, end, _), section in zip(packed, sections, strict=True)
    ]


def count_tokens(text: str) -> float:
    """The estimate of a text's tokens."""
    return len(WORD.findall(text)) * TOKENS_PER_WORD


def find_headings(text: str) -> list[_Heading]:
    """The Markdown headings (`# …`) of a text, in order, without the comments of fenced code; the
    first 10,000."""
    fenced = "```" in text or "~~~" in text
    code = deque(match.span() for match in FENCED.finditer(text)) if fenced else deque()
    found = []
    for match in islice(HEADING.finditer(text), MOST_HEADINGS):
        while code and code[0][1] <= match.start():
            code.popleft()
        if not (code and code[0][0] <= match.start()):
            found.append(_Heading(*match.span(), len(match[1]), match[2]))
    return found


def _packed(text: str, headings: list[_Heading], limit: int) -> list[_Span]:
    """Neighbouring spans together while they fit; a full chunk ends before a heading."""
    ends = {heading.start: heading.end for heading in headings}
    found: list[list[_Span]] = []
    size = 0
    for span in _spans(text, headings, limit):
        if not found or size + span.words > limit or (span.start in ends and size >= FULL * limit):
            # headings and lead-in lines at the end of the previous chunk belong to this one
            moved = _leading(text, found[-1], ends, limit - span.words) if found else []
            found.append([*moved, span])
            size = sum(part.words for part in found[-1])
        else:
            found[-1].append(span)
            size += span.words
    whole = [_Span(c[0].start, c[-1].end, sum(part.words for part in c)) for c in found]
    if len(whole) > 1 and whole[-1].words < SCRAP * limit:
        *before, last, scrap = whole
        if last.words + scrap.words <= limit:
            return [*before, _Span(last.start, scrap.end, last.words + scrap.words)]
    return whole


def _leading(text: str, chunk: list[_Span], ends: dict[int, int], room: int) -> list[_Span]:
    """Removes and returns the headings at the end of a chunk, plus one line that introduces the
    next text or is an unmarked heading, as far as there is room."""
    moved: list[_Span] = []
    unmarked = False
    while len(chunk) > 1 and chunk[-1].words <= room and len(moved) < MOST_LEADING:
        last = chunk[-1]
        if text[ends.get(last.start, last.start) : last.end].strip():
            if unmarked or not _leads_on(text, last.start, last.end):
                break
            unmarked = True
        moved.insert(0, chunk.pop())
        room -= last.words
    return moved


def _leads_on(text: str, start: int, end: int) -> bool:
    """Whether this is a separate short line that ends like a heading, or a line ending in ":"."""
    if text[start - 1 : start] != "\n" or text[end : end + 1] != "\n":
        return False
    line = text[start:end].strip("*_ \t\n")
    return line.endswith(":") or (
        line[-1:].isalnum()
        and "\n" not in line
        and len(WORD.findall(line)) <= LEAD_WORDS
        and not LISTED.match(line)
    )


def _spans(text: str, headings: list[_Heading], limit: int) -> Iterator[_Span]:
    """The largest whole sections, paragraphs, sentences, lines or words within the limit; in a long
    text several small ones together, so that a million lines cost little."""
    starts = [match.start() for match in WORD.finditer(text)]
    small = limit // 8 if len(starts) > MANY_CHUNKS * limit else 1

    def within(start: int, end: int, level: int) -> Iterator[_Span]:
        first, last = bisect_left(starts, start), bisect_left(starts, end)
        if last - first <= limit:
            if first < last:
                yield _Span(start, end, last - first)
        elif level == len(BREAKS):
            for at in range(first, last, limit):
                below = min(at + limit, last)
                yield _Span(starts[at], starts[below] if below < last else end, below - at)
        else:
            gaps = [gap.span() for gap in BREAKS[level].finditer(text, start, end)] + [(end, end)]
            at = 0
            while at < len(gaps):
                many = bisect_left(starts, start) + small
                far = bisect_left(gaps, (starts[many], 0), at) - 1 if many < last else len(gaps) - 1
                if far > at and _leads_on(text, gaps[far - 1][1], gaps[far][0]):
                    far -= 1
                far = max(far, at)
                yield from within(start, gaps[far][0], level + 1)
                start, at = gaps[far][1], far + 1

    start = 0
    for heading in headings:
        yield from within(start, heading.start, 0)
        start = heading.start
    yield from within(start, len(text), 0)


def _over(headings: list[_Heading], starts: list[int]) -> Iterator[str]:
    """The headings above each chunk start, in order, without the chunk's own heading."""
    path: list[_Heading] = []
    left = deque(headings)
    for start in starts:
        while left and left[0].start < start:
            heading = left.popleft()
            path = [*(above for above in path if above.level < heading.level), heading]
        own = left[0].level if left and left[0].start == start else 7
        yield " > ".join(heading.text for heading in path if heading.level < own)


def count_content(text: str) -> float:
    """The estimated tokens of real content: complete sentences of at least eight words, lists,
    tables and code."""
    parts = [match[0] for form in (FENCED, ENTRIES) for match in form.finditer(text)]
    prose = WRAP.sub(" ", HEADING.sub("", ENTRIES.sub("", FENCED.sub("", text))))
    words = sum(len(WORD.findall(part)) for part in parts)
    return (words + sum(map(_content_words, prose.split("\n")))) * TOKENS_PER_WORD


def without_cut(text: str) -> str:
    """Removes sentences that break off at the end of a paragraph, as text extractors leave them.
    Returns a text of only such sentences unchanged."""
    kept: list[str] = []
    fenced = False
    for block in text.split("\n\n"):
        fenced = fenced is not (block.count("```") % 2 == 1)
        line = block.rpartition("\n")[2]
        breaks_off = not (fenced or FINISHED.search(line[-END_CHARS:]) or LISTED.match(line))
        *before, last = SENTENCE.split(line) if breaks_off and not HEADING.match(line) else [line]
        broken = before and len(last.split()) >= CUT_WORDS
        kept.append(block[: -len(last)].rstrip() if broken else block)
    return "\n\n".join(kept)


def without_footer(text: str) -> str:
    """Removes labels and notices below the last content; keeps a text without content as it is."""
    lines = list(_lines(text))
    label = end = len(lines)
    for number in reversed(range(len(lines))):
        line, is_prose = lines[number]
        if HEADING.match(line):
            continue
        if not is_prose or _content_words(line):
            end = label
            break
        if line.strip() and not FINISHED.search(line):
            label = number
    return "\n".join(line for line, _ in lines[:end]).rstrip()


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is prose, so not a heading, list, table or code."""
    fenced = False
    for line in text.split("\n"):
        fence = is_fence(line)
        yield line, not (fenced or fence or LISTED.match(line) or HEADING.match(line))
        fenced = fenced is not fence


def _content_words(prose: str) -> int:
    """The number of words in complete sentences and long lines."""
    counted = 0
    for sentence in SENTENCE.split(prose) if len(prose) >= SENTENCE_WORDS else ():
        if len(sentence) < SENTENCE_WORDS:  # a word has at least one character
            continue
        words = len(WORD.findall(sentence))
        if words >= LONG_WORDS or (words >= SENTENCE_WORDS and FINISHED.search(sentence)):
            counted += words
    return counted


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of a document."""

    row: int
    number: int
    source: str
    title: str
    """The document's title and the headings over the chunk, for the teacher."""
    section: str = ""
    """Only the headings; stored in the row's `meta`."""
    scrap: bool = False
    """Whether the chunk has too little content to rewrite and is not the whole document."""


def parts(
    row: int, text: str, meta: str, chunk_tokens: int, min_chunk_tokens: int
) -> Iterator[Part]:
    """The chunks of a document, in order; empty if there is nothing to rewrite."""
    title = document_title(text, meta)
    found = chunks(text, chunk_tokens)
    for number, (chunk, section) in enumerate(found):
        last = number == len(found) - 1
        source = without_cut(without_footer(chunk) if last else chunk)
        path = section.removeprefix(title).removeprefix(" > ") if title else section
        heading = _one_line(" > ".join(filter(None, (title, path))))
        tokens = count_tokens(source)
        little = tokens < min_chunk_tokens or count_content(source) < LEAST_CONTENT * tokens
        scrap = len(found) > 1 and little
        yield Part(row, number, source, heading, _one_line(section), scrap)


def check_sizes(min_chunk_tokens: int, chunk_tokens: int) -> None:
    """Raises ValueError if no chunk could be long enough."""
    if min_chunk_tokens > chunk_tokens:
        raise ValueError(
            f"min_chunk_tokens {min_chunk_tokens} is above chunk_tokens {chunk_tokens}, so no "
            "chunk of a longer document is left"
        )


def document_title(text: str, meta: str) -> str:
    """The document's title, by its `meta` or its first heading; "" if it has none."""
    return _one_line(str(orjson.loads(meta).get("title") or "")) or _first_heading(text)


def _first_heading(text: str) -> str:
    """The heading at the start of a document, which serves as title if the row has none."""
    headings = find_headings(text[:2_000])
    opens = headings and not text[: headings[0].start].strip()
    return _one_line(headings[0].text) if opens else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_TITLE_CHARS]
