"""`mojibake`: what an encoding mixed up, and letters that are only foreign."""

from __future__ import annotations

import pytest

from filters.quality.mojibake import Mojibake
from synth.batch import Batch
from tests.filters.rows import reason


@pytest.mark.parametrize(
    "text",
    [
        "The caf\u00c3\u00a9 wasn\u00e2\u20ac\u2122t open.",
        "\u00d0\u0178\u00d1\u20ac\u00d0\u00b8\u00d0\u00b2\u00d0\u00b5\u00d1\u201a",
        "Beyonc\u221a\u00a9 sang.",
    ],
)
def test_mixed_up_encodings_go(text):
    assert reason(Mojibake(), text) == "mojibake"


def test_lost_characters_go_with_a_reason_of_their_own():
    assert reason(Mojibake(), "The caf\ufffd was open.") == "replacement_characters"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The caf\u00e9 wasn\u2019t open \u2014 na\u00efve, \u201cno\u201d\u2026 \u20ac5",
        "\u00c5ngstr\u00f6m, \u0130stanbul, \u0141\u00f3d\u017a, S\u00e3o Paulo, \u00d0or\u00f0ur",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u65e5\u672c\u8a9e, \u0645\u0631\u062d\u0628\u0627",
        "x = (\u2212b \u00b1 \u221a(b\u00b2 \u2212 4ac)) / 2a \U0001f331",
    ],
)
def test_foreign_letters_quotes_and_formulas_stay(text):
    assert reason(Mojibake(), text) is None


def test_the_limit_is_inside_and_the_score_is_per_1000_characters():
    text = "don\u00e2\u20ac\u2122t" + " " * 993
    assert len(text) == 1000
    verdicts = Mojibake(max_per_1000=1).judge(Batch.of_texts([text, text[:-1], "ok"]))
    assert verdicts.reasons == [None, "mojibake", None]
    assert verdicts.scores[::2] == [1.0, 0.0]


@pytest.mark.gold
def test_real_pages_stay(gold):
    texts = [row["text"] for row in gold("plain_language_docs.jsonl")]
    texts += [row["response"] for row in gold("ifbench_graded_strict.jsonl")]
    assert not any(Mojibake().judge(Batch.of_texts(texts)).reasons)
