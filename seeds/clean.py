"""The `clean` stage: removes boilerplate from web text before it is filtered or rewritten.

    - read: {web: pages/}
    - clean
    - quality: [{length: {min_words: 80}}]

Removes front matter, HTML comments and tags, scripts, menus, breadcrumbs, cookie and sharing lines,
and the sections that a site repeats below its text. Replaces links with their text. Keeps headings,
lists, tables and code unchanged. Each rule matches a few words of a line that rarely occur in
content. Source quality matters more than the rewriting (Nemotron-CC, arXiv:2412.02595).
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa

from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import EMPTY_STEP, add_scores, derive, record_id, rejects
from synth.text.markdown import is_fence
from synth.text.sentences import CLOSING, WIDE_STOPS

# all patterns bound their lengths, so that hostile text cannot cost quadratic time
FRONT_MATTER = re.compile(r"\A\s*(---|\+\+\+)[ \t]*\n(?:[^\n]{0,2000}\n){0,200}?\1[ \t]*(?:\n|\Z)")
HIDDEN = re.compile(
    r"^[ \t]{0,9}(?P<fence>```|~~~)|`[^`\n]{1,300}`|<(?:!--|(?:script|style)\b)"
    r"|(?:^[ \t]{0,99}|(?<=>))<(?:nav|footer|noscript|svg|form)\b",
    re.IGNORECASE | re.MULTILINE,
)
IMAGE = re.compile(r"!\[[^\[\]\n]{0,500}\]\([^)\[\n]{0,1000}\)")
LINK = re.compile(
    r"\[([^\[\]\n]{1,500})\](?:\([^)\[\n]{0,1000}\)|\[[^\[\]\n]{0,100}\])(?:\{[^}\n]{0,100}\})?"
)
TAG = re.compile(
    r"`[^`\n]{1,300}`|<(/?)([a-z][a-z0-9]{0,15})"
    r"((?:\s{1,9}[a-z][\w:-]{0,30}(?:\s?=[^<>\n]{0,500})?)?)\s{0,9}/?>",
    re.IGNORECASE,
)
# Elements found in page text; UNCLOSED ones need no closing tag.
# Source: HTML Living Standard, index of elements.
UNCLOSED = " body br col dd dt hr html img input li link meta p source td th tr wbr "
CLOSED = (
    " a abbr article aside b big blockquote button caption center cite code del details div dl em "
    "figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header i iframe ins kbd label main "
    "mark nav noscript ol pre q s samp section small span strike strong sub summary sup svg table "
    "tbody tfoot thead title tt u ul video "
)
BREAKS = " br hr /p /div /li /tr /h1 /h2 /h3 /h4 /h5 /h6 "
TEMPLATE = re.compile(r"^\s*(?:\{%[^\n]{0,300}%\}|\{\{[^\n]{0,300}\}\}|\{:[^\n]{0,200}\})\s*$")
URL_ONLY = re.compile(r"\W{0,9}https?://\S+\s*$")
SEPARATORS = re.compile(r"\s[|\u00b7\u2022\u00bb\u203a>/]\s|\s{3,}")
NOTICE = re.compile(  # a site's own notices; the first group counts even in a sentence
    r"(\u00a9|all rights reserved|javascript is disabled)|\b(?:(?:uses?|use of|accept|our) cookies"
    r"|cookie (?:policy|settings)|(?:sign up|subscribe) (?:for|to)|enable javascript|click here"
    r"|newsletter|read more|follow us|back to top|share (?:this|on|via)|skip (?:to|navigation)"
    r"|we value your privacy|(?:accept|reject) all|posted (?:by|on|in)|\d+ min(?:ute)? read)\b",
    re.IGNORECASE,
)
SPEAKS = re.compile(  # the start of a line that addresses the visitor
    r"\W*(?:we|our|this (?:web)?(?:site|page)|by (?:continuing|using)|please|you (?:must|need)"
    r"|accept|subscribe|sign up|follow us|share this|click here|read more|skip to)\b",
    re.IGNORECASE,
)
LABEL = re.compile(  # a whole line or list entry
    r"\W*(?:log ?in|sign (?:in|up)|subscribe|advertisement|loading|dark mode|print this page"
    r"|privacy policy|terms of (?:use|service)|add to (?:cart|basket)|you are here)\W*",
    re.IGNORECASE,
)
END_OF_TEXT = re.compile(
    r"\W*(?:related (?:posts|articles|pages|stories|links)|\d* ?comments?|leave a (?:comment|reply)"
    r"|share this|see also on this site|more from \w+|you (?:may|might) also like)\W*",
    re.IGNORECASE,
)
# not "…", which a teaser ends in, and any stop within the line
SENTENCE = re.compile(rf"[.!?{WIDE_STOPS}]{CLOSING}\s*$|[.!?] ")
ENTRY = r"^\s*(?:#{1,6}|[-*+]|\d{1,3}[.)]) "  # a heading or list entry
MAY_NAME_ONE = re.compile(rf"{ENTRY}|{SENTENCE.pattern}")
NO_MENU = re.compile(rf"{ENTRY}|^\s*[|>]|^(?: {{4}}|\t)")
MENU_PARTS = 3
SHORTEST_CHARS = 5  # of a line that the rules inspect
NOTICE_WORDS = 25
TAIL = 0.5  # a comment section starts in the later half of a page
BLANKS = re.compile(r"\n{3,}")


class Clean(ShardStage):
    """Removes boilerplate from web samples: front matter, menus, cookie lines, markup.

    The score `clean` is the share of characters left, 0 to 1. Rejects a page with nothing left as
    `no_content`.
    """

    name: ClassVar[str] = "clean"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.DOCUMENTS})

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  needs no place
        """Cleans the pages, in order. A page with nothing to clean stays unchanged."""

        ids: list[str] = table["id"].to_pylist()
        before: list[str] = table["text"].to_pylist()
        after = [cleaned(text) for text in before]
        changed = derive(
            table,
            np.arange(len(table)),
            [
                {**EMPTY_STEP, "stage": self.name, "operation": "rules", "parent": id_}
                for id_ in ids
            ],
            [record_id(id_, self.name, text) for id_, text in zip(ids, after, strict=True)],
            text=pa.array(after, pa.string()),
        )
        scores = [
            {
                "name": self.name,
                "verdict": "keep",
                "value": len(new) / (len(old) or 1),
                "note": "",
            }
            for old, new in zip(before, after, strict=True)
        ]
        empty = np.array([not text for text in after], bool)
        kept = add_scores(changed, scores).filter(pa.array(~empty))
        left = table.filter(pa.array(empty))
        return Outcome(kept, rejects(left, reason=["no_content"] * len(left), by=self.name))


def cleaned(text: str) -> str:
    """Returns the text without boilerplate. Deterministic. A second pass changes almost nothing."""
    text = FRONT_MATTER.sub("", text.replace("\r\n", "\n"), count=1)
    lines: list[str] = []
    fenced = False
    plain = _without_hidden(text)
    closed = {tag[2].lower() for tag in TAG.finditer(plain) if tag[1]}  # anywhere on the page
    every = plain.split("\n")
    tables = _tables(every)
    for number, line in enumerate(every):
        if is_fence(line):
            fenced = not fenced
            lines.append(line)
        elif fenced:
            lines.append(line)
        elif len(line) < SHORTEST_CHARS and "<" not in line:
            lines.append(line.strip())
        elif number > TAIL * len(every) and END_OF_TEXT.fullmatch(line.strip("*# ")):
            break
        else:
            lines += _of_line(line, closed, number in tables)
    return BLANKS.sub("\n\n", "\n".join(lines)).strip()


def _tables(lines: list[str]) -> set[int]:
    """Returns the line numbers of Markdown table rows. Rows may lack outer bars."""
    found: set[int] = set()
    inside = False
    for number, line in enumerate(lines):
        if "|" in line and "-" in line and not line.strip("|:- \t"):  # separator under the header
            inside = number > 0 and "|" in lines[number - 1]
            found |= {number - 1} if inside else set()
        inside = inside and "|" in line
        found |= {number} if inside else set()
    return found


def _without_hidden(text: str) -> str:
    """Removes HTML comments and elements without content in one pass; keeps code."""
    kept: list[str] = []
    low = text.lower() if len(text.lower()) == len(text) else text  # lowercase "\u0130" is longer
    at = 0
    fence = ""
    never_ends: set[str] = set()
    for found in HIDDEN.finditer(low):
        opening = found[0].strip()
        if found.start() < at or opening in never_ends:
            continue
        if found["fence"]:
            fence = "" if fence == opening else fence or opening
        if fence or opening[0] != "<":
            continue
        closing = "-->" if opening == "<!--" else f"</{opening[1:]}"
        end = low.find(closing, found.end())
        if end < 0:
            never_ends.add(opening)
            continue
        kept.append(text[at : found.start()])
        at = end + len(closing)
        if closing != "-->":
            at = (low.find(">", at, at + 100) + 1) or at
    return "".join([*kept, text[at:]])


def _of_line(line: str, closed: Container[str], in_table: bool) -> list[str]:
    """Cleans a line outside code; returns one line, several, or none."""
    if ("{" in line and TEMPLATE.match(line)) or ("://" in line and URL_ONLY.match(line)):
        return []
    bare = line
    if "[" in line:
        links = sum(len(match[1]) for match in LINK.finditer(line))
        bare = LINK.sub(r"\1", IMAGE.sub("", line))
        if links > 0.8 * len(bare.strip()) and not SENTENCE.search(bare) and len(bare.split()) < 8:
            return []  # a menu entry
    if "<" in bare:
        bare = TAG.sub(partial(_unmarked, closed=closed), bare)
    return [
        part.rstrip()
        for part in bare.split("\n")
        if (part.strip() or not line.strip()) and (in_table or not _is_noise(part))
    ]


def _unmarked(tag: re.Match[str], closed: Container[str]) -> str:
    """Returns the replacement for a tag: a line break or nothing; unknown tags stay."""
    name = (tag[2] or "-").lower()
    known = f" {name} " in UNCLOSED + CLOSED
    ends = tag[1] or f" {name} " in UNCLOSED or name in closed
    if not known or not (ends or "=" in tag[3]):
        return tag[0]
    return "\n" if f" {tag[1]}{name} " in BREAKS else ""


def _is_noise(line: str) -> bool:
    stripped = line.strip()
    if len(stripped.split()) < NOTICE_WORDS:
        notice = NOTICE.search(stripped)
        if notice and (notice[1] or SPEAKS.match(stripped) or not MAY_NAME_ONE.search(line)):
            return True
        if LABEL.fullmatch(stripped):
            return True
    parts = SEPARATORS.split(stripped)
    if len(parts) < MENU_PARTS or SENTENCE.search(stripped) or NO_MENU.match(line):
        return False
    return sum(len(part.split()) <= 4 for part in parts) >= 0.75 * len(parts)
