"""No text of any shape makes a filter slow or breaks it."""

from __future__ import annotations

import time

import pyarrow as pa
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
    made(name).judge(Batch.of_texts(["ASCII", "naïve"]))  # compiled, if it is to be
    started = time.process_time()
    verdicts = made(name).judge(batch)
    assert time.process_time() - started < LIMIT_S
    assert len(verdicts.reasons) == len(HOSTILE)


OF_AN_EMPTY_PAGE = {
    "c4": "too_few_sentences",
    "fineweb": "empty_text",
    "gopher": "too_few_words",
    "length": "empty_text",
    "repetition": "empty_text",
}


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_an_empty_batch_and_an_empty_text_have_verdicts(name):
    judge = made(name).judge
    assert judge(Batch.of_texts([])).reasons == []
    assert judge(Batch.of_texts([""])).reasons == [OF_AN_EMPTY_PAGE.get(name)]
    assert judge(Batch.of_prompts([""])).reasons == ["empty_text" if name == "length" else None]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_is_named_as_in_the_catalogue(name):
    assert FILTERS[name].name == name


@pytest.mark.parametrize("name", sorted(set(OF_AN_EMPTY_PAGE)))
def test_a_hundred_thousand_empty_rows_and_nulls_have_a_verdict_each(name):
    rows = 100_000
    one = Batch.of_texts([""]).table
    texts = pa.array(["", None] * (rows // 2), pa.string())
    table = one.take(pa.array([0] * rows)).set_column(one.column_names.index("text"), "text", texts)
    started = time.process_time()
    verdicts = FILTERS[name]().judge(Batch(table))
    assert time.process_time() - started < LIMIT_S
    assert verdicts.reasons == [OF_AN_EMPTY_PAGE[name]] * rows
