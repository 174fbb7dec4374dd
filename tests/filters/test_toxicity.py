"""`toxicity`: the words of a list, whole and in any case."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from filters.entry import identities
from filters.quality.stage import Quality
from filters.quality.toxicity import Toxicity
from synth.batch import Batch
from tests.filters.rows import PARAMETERS, made, reason


@pytest.mark.parametrize(
    "text",
    ["You fool!", "FOOL", "an old\nfool", "\u4f60\u662f\u7b28\u86cb\u3002", "'fiddlestick'"],
)
def test_listed_words_go(text):
    assert reason(made("toxicity"), text) == "listed_words"


@pytest.mark.parametrize(
    "text", ["", "foolish fools", "An old man.", "# a list for tests", "\u7b28"]
)
def test_other_words_stay(text):
    assert reason(made("toxicity"), text) is None


def test_the_longest_entry_counts_once_and_the_limit_stays():
    words = PARAMETERS["toxicity"]["words"]
    verdicts = Toxicity(words=words, max_found=1).judge(
        Batch.of_texts(["An old fool.", "A fool, an old fool."])
    )
    assert verdicts.reasons == [None, "listed_words"]
    assert verdicts.scores == [1.0, 2.0]
    assert verdicts.notes == ["old fool", "fool; old fool"]


def test_there_is_no_list_without_the_users_own(tmp_path: Path):
    with pytest.raises(ValidationError, match="words"):
        Quality.model_validate(["toxicity"])
    with pytest.raises(ValidationError, match="the path of a word list"):
        Quality.model_validate([{"toxicity": {"words": str(tmp_path / "nix.txt")}}])


def test_a_changed_list_changes_what_the_stage_depends_on(tmp_path: Path):
    path = tmp_path / "mine.txt"
    path.write_text("one\n")
    stage = Quality.model_validate([{"toxicity": {"words": str(path)}}])
    before = identities(stage.filters)
    assert reason(stage.filters[0].part, "one two") == "listed_words"
    path.write_text("three\n")
    assert identities(stage.filters) != before
    assert reason(stage.filters[0].part, "one two") is None
