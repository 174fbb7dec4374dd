"""No text of any shape makes a filter slow or breaks it."""

from __future__ import annotations

import time

import pytest

from filters.catalogue import FILTERS
from synth.batch import Batch
from tests.filters.rows import HOSTILE, made

LIMIT_S = 4.0  # of CPU, for 16 MB; each text alone is far below


@pytest.fixture(scope="module")
def batch() -> Batch:
    made = Batch.of_texts(HOSTILE)
    _ = made.words
    return made


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_hostile_texts_are_bounded(name, batch):
    started = time.process_time()
    verdicts = made(name).judge(batch)
    assert time.process_time() - started < LIMIT_S
    assert len(verdicts.reasons) == len(HOSTILE)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_an_empty_batch_and_an_empty_text_have_verdicts(name):
    judge = made(name).judge
    assert judge(Batch.of_texts([])).reasons == []
    expected = "empty_text" if name == "length" else None
    assert judge(Batch.of_texts([""])).reasons == [expected]
    assert judge(Batch.of_prompts([""])).reasons == [expected]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_is_named_as_in_the_catalogue(name):
    assert FILTERS[name].name == name
