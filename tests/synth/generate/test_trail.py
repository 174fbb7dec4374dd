"""A reply's step in a row's trail."""

from __future__ import annotations

import pyarrow as pa

from synth.generate.trail import step
from synth.record import EMPTY_STEP, STEP
from synth.teacher.protocol import Identity, Reply


def test_a_step_has_the_fields_of_the_trail() -> None:
    reply = Reply("x", "x", finish_reason="stop", tokens_in=3, tokens_out=4, key="k")
    made = step("evolve", "deepen", "id", Identity("m", "r"), reply, round_=2, template="t")
    assert made.keys() == EMPTY_STEP.keys()
    assert pa.array([made], STEP).to_pylist() == [made]
    told = (made["request"], made["model"], made["revision"], made["tokens_in"])
    assert told == ("k", "m", "r", 3)
