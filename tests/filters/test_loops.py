"""`loops`: what a stuck model writes goes, songs and tables stay."""

from __future__ import annotations

import pytest

from filters.quality.loops import Loops
from synth.batch import Batch
from tests.filters.rows import reason

LINE = "The fox runs over the frozen field and hides behind the barn. "
VERSE = (
    "Row on, my friend,\nrow on through the night,\nthe shore is near,\nwe follow the light.\n\n"
)
SONG = (
    f"The wind is cold.\nThe night is long.\nI walk alone.\nI sing this song.\n\n{VERSE}"
    f"The moon is up.\nThe tide is low.\nNo lamp, no cup.\nStill on I go.\n\n{VERSE}"
)
MONTHS = ("January", "March", "May", "June", "July", "August", "October", "November")
TABLE = "| month | mean | least |\n|---|---|---|\n" + "".join(
    f"| {month} | 1{i} °C | 3 °C |\n" for i, month in enumerate(MONTHS)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (LINE * 20, "compressible"),
        ("A good start. " + "cmy_function." * 60, "compressible"),
        ("".join(f"b{i} = {i}\n" for i in range(60)), "compressible"),  # counts
        (VERSE * 4, "sentences"),
        ("Why? It rains. " * 3 + "It rains. It rains.", "sentences"),
        ("Words:\n\n- direct\n- direct\n- select\n- direct\n- select", "list items"),
        ("1. Ali\n2. Clockers\n3. Ali\n4. Crooklyn\n5. Clockers\n6. Ali", "list items"),
        (f"{LINE}{chr(10) * 20}{LINE}", "blank lines"),
    ],
)
def test_a_loop_goes(text, what):
    verdicts = Loops().judge(Batch.of_texts([text]))
    assert verdicts.reasons == ["looping"]
    assert verdicts.notes == [what]
    assert verdicts.scores[0] > 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        LINE,
        SONG,
        TABLE,
        "Monday:\n- rest\n- run\n\nTuesday:\n- rest\n- run\n\nFriday:\n- rest\n- run",
        "-" * 400,
    ],
)
def test_what_comes_back_by_design_stays(text):
    assert reason(Loops(), text) is None


@pytest.mark.gold
def test_answers_worth_keeping_stay_and_most_loops_go(gold):
    rows = gold("answers_labelled.jsonl")
    found = Loops().judge(Batch.of_texts([row["response"] for row in rows])).reasons
    pairs = list(zip(rows, found, strict=True))
    assert not [row["note"] for row, one in pairs if one and row["keep"] != "drop"]
    assert sum(bool(one) for row, one in pairs if row["degenerate"] == "loop") >= 15  # of 27
