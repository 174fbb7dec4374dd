"""The card of an incremental run counts all increments together."""

from __future__ import annotations

from synth.release.union import summed
from synth.store.manifest import Manifest, Novelty
from tests.synth.release.test_card import stage

NOVELTY = Novelty(texts=30, compared=0.4, kept=0.5)


def increment(kept: int) -> list[Manifest]:
    dedup = stage("dedup", 1, kept)
    dedup.shards[0] = dedup.shards[0].model_copy(update={"novelty": NOVELTY})
    return [stage("read", 0, 100), dedup]


def test_the_rows_of_the_increments_are_added() -> None:
    assert [(one.stage, one.rows_kept) for one in summed([increment(90), increment(80)])] == [
        ("read", 200),
        ("dedup", 170),
    ]


def test_the_diversity_of_one_increment_is_not_that_of_all() -> None:
    assert summed([increment(90)])[1].novelty == NOVELTY
    assert summed([increment(90), increment(80)])[1].novelty is None
