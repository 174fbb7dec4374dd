"""The `clean` stage: what is not content leaves web text before it is judged or rewritten.

    - read: {web: pages/}
    - clean
    - quality: [{length: {min_words: 80}}]

Gone are front matter, comments and tags of HTML, scripts, menus, breadcrumbs, cookie and sharing
lines, and what a site repeats below its text; of a link its words stay. Headings, lists, tables and
code stay as they are. Each rule is a few words of a line: text that a reader came for is not like
them. Gating the source matters more than the rewriting (Nemotron-CC, arXiv:2412.02595).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind

if TYPE_CHECKING:
    import pyarrow as pa

# lengths are bounded in all patterns: hostile text must not cost quadratic time
FRONT_MATTER = re.compile(r"\A\s*(---|\+\+\+)[ \t]*\n(?:[^\n]{0,2000}\n){0,200}?\1[ \t]*(?:\n|\Z)")
HIDDEN = re.compile(r"<(?:!--|(?:script|style|nav|footer|noscript|svg|form)\b)", re.IGNORECASE)
IMAGE = re.compile(r"!\[[^\]\n]{0,500}\]\([^)\n]{0,1000}\)")
LINK = re.compile(
    r"\[([^\[\]\n]{1,500})\](?:\([^)\n]{0,1000}\)|\[[^\]\n]{0,100}\])(?:\{[^}\n]{0,100}\})?"
)
TAG = re.compile(r"</?[a-z][a-z0-9]{0,15}(?:\s[^<>\n]{0,500})?/?>", re.IGNORECASE)
BREAK = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/h[1-6])\b[^<>\n]{0,100}>", re.IGNORECASE)
TEMPLATE = re.compile(r"^\s*(?:\{%[^\n]{0,300}%\}|\{\{[^\n]{0,300}\}\}|\{:[^\n]{0,200}\})\s*$")
URL_ONLY = re.compile(r"^\W*https?://\S+\W*$")
SEPARATORS = re.compile(r"\s[|\u00b7\u2022\u00bb\u203a>/]\s|\s{3,}")
CHATTER = re.compile(
    r"\b(?:cookies?\b|subscribe\b|newsletter|sign (?:in|up)\b|log ?in\b|privacy policy"
    r"|terms of (?:use|service)|all rights reserved|skip (?:to|navigation)"
    r"|share (?:this|on|via)|read more\b"
    r"|click here|back to top|follow us|javascript|advertisement"
    r"|related (?:posts|articles|pages|stories)"
    r"|leave a (?:comment|reply)|posted (?:by|on|in)\b|min(?:ute)?s? read\b|add to (?:cart|basket)"
    r"|we value your privacy|accept all|reject all|manage (?:choices|preferences)|dark mode"
    r"|you are here|print this page|comments?\s*\(\d+\)|\d+ comments?\b|copyright\b"
    r"|loading\b)|\u00a9",
    re.IGNORECASE,
)
END_OF_TEXT = re.compile(
    r"^\W*(?:related (?:posts|articles|pages|stories|links)|\d* ?comments?"
    r"|leave a (?:comment|reply)"
    r"|share this|see also on this site|more from \w+|you (?:may|might) also like)\W*$",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"[.!?\u3002\uff01\uff1f][\"'\u201d\u2019)\]*_]*\s*$|[.!?] ")
FENCE = re.compile(r"^\s*(?:```|~~~)")
KEPT_KINDS = re.compile(r"^\s*(?:#{1,6} |[-*+] |\d{1,3}[.)] |\||>|( {4}|\t))")
MENU_PARTS = 3
CHATTER_WORDS = 25
TAIL = 0.5  # a comment section starts in the later half of a page
BLANKS = re.compile(r"\n{3,}")


class Clean(ShardStage):
    """Takes what is not content out of web samples: front matter, menus, cookie lines, markup.

    What is left of a page is scored `clean`, 0 to 1 of its characters; a page of which nothing is
    left is rejected as `no_content`.
    """

    name: ClassVar[str] = "clean"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.DOCUMENTS})

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  needs no place
        """The pages, cleaned, in order; one that had nothing to clean stays as it is."""
        import numpy as np
        import pyarrow as pa

        from synth.record import EMPTY_STEP, add_scores, derive, record_id, rejects

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
    """The text without what is not content; the same for the same text. Cleaning again changes
    nothing that matters."""
    text = FRONT_MATTER.sub("", text.replace("\r\n", "\n"), count=1)
    lines: list[str] = []
    fenced = False
    plain = _without_hidden(text)
    total = plain.count("\n") + 1
    for number, line in enumerate(plain.split("\n")):
        if FENCE.match(line):
            fenced = not fenced
            lines.append(line)
        elif fenced:
            lines.append(line)
        elif number > TAIL * total and END_OF_TEXT.match(line.strip("*# ")):
            break
        else:
            lines += _of_line(line)
    return BLANKS.sub("\n\n", "\n".join(lines)).strip()


def _without_hidden(text: str) -> str:
    """The text without HTML's comments and the elements that hold no content. One pass."""
    kept: list[str] = []
    low = text.lower() if len(text.lower()) == len(text) else text  # "\u0130" grows
    at = 0
    never_ends: set[str] = set()
    for opening in HIDDEN.finditer(low):
        if opening.start() < at or opening[0] in never_ends:
            continue
        closing = "-->" if opening[0] == "<!--" else f"</{opening[0][1:]}"
        end = low.find(closing, opening.end())
        if end < 0:
            never_ends.add(opening[0])
            continue
        kept.append(text[at : opening.start()])
        at = end + len(closing)
        if closing != "-->":
            at = (low.find(">", at, at + 100) + 1) or at
    return "".join([*kept, text[at:]])


def _of_line(line: str) -> list[str]:
    """What stays of a line outside code: itself without markup, several lines, or nothing."""
    if TEMPLATE.match(line) or URL_ONLY.match(line):
        return []
    if "<" not in line and "[" not in line:
        return [] if _is_noise(line) else [line.rstrip()]
    links = sum(len(match[1]) for match in LINK.finditer(line))
    bare = TAG.sub("", BREAK.sub("\n", LINK.sub(r"\1", IMAGE.sub("", line))))
    parts = [part.rstrip() for part in bare.split("\n")]
    if (
        links > 0.8 * max(1, len(bare.strip()))
        and not SENTENCE.search(bare)
        and len(bare.split()) < 8
    ):
        return []  # an entry of a menu
    return [part for part in parts if (part or not line.strip()) and not _is_noise(part)]


def _is_noise(line: str) -> bool:
    stripped = line.strip()
    if not stripped:
        return False
    words = stripped.split()
    if len(words) < CHATTER_WORDS and CHATTER.search(stripped):
        # "Cookies are small files that a browser keeps." is content; "We use cookies." hardly
        return (
            not (len(words) >= 10 and SENTENCE.search(stripped))
            or stripped.count("[") > 1
            or (
                re.match(r"(?i)\W*(?:we|this site|our|by continuing|please)\b", stripped)
                is not None
            )
        )
    if KEPT_KINDS.match(line):
        return False
    parts = SEPARATORS.split(stripped)
    short = sum(len(part.split()) <= 4 for part in parts)
    return len(parts) >= MENU_PARTS and short >= 0.75 * len(parts) and not SENTENCE.search(stripped)
