"""`clean` removes boilerplate from any page and keeps its content."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from seeds.clean import Clean, cleaned
from synth.engine.stage import Outcome, Place
from synth.kind import Kind
from synth.record import RECORD, REJECT, new_record, records_table

PAGE = """---
title: ignored
tags: [a, b]
---
Home | Planets | Stars | About
Home > The Moon > Phases

We use cookies to remember your settings. Accept all · Manage choices
<!-- a comment -->
<script>var x = "<p>text</p>";</script>
{% include nav.html %}

# Why does the Moon change shape?

The Moon has [phases](https://example.org/a_(b)) and ![a picture](moon.png) <b>craters</b>.
Cookies are small files that a browser keeps for the pages that it has visited.

- [a list entry](x) of its own
| Phase | Seen |
|---|---|
| New | Not |

```html
<b>Home | code | stays | here</b> [x](y)
```

[Next page](/2)
Share this: Post · Pin · Print

**Related pages**
* Tides
Old Tam: worked a treat."""
CONTENT = """# Why does the Moon change shape?

The Moon has phases) and  craters.
Cookies are small files that a browser keeps for the pages that it has visited.

- a list entry of its own
| Phase | Seen |
|---|---|
| New | Not |

```html
<b>Home | code | stays | here</b> [x](y)
```"""


def apply(*texts: str) -> Outcome:
    rows = [new_record(text=text, source=f"f#{n}") for n, text in enumerate(texts)]
    outcome = asyncio.run(Clean().apply(records_table(rows), Place(1, Kind.DOCUMENTS)))
    assert outcome.kept.schema.equals(RECORD)
    assert outcome.rejected.schema.equals(REJECT)
    return outcome


def test_markup_menus_and_trailing_sections_are_removed_and_the_text_is_kept() -> None:
    assert cleaned(PAGE) == CONTENT
    assert cleaned(CONTENT) == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        "Copyright protects texts for seventy years after the death of their author.",
        "Choose one: tea, coffee or milk. Then sit down.",
        "{{ braces }} in a sentence, {% and %} more of them.",
        "a < b and b > c",
        "1. Press the key.\n2. Wait.",
        "水は酸素と水素からできています。",
        "A vector<int>, #include <map>, if a <b and c> d, List<String> and </document> are text.",
        "The `<b>` of `<i>x</i>` is code.",
        "```html\n<script>go()</script>\n<!-- kept -->\n```",
        "# Copyright\n\nCopyright law protects books.\n\nJavaScript runs in the browser.",
        "## Cookies\n\n- JavaScript\n- Copyright\n\n| JavaScript | 1995 |",
        "Force | Name\n--- | ---\n0 | Calm\n1 | Light air",
    ],
)
def test_content_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize(
    "notice",
    [
        "We use cookies to remember your settings.",
        "Please enable JavaScript to read this page.",
        "Copyright 2020 by Foo. All rights reserved.",
        "## Subscribe to our newsletter",
        "- Log in",
        "Loading...",
    ],
)
def test_a_notice_is_removed_as_a_sentence_a_heading_and_a_list_entry(notice: str) -> None:
    assert cleaned(f"One.\n{notice}\nTwo.") == "One.\nTwo."


def test_an_empty_page_is_rejected_and_the_score_is_the_share_kept() -> None:
    outcome = apply("A page that stays as it is.", "Home | About | Shop\n[Next](/2)", "<b>Half</b>")
    kept = outcome.kept.to_pylist()
    assert [row["text"] for row in kept] == ["A page that stays as it is.", "Half"]
    assert [row["scores"][0]["value"] for row in kept] == [1.0, 4 / 11]
    assert [row["trail"][-1]["stage"] for row in kept] == ["clean", "clean"]
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], left["by"], left["text"][:4]) == ("no_content", "clean", "Home")


@pytest.mark.gold
def test_real_pages_keep_their_sentences_and_lose_their_addresses(real: Path) -> None:
    lines = (real / "plain_language_docs.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    after = [cleaned(text) for text in texts]
    assert all(after)
    assert 0.85 < sum(map(len, after)) / sum(map(len, texts)) < 0.99
    assert not any("site.baseurl" in text for text in after)
    assert sum(len(new.split()) for new in after) > 0.97 * sum(
        len(old.split()) for old in (text.replace("{{ site.baseurl }}", "") for text in texts)
    )


@pytest.mark.gold
def test_code_and_real_sentences_that_others_reported_stay(real: Path) -> None:
    lines = (real / "cases" / "clean.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert [cleaned(text) for text in texts] == texts
