"""Seeds beyond prompts: invented from examples and persons, mined from documents, follow-ups."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rapidfuzz.distance import LCSseq

from synth.engine.run import open_runner
from synth.engine.stage import ShardStage
from synth.errors import SynthError
from synth.generate.follow_up import FollowUp
from synth.generate.invent import Invent, Way
from synth.generate.reverse import Reverse
from synth.kind import Kind
from synth.record import ToolCall, new_record, plain_turns
from synth.teacher.protocol import Need, Reply, Request
from synth.text.rouge import RougePool
from tests.fake_teacher import FakeTeacher, serving
from tests.lines import Given, as_given, plan
from tests.synth.generate.saying import apply, said

SEEDS = [
    "Explain how a lock on a canal lifts a boat.",
    "Write a limerick about a baker who cannot count.",
    "Which trees keep their needles, and why?",
    "Plan a quiet weekend for two retired sailors.",
    "Translate a shopping list into the language of pirates.",
]
NEW = [
    "Compare three ways to keep bread fresh in a damp cellar.",
    "Describe a market at dawn for somebody who was born blind.",
    "How would a town run its buses if the clocks disagreed?",
    "List five questions that a witness should never answer quickly.",
    "Argue for and against a bridge that only children may cross.",
]
PAGE = (
    "The seed library in Orrin lends more than 340 varieties of vegetables. Members borrow a "
    "packet in March and return seed from their own plants by October."
)
TAILS = "at ed in ob um ack ent isp old urn ash"
VARIED = " ".join(head + tail for head in "bcdfghklmnprst" for tail in TAILS.split())


def prompts(count: int = 5) -> list[dict[str, Any]]:
    return [new_record(prompt=text, source=f"f#{n}") for n, text in enumerate(SEEDS[:count])]


def of(rows: list[dict[str, Any]]) -> list[str]:
    return [row["context"][-1]["content"] for row in rows]


def in_turn(texts: list[str]) -> Any:
    return lambda _request, before: texts[before % len(texts)]


def test_new_prompts_stand_behind_the_ones_that_they_were_invented_for() -> None:
    rows = prompts()
    outcome, teacher, done = apply(Invent(), rows, in_turn(NEW))
    kept = outcome.kept.to_pylist()
    assert as_given(outcome.kept)[::2] == rows
    assert of(kept[1::2]) == NEW
    for parent, child in zip(rows, kept[1::2], strict=True):
        step = child["trail"][-1]
        assert (step["stage"], step["operation"], step["parent"]) == (
            "invent",
            "examples",
            parent["id"],
        )
        [score] = child["scores"]
        assert (score["name"], score["verdict"]) == ("rouge_l", "keep")
        assert 0 <= score["value"] <= 0.7
    assert (done, len(teacher.asked), len(outcome.rejected)) == (5, 5, 0)


def test_the_teacher_is_shown_the_rows_prompt_and_others_of_the_shard() -> None:
    _, teacher, _ = apply(Invent(examples=3), prompts(), in_turn(NEW))
    for own, request in zip(SEEDS, teacher.asked, strict=True):
        shown = request.turns[1]["content"]
        assert shown.count("<example>") == 3
        assert own in shown
    orders = [
        request.turns[1]["content"].index(own)
        for own, request in zip(SEEDS, teacher.asked, strict=True)
    ]
    assert len(set(orders)) > 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SEEDS[2], "too_like_the_pool"),
        ("Explain how a lock on a canal lifts a big boat.", "too_like_the_pool"),
        ("Why, though?", "too_few_words"),
        (f"Name a colour. {VARIED}.", "too_many_words"),
        ("Sorry, I can't help with that.", "refused"),
        ("Another subject, another task, another way of asking. Why?", "instruction_copied"),
    ],
)
def test_a_prompt_that_is_no_good_leaves_with_its_reason(text: str, reason: str) -> None:
    outcome, _, _ = apply(Invent(), prompts(3), in_turn([NEW[0], text, NEW[1]]))
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], left["by"], left["raw"]) == (reason, "invent", text)
    assert len(outcome.kept) == 5


def test_what_was_invented_before_is_part_of_the_pool() -> None:
    outcome, _, _ = apply(
        Invent(per_prompt=2), prompts(2), in_turn([NEW[0], NEW[1], NEW[0], NEW[2]])
    )
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], left["score"], left["trail"][-1]["sample"]) == (
        "too_like_the_pool",
        1,
        0,
    )


def test_a_person_is_noted_and_does_not_stand_in_the_prompt() -> None:
    script = in_turn(
        [f"PERSONA: a deaf cooper\n{NEW[0]}", f"**PERSONA:** a tired mayor\n\n{NEW[1]}", NEW[2]]
    )
    outcome, _, _ = apply(Invent(ways=(Way.PERSONA,)), prompts(3), script)
    made = outcome.kept.to_pylist()[1:4:2]
    assert of(made) == NEW[:2]
    assert [row["scores"][0]["note"] for row in made] == ["a deaf cooper", "a tired mayor"]
    assert outcome.rejected["reason"].to_pylist() == ["persona_missing"]


def test_persons_of_the_recipe_are_shown_to_the_teacher() -> None:
    stage = Invent(ways=(Way.PERSONA,), personas=("a miller", "a pilot"))
    _, teacher, _ = apply(stage, prompts(), in_turn([f"PERSONA: a miller\n{one}" for one in NEW]))
    shown = [request.turns[1]["content"].rpartition("<persona>\n")[2] for request in teacher.asked]
    assert {text.partition("\n")[0] for text in shown} == {"a miller", "a pilot"}


def test_inventing_depends_on_the_seed_and_not_on_the_order_of_replies() -> None:
    def echo(request: Request, _before: int) -> str:
        return (
            f"{NEW[request.seed % 5]} Mention code {request.seed} and harbour {request.seed // 7}."
        )

    stage = Invent(per_prompt=3)
    first = apply(stage, prompts(), echo)[0]
    again = apply(stage, prompts(), echo, shuffled=True)[0]
    assert again.kept.equals(first.kept)
    assert not apply(stage, prompts(), echo, seed=8)[0].kept.equals(first.kept)


@pytest.mark.parametrize(
    ("one", "other"), [(SEEDS[0], NEW[0]), (NEW[1], NEW[1]), ("a b c", "c b a")]
)
def test_likeness_to_the_pool_is_rouge_l(one: str, other: str) -> None:
    pool = RougePool()
    pool.add(one)
    a, b = (text.lower().replace(".", "").split() for text in (one, other))
    assert pool.nearest(other) == pytest.approx(2 * LCSseq.similarity(a, b) / (len(a) + len(b)))
    assert RougePool().nearest(other) == 0


def test_a_document_becomes_the_prompt_that_it_answers() -> None:
    rows = [new_record(text=PAGE, source="p#0"), new_record(text=PAGE + " More.", source="p#1")]
    asked = "What does a seed library do, and what must its borrowers give back?"
    script = in_turn(
        [asked, "Say which 340 varieties of vegetables. Members borrow a packet in March."]
    )
    outcome, teacher, done = apply(Reverse(), rows, script)
    [kept], [left] = outcome.kept.to_pylist(), outcome.rejected.to_pylist()
    assert plain_turns(kept["context"]) == [{"role": "user", "content": asked}]
    assert (kept["text"], kept["reference"]["source"], kept["trail"][-1]["parent"]) == (
        "",
        PAGE,
        rows[0]["id"],
    )
    assert (left["reason"], done) == ("source_copied", 2)
    assert left["score"] > 0.4
    assert PAGE in teacher.asked[0].turns[1]["content"]


def test_the_document_may_be_the_answer() -> None:
    stage = Reverse(answer="document")
    outcome, _, _ = apply(
        stage, [new_record(text=PAGE)], in_turn(["How does a seed library work?"])
    )
    [kept] = outcome.kept.to_pylist()
    assert kept["text"] == PAGE
    assert (stage.makes(Kind.DOCUMENTS), Reverse().makes(Kind.DOCUMENTS)) == (
        Kind.ANSWERS,
        Kind.PROMPTS,
    )


def test_a_follow_up_has_the_conversation_before_it() -> None:
    row = new_record(prompt=SEEDS[0], text="Water runs in and lifts it.", reference={"answer": "x"})
    outcome, _, _ = apply(
        FollowUp(), [row], in_turn(["And where does that water come from in a dry summer?"])
    )
    [kept] = outcome.kept.to_pylist()
    assert [turn["role"] for turn in kept["context"]] == ["user", "assistant", "user"]
    assert kept["context"][1]["content"] == row["text"]
    assert (kept["text"], kept["reference"], kept["trail"][-1]["parent"]) == ("", None, row["id"])
    assert FollowUp().makes(Kind.ANSWERS) is Kind.PROMPTS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SEEDS[0].lower(), "unchanged"),
        ("As you said earlier, water runs in; what if it does not?", None),
    ],
)
def test_a_follow_up_may_refer_back_but_must_ask_something_new(
    text: str, reason: str | None
) -> None:
    row = new_record(prompt=SEEDS[0], text="Water runs in and lifts it.")
    outcome, _, _ = apply(FollowUp(), [row], in_turn([text]))
    assert outcome.rejected["reason"].to_pylist() == ([reason] if reason else [])


def test_no_question_follows_a_call_that_waits_for_its_tool() -> None:
    call: ToolCall = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    outcome, teacher, done = apply(
        FollowUp(), [new_record(prompt=SEEDS[0], tool_calls=[call])], in_turn([])
    )
    assert outcome.rejected["reason"].to_pylist() == ["ends_in_tool_call"]
    assert (teacher.asked, done) == ([], 1)


@pytest.mark.parametrize("stage", [Invent(), Reverse(), FollowUp()], ids=lambda stage: stage.name)
def test_an_unusable_reply_is_a_row_that_left_and_no_rows_make_none(stage: ShardStage) -> None:
    row = new_record(prompt=SEEDS[0], text=PAGE)
    fault = Reply("", "too long", fault="context_too_long")
    outcome, _, _ = apply(stage, [row], lambda _r, _n: fault)
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], left["raw"], left["score"]) == ("context_too_long", "too long", None)
    cut = apply(stage, [row], lambda _r, _n: said("Why would", finish_reason="length"))[0]
    assert cut.rejected["reason"].to_pylist() == ["reply_truncated"]
    nothing, teacher, done = apply(stage, [], in_turn(NEW))
    assert (len(nothing.kept), len(nothing.rejected), teacher.asked, done) == (0, 0, [], 0)


def test_the_model_writes_the_users_turn_from_its_bare_template() -> None:
    prefix = "<|im_start|>user\n"
    stage = Invent(ways=(Way.TEMPLATE,), prefix=prefix)
    outcome, teacher, _ = apply(stage, prompts(2), in_turn(NEW))
    assert of(outcome.kept.to_pylist())[1::2] == NEW[:2]
    assert stage.needs() == {Need.RAW}
    for request in teacher.asked:
        assert (request.path, request.prompt, request.turns) == ("completions", prefix, [])
        assert "<|im_end|>" in (request.sampling.stop or ())
    assert len({request.seed for request in teacher.asked}) == 2


@pytest.mark.parametrize("settings", [{"ways": ["template"]}, {"prefix": "<s>user"}])
def test_a_template_has_a_prefix_and_nothing_else_has(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="`prefix` goes with the way `template`"):
        Invent.model_validate(settings)


def test_a_run_stops_where_the_server_cannot_go_on_from_raw_text(tmp_path: Path) -> None:
    stage = Invent(ways=(Way.TEMPLATE,), prefix="<|im_start|>user\n")
    teacher = FakeTeacher(completions=False)

    async def work() -> None:
        async with (
            serving(teacher),
            open_runner(plan(Given(prompts=("Why?",)), stage, url=teacher.url), tmp_path),
        ):
            pass

    with pytest.raises(SynthError, match="raw completions"):
        asyncio.run(work())
    assert not list(tmp_path.iterdir())
