"""What is content in a chunk, and what an extractor left of a page's end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth.generate.chunk import count_content, parts, without_cut, without_footer

SENTENCE = "The lake is so deep that no light reaches its floor."
BOARD = """Club rules remind members:

Noticeboard: Lost, one yellow boot (left). Ask in the bar.
Sat: boat jumble. Sun: working party, bring gloves

The old lifeboat house. Site by a member's nephew."""


def test_finished_sentences_lists_tables_and_code_count_and_labels_do_not() -> None:
    assert count_content(SENTENCE) == count_content(f"# Lakes\n\nMenu\nHome\n{SENTENCE}") > 14
    assert count_content("- salt\n1. stir\na | b\n```\nx = 1\n```") > 10
    assert count_content(BOARD) == 0
    assert count_content("湖はとても深くて光が底まで届かない。") > 10


def test_a_wrapped_sentence_counts_as_one() -> None:
    wrapped = (
        "The lake in the north of that country is so very deep\nthat no light reaches its floor."
    )
    assert count_content(wrapped) == count_content(wrapped.replace("\n", " ")) > 0


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (f"{SENTENCE} It was first measured in the year 19", SENTENCE),
        (
            f"{SENTENCE} It was first measured\nby rope.",
            f"{SENTENCE} It was first measured\nby rope.",
        ),
        (f"{SENTENCE} They are as follows:", f"{SENTENCE} They are as follows:"),
        (f"- {SENTENCE} It was measured in 19", f"- {SENTENCE} It was measured in 19"),
        (f"{SENTENCE} It follows that x = 3", f"{SENTENCE}"),
        ("It was first measured in the year 19", "It was first measured in the year 19"),
        ("Ask Prof. Ada M. Byron of the school", "Ask Prof. Ada M. Byron of the school"),
        ("_Ask Prof. Ada Byron of the old school_", "_Ask Prof. Ada Byron of the old school_"),
        (
            f"{SENTENCE} It was measured in 1903.[2][b]",
            f"{SENTENCE} It was measured in 1903.[2][b]",
        ),
        (f"{SENTENCE}[1] It was measured in the year 19", f"{SENTENCE}[1]"),
        (f"{SENTENCE} It was measured.[citation needed]",) * 2,
        (f"{SENTENCE} Es gibt auch tiefere. \u24d8", f"{SENTENCE} Es gibt auch tiefere. \u24d8"),
    ],
)
def test_a_sentence_that_breaks_off_is_left_out(text: str, whole: str) -> None:
    assert without_cut(text) == whole


def test_labels_and_notices_below_the_content_are_left_out() -> None:
    footer = "Was this helpful? Yes No\n\nPage reviewed: May. Next review in a year."
    assert without_footer(f"{SENTENCE}\n\nServe hot.\n\n{footer}") == f"{SENTENCE}\n\nServe hot."
    assert without_footer(f"{SENTENCE}\n- a\n- b") == f"{SENTENCE}\n- a\n- b"
    assert without_footer("Home\nAbout us") == "Home\nAbout us"


def test_a_footer_of_its_own_is_no_chunk_to_rewrite() -> None:
    text = f"# Lakes\n\n{SENTENCE * 8}\n\n## Club\n\n{BOARD * 3}"
    assert [part.scrap for part in parts(0, text, "{}", 150, 50)][-1]


@pytest.mark.gold
def test_chunks_of_real_pages_are_content(real: Path) -> None:
    lines = (real / "plain_language_docs.jsonl").read_text(encoding="utf-8").splitlines()
    found = [part for line in lines for part in parts(0, json.loads(line)["text"], "{}", 300, 50)]
    assert sum(part.scrap for part in found) < 0.04 * len(found)
