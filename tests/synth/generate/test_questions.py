"""Questions: pairs about each chunk; the evidence of an answer must be in the chunk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from synth.generate.chunk import chunks
from synth.generate.questions import LONGEST, Questions, is_in, pairs_schema
from synth.kind import Kind
from synth.record import new_record
from synth.teacher.protocol import Need, Reply, Request
from synth.teacher.schema import BrokenError, check_schema, conformed
from tests.synth.generate.saying import apply, said

PAGE = (
    "The Moon makes no light of its own. We see it because sunlight falls on it and bounces back. "
    "One cycle of its phases takes about 29.5 days."
)
LIGHT = "We see it because sunlight falls on it"
LONG = " ".join(f"Fact {n} is that the sea rises and falls." for n in range(300))


def documents(*texts: str, **meta: str) -> list[dict[str, Any]]:
    return [new_record(text=text, source=f"moon.md#{n}", meta=meta) for n, text in enumerate(texts)]


def pair(question: str = "", evidence: str = LIGHT, answer: str = "") -> dict[str, str]:
    question = question or "Why do we see the Moon?"
    return {"question": question, "evidence": evidence, "answer": answer or "It is sunlit."}


def reply(*pairs: dict[str, str]) -> str:
    return json.dumps({"questions": list(pairs)})


def source(request: Request) -> str:
    rest = request.turns[1]["content"].partition("<source>\n")[2]
    return rest.rpartition("\n</source>\n")[0]


def reason(one: dict[str, str], text: str = PAGE) -> str | None:
    """Why the pair is rejected, if it is."""
    outcome, _, _ = apply(Questions(), documents(text), lambda _r, _n: reply(one))
    assert len(outcome.kept) + len(outcome.rejected) == 1
    found: list[str] = outcome.rejected["reason"].to_pylist()
    return found[0] if found else None


def test_a_row_has_question_answer_chunk_evidence_title_and_file() -> None:
    rows = documents(PAGE, title="Phases")
    outcome, teacher, done = apply(Questions(), rows, lambda _r, _n: reply(pair()))
    [row] = outcome.kept.to_pylist()
    assert row["context"][0]["content"] == "Why do we see the Moon?"
    assert (row["text"], row["reference"]["source"]) == ("It is sunlit.", PAGE)
    assert json.loads(row["meta"]) == {"title": "Phases", "file": "moon.md", "evidence": LIGHT}
    step = row["trail"][-1]
    assert (step["stage"], step["operation"], step["parent"]) == (
        "questions",
        "grounded",
        rows[0]["id"],
    )
    assert (source(teacher.asked[0]), done) == (PAGE, 1)
    assert Questions().makes(Kind.DOCUMENTS) is Kind.ANSWERS
    assert Questions().needs() == {Need.SYSTEM, Need.SCHEMA}


def test_every_chunk_is_asked_once_and_its_pairs_stay_in_order() -> None:
    def each(request: Request, _before: int) -> str:
        first = source(request).partition(".")[0]
        return reply(*(pair(f"{first}, {n}?", evidence=first) for n in "ab"))

    outcome, teacher, done = apply(Questions(), documents(LONG, PAGE), each, shuffled=True)
    pieces = [*(chunk.text for chunk in chunks(LONG, 600)), PAGE]
    assert len(pieces) > 3
    assert sorted(map(source, teacher.asked)) == sorted(pieces)
    kept = outcome.kept.to_pylist()
    assert [row["reference"]["source"] for row in kept] == [one for one in pieces for _ in "ab"]
    assert [row["context"][0]["content"][-2:] for row in kept] == ["a?", "b?"] * len(pieces)
    assert len({row["id"] for row in kept}) == len(kept)
    assert done == 2


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (pair(evidence="We see it since sunlight falls on it"), "evidence_not_found"),
        (pair(evidence="see it because sunlight fall"), "evidence_not_found"),
        (pair(evidence="falls on it"), "evidence_too_short"),
        (pair(evidence=" … "), "evidence_too_short"),
        (pair(question=" ", answer="It is."), "reply_empty"),
        (pair(answer=" \n"), "reply_empty"),
        (pair(answer="a" * LONGEST["answer"]), "reply_truncated"),
        (pair(question="What does the passage say about light?"), "source_mentioned"),
        (pair(answer="According to the article, it is sunlit."), "source_mentioned"),
        (pair(), None),
        (pair(evidence=PAGE), None),
    ],
)
def test_a_pair_that_the_chunk_does_not_carry_is_rejected(
    one: dict[str, str], why: str | None
) -> None:
    assert reason(one) == why


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("Who keeps the document?", None),
        ("Who may see this document?", None),
        ("Who keeps it, according to the document?", "source_mentioned"),
        ("Who keeps it in this text?", "source_mentioned"),
        ("Who kept it after the passage of the Act, and under article 5?", None),
    ],
)
def test_a_text_about_documents_may_be_asked_about_the_document(
    question: str, why: str | None
) -> None:
    about = "A will is read aloud, and such documents are then kept by the court for thirty years."
    assert reason(pair(question, "documents are then kept by the court"), about) == why


@pytest.mark.parametrize(
    "quotation",
    [
        "“Don't  touch”,\nthe guide said – twice",
        '"Don’t touch", the guide said - twice.',
        "**Don't touch**, the *guide* said twice",
        "don't touch the guide said twice",
        "Don't [touch](https://caves.example/no), the guide said",
    ],
)
def test_white_space_marks_and_case_do_not_matter(quotation: str) -> None:
    text = "In the cave: ‘Don’t touch’, the [guide](https://a.example/g)\nsaid – twice. Nobody did."
    assert is_in(quotation, text)
    assert not is_in(quotation.replace("touch", "torch"), text)


@pytest.mark.parametrize(
    ("quotation", "found"),
    [
        ("He edits The Scribes Journal and the Michigan Bar Journal", True),  # in italics there
        ("_He edits_ The Scribes Journal", True),
        ("Cut the crust. Let it cool. Bake the bread", True),  # numbered there
        ("1. Cut the crust. 2. Let it cool.", True),
        ("It opened in 1681 and closed in 1903.", True),  # with the number of a note there
        ("They bake bread, sell it, and go home.", True),  # numbered (1) and (2) there
        ("He edits … Let it cool", False),  # too little on one side
        ("He edits The Scribes … 3. Bake the bread", True),
        ("He edits The Scribes [...] Bake the bread.", True),
        ("Bake the bread ... He edits The Scribes", False),
        ("He edits The Scribes ... and bakes the bread", False),
    ],
)
def test_a_quotation_may_leave_out_marks_and_what_an_ellipsis_stands_for(
    quotation: str, found: bool
) -> None:
    text = (
        "He edits _The Scribes Journal_ and the _Michigan Bar Journal_.\n\n1. Cut the crust.\n"
        "2. Let it cool.\n3. Bake the bread.\n\nIt opened in 1681[3] and closed in 1903.[b]\n"
        "They (1) bake bread, (2) sell it, and go home."
    )
    assert is_in(quotation, text) is found


def test_a_whole_row_of_a_table_is_evidence_enough() -> None:
    table = (
        "| Don't say | Say |\n|---|---|\n| **commence** | **begin, start** |\n| deem | think so |"
    )
    assert reason(pair(evidence="commence | begin, start"), table) is None
    assert reason(pair(evidence="begin, start"), table) == "evidence_too_short"
    assert reason(pair(evidence="deem"), "| deem |\n\nThey deem it so.") == "evidence_too_short"


@pytest.mark.parametrize(
    ("question", "answer", "asked", "answered"),
    [
        ("3. Why do we see it?", "A: It is lit.", "Why do we see it?", "It is lit."),
        ("**Q2:** Why do we see it?", "**Answer:** Lit.", "Why do we see it?", "Lit."),
        ("1.5 days?", "1. It is.\n2. So.", "1.5 days?", "1. It is.\n2. So."),
        ("Question 1: why?", "A lit moon: so.", "why?", "A lit moon: so."),
    ],
)
def test_labels_and_numbers_are_not_part_of_the_row(
    question: str, answer: str, asked: str, answered: str
) -> None:
    given = reply(pair(question, answer=answer))
    outcome, _, _ = apply(Questions(), documents(PAGE), lambda _r, _n: given)
    [row] = outcome.kept.to_pylist()
    assert (row["context"][0]["content"], row["text"]) == (asked, answered)


def test_evidence_in_a_script_without_spaces_is_found() -> None:
    assert is_in("月の満ち欠け", "月の満ち欠けは約29.5日です。")
    assert not is_in("月の満ち干", "月の満ち欠けは約29.5日です。")


def test_a_question_that_the_document_has_had_is_rejected() -> None:
    rows = documents(PAGE, f"{PAGE} So it is.")
    twice = reply(pair(), pair("Why do we see the moon"), pair("How?"))
    outcome, _, _ = apply(Questions(), rows, lambda _r, _n: twice)
    assert len(outcome.kept) == 4
    assert outcome.rejected["reason"].to_pylist() == ["question_repeated"] * 2


def test_an_unusable_reply_is_one_row_with_what_was_said() -> None:
    broken = Reply("", "{", fault="reply_breaks_schema")
    outcome, _, done = apply(Questions(), documents(PAGE), lambda _r, _n: broken)
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], left["raw"], left["context"], done) == (
        "reply_breaks_schema",
        "{",
        [],
        1,
    )
    cut = said(reply(pair()), finish_reason="length")
    outcome, _, _ = apply(Questions(), documents(PAGE), lambda _r, _n: cut)
    assert outcome.rejected["reason"].to_pylist() == ["reply_truncated"]


def test_empty_documents_and_scraps_are_not_asked_about() -> None:
    words = " ".join(f"word{n}" for n in range(450))
    page = f"# Head\n\n{words}\n\n# Next\n\nToo short to teach. {' '.join(['word'] * 20)}"
    rows = documents("", page)
    outcome, teacher, done = apply(
        Questions(),
        rows,
        lambda request, _n: reply(pair(evidence=" ".join(source(request).split()[:9]))),
    )
    assert outcome.rejected["reason"].to_pylist() == ["empty_text", "chunk_too_short"]
    assert (outcome.rejected["id"].to_pylist()[0], len(outcome.kept)) == (rows[0]["id"], 1)
    assert (len(teacher.asked), done) == (1, 2)


def test_the_schema_bounds_the_number_of_pairs() -> None:
    schema = pairs_schema(2)
    check_schema(schema)
    conformed(reply(pair(), pair()), schema)
    for wrong in (reply(), reply(*[pair()] * 3), '{"questions": [{"question": "Why?"}]}'):
        with pytest.raises(BrokenError):
            conformed(wrong, schema)


def test_chunks_must_fit_their_limits() -> None:
    with pytest.raises(ValidationError, match="min_chunk_tokens 100 is above chunk_tokens 50"):
        Questions(chunk_tokens=50, min_chunk_tokens=100)
