"""The language of a text: said where it is sure, and not ruled out where it is not."""

from __future__ import annotations

import pytest

from synth.text.language import language, may_be


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Name three islands and compare them with a bay.", "en"),
        ("Nenne drei Inseln und vergleiche sie mit einer Bucht.", "de"),
        ("Citez trois îles et comparez-les à une baie.", "fr"),
        ("¿Por qué hay dos mareas al día en una bahía pequeña?", "es"),
        ("请说出三个岛屿，并与海湾作比较。", "zh"),
        ("Name three.", None),
        ("```\nNenne drei Inseln und vergleiche sie mit einer Bucht.\n```", None),
        ("", None),
    ],
)
def test_a_language_is_named_where_it_is_sure(text: str, code: str | None) -> None:
    assert language(text) == code


@pytest.mark.parametrize(
    ("text", "may"),
    [("Explain NATO.", True), ("46 * 37", True), ("", True), ("Erkläre Ebbe und Flut.", False)],
)
def test_a_short_text_may_be_in_a_language_that_is_not_unlikely(text: str, may: bool) -> None:
    assert may_be(text, "en") is may
