"""What of a chunk says something: sentences, lists, tables and code, not footers and notice boards.

"The lake is deep. It was measured in 19"   ->   "The lake is deep."
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from synth.generate.chunk import HEADING, LISTED, SENTENCE, TOKENS_PER_WORD, WORD
from synth.text.markdown import FENCED

FINISHED = re.compile(r"[.!?:\u3002\uff01\uff1f][\"')\]*_\u201d\u2019]*\s*$")
ENTRIES = re.compile(rf"^(?:{LISTED.pattern}).*", re.MULTILINE)
WRAP = re.compile(r"(?<=[^\n]{40})(?<![.!?:])\n(?=\S)")  # a shorter line is a label
SENTENCE_WORDS = 8  # labels, notices and comments have fewer
LONG_WORDS = 25  # so long a line is text, whatever its marks
CUT_WORDS = 4  # fewer may be a formula or a name


def count_content(text: str) -> float:
    """The estimate of the tokens that say something: those of finished sentences of eight words and
    more, of lists, tables and code."""
    parts = [match[0] for form in (FENCED, ENTRIES) for match in form.finditer(text)]
    prose = WRAP.sub(" ", HEADING.sub("", ENTRIES.sub("", FENCED.sub("", text))))
    words = sum(len(WORD.findall(part)) for part in parts)
    return (words + sum(map(_content_words, prose.split("\n")))) * TOKENS_PER_WORD


def without_cut(text: str) -> str:
    """The text without sentences that break off at the end of a paragraph, as an extractor cuts
    them. Text of nothing else stays as it is."""
    kept: list[str] = []
    fenced = False
    for block in text.split("\n\n"):
        fenced = fenced is not (block.count("```") % 2 == 1)
        line = block.rpartition("\n")[2]
        breaks_off = not (fenced or FINISHED.search(line[-20:]) or LISTED.match(line))
        *before, last = SENTENCE.split(line) if breaks_off and not HEADING.match(line) else [line]
        broken = before and len(last.split()) >= CUT_WORDS
        kept.append(block[: -len(last)].rstrip() if broken else block)
    return "\n\n".join(kept)


def without_footer(text: str) -> str:
    """The text without the labels and notices below its last content; all of it, if it has none."""
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
    """Each line, and whether it is prose: no heading, and none of a list, table or code."""
    fenced = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith(("```", "~~~"))
        yield line, not (fenced or fence or LISTED.match(line) or HEADING.match(line))
        fenced = fenced is not fence


def _content_words(prose: str) -> int:
    """The words of its finished sentences and of what is long."""
    counted = 0
    for sentence in SENTENCE.split(prose) if len(prose) >= SENTENCE_WORDS else ():
        words = len(WORD.findall(sentence))
        if words >= LONG_WORDS or (words >= SENTENCE_WORDS and FINISHED.search(sentence)):
            counted += words
    return counted
