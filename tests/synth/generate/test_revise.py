"""`revise`: what is wrong is mended, what is right stays, and every request is in the trail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from synth.engine.account import account
from synth.engine.stage import Outcome, Place
from synth.errors import InputError
from synth.generate.revise import CRITIQUE, Revise
from synth.kind import Kind
from synth.record import new_record, records_table
from synth.teacher.protocol import Reply, Request
from tests.synth.generate.saying import Saying, Script, said


def revise(texts: list[str], script: Script, **settings: Any) -> tuple[Outcome, Saying]:
    teacher = Saying(script)
    done: list[int] = []
    rows = [
        {**new_record(prompt="Why?", text=text, source=str(n)), "reasoning": "Hm."}
        for n, text in enumerate(texts)
    ]
    table = records_table(rows)
    place = Place(7, Kind.ANSWERS, teacher=teacher, done=done.append)
    outcome = asyncio.run(Revise.model_validate(settings).apply(table, place))
    account("revise", outcome, table)
    assert sum(done) == len(rows)
    return outcome, teacher


def editor(request: Request, _before: int) -> str:
    """Finds fault with what does not end in `!`, and adds that."""
    shown = request.turns[-1]["content"]
    text = shown.split("<answer>\n")[1].split("\n</answer>")[0]
    if request.schema is not None:
        wrong = not text.endswith("!")
        return json.dumps({"critique": "Too flat.", "needs_revision": wrong})
    assert "<critique>\nToo flat." in shown
    return f"{text}!"


def test_what_is_wrong_is_mended_and_what_is_right_stays_as_it_is() -> None:
    outcome, teacher = revise(["so", "fine!", "thus"], editor)
    assert outcome.kept["text"].to_pylist() == ["so!", "fine!", "thus!"]
    assert outcome.kept["rejected"].to_pylist() == [None] * 3
    assert outcome.kept["reasoning"].to_pylist() == [None, "Hm.", None]
    assert not len(outcome.rejected)
    assert [request.schema is CRITIQUE for request in teacher.asked].count(True) == 3


def test_both_requests_stand_in_the_trail() -> None:
    outcome, teacher = revise(["so"], editor)
    [row] = outcome.kept.to_pylist()
    steps = row["trail"][1:]
    assert [(step["operation"], step["round"]) for step in steps] == [
        ("critique", 1),
        ("revise", 1),
    ]
    keys = [teacher.identity.key(request.question("saying")).hex() for request in teacher.asked]
    assert [step["request"] for step in steps] == keys
    assert len({step["parent"] for step in steps}) == 1


def test_it_goes_on_until_nothing_is_wrong_but_not_for_ever() -> None:
    def never_content(request: Request, before: int) -> str:
        if request.schema is not None:
            return json.dumps({"critique": "Not yet.", "needs_revision": True})
        return f"try {before}"

    outcome, teacher = revise(["so"], never_content, rounds=3)
    [row] = outcome.kept.to_pylist()
    assert [step["round"] for step in row["trail"][1:]] == [1, 1, 2, 2, 3, 3]
    assert len(teacher.asked) == 6
    _, teacher = revise(["so"], editor, rounds=5)
    assert len(teacher.asked) == 3


def test_a_revision_is_preferred_to_the_first_answer() -> None:
    outcome, _ = revise(["so", "fine!"], editor, pairs=True)
    [row] = outcome.kept.to_pylist()
    assert (row["text"], row["rejected"]) == ("so!", "so")
    assert outcome.rejected["reason"].to_pylist() == ["needs_no_revision"]


@pytest.mark.parametrize("faulty", ["critique", "revise"])
def test_what_cannot_be_used_leaves_with_its_fault_and_what_was_said(faulty: str) -> None:
    def broken(request: Request, before: int) -> str | Reply:
        if (request.schema is not None) == (faulty == "critique"):
            return said("{", fault="reply_breaks_schema")
        return editor(request, before)

    outcome, _ = revise(["so"], broken)
    [row] = outcome.rejected.to_pylist()
    assert (row["reason"], row["raw"]) == ("reply_breaks_schema", "{")
    assert row["text"] == "so"


def test_principles_of_ones_own_are_given_and_count(tmp_path: Path) -> None:
    path = tmp_path / "rules.md"
    path.write_text("- Rhyme.\n\nBe short.\n")
    _, teacher = revise(["so"], editor, constitution=path)
    for request in teacher.asked:
        assert "Principles:\n- Rhyme.\n- Be short.\n" in request.turns[0]["content"]
    before = Revise(constitution=path).identity()
    path.write_text("Rhyme.")
    assert Revise(constitution=path).identity() != before
    path.write_text("\n")
    with pytest.raises(InputError, match="expected principles, one a line"):
        Revise(constitution=path).identity()
