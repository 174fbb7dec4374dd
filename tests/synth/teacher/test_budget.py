"""The budget: never exceeded, whatever is in flight; counted across runs; wrong settings."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from flows.recipe_file import load_recipe
from synth.errors import BudgetSpentError, RecipeError
from synth.record import Turn
from synth.teacher import journal
from synth.teacher.budget import TEMPLATE_TOKENS, Budget, Tokens, Used
from synth.teacher.caps import BudgetConfig, Price
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journal_check import used_tokens
from synth.teacher.journaled import JournaledTeacher
from synth.teacher.protocol import Reply, Request, Sampling
from tests.fake_teacher import FakeTeacher, asked_prompt, serving

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ROOMY = Sampling(max_tokens=100, retry_max_tokens=300)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone reply is committed soon."""
    monkeypatch.setattr(journal, "COMMIT_AFTER_S", 0.01)


def mixed(number: int) -> list[Request]:
    """Several answers a request, replies that are cut, and JSON that needs a second chance."""
    kinds = ({}, {"n": 3}, {"schema": SCHEMA})
    return [
        Request([Turn(role="user", content=f"What is {n}?")], ROOMY, n, **kinds[n % 3])  # type: ignore[arg-type]
        for n in range(number)
    ]


class Wasteful:
    """Uses up to what a request allows, in its prompt and in its replies, and counts it."""

    def __init__(self) -> None:
        self.used = 0
        self.bodies: list[bytes] = []

    def __call__(self, body: dict[str, Any], _before: int) -> Any:
        raw = json.dumps(body, sort_keys=True).encode()
        self.bodies.append(raw)
        dice = random.Random(sha256(raw).digest())
        count, room = body.get("n", 1), body["max_tokens"]
        into = dice.randint(1, TEMPLATE_TOKENS)
        out = dice.choice([count * room, dice.randint(1, count * room)])
        self.used += into + out
        texts = [dice.choice(['{"n": 1}', "no JSON"]) for _ in range(count)]
        cut = "length" if room == ROOMY.max_tokens and dice.random() < 0.4 else "stop"
        return 200, {
            "choices": [
                {
                    "index": n,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": cut,
                }
                for n, text in enumerate(texts)
            ],
            "usage": {"prompt_tokens": into, "completion_tokens": out},
        }


Asked = list[list[Reply] | BaseException]


def ask(
    folder: Path,
    teacher: FakeTeacher,
    requests: list[Request],
    concurrency: int = 64,
    said: list[str] | None = None,
    **caps: Any,
) -> tuple[Asked, Used]:
    """The results of the requests under a budget, and what the file says after them."""

    async def work() -> Asked:
        budget = Budget(BudgetConfig(**caps), folder / "budget.json")
        config = TeacherConfig(url=teacher.url, concurrency=concurrency)
        say = said.append if said is not None else lambda _line: None
        journals = list(folder.glob("*.sqlite"))
        async with (
            serving(teacher),
            open_teacher(config.model_copy(update={"url": teacher.url}), budget=budget) as served,
            budget.running(lambda: used_tokens(journals), say),
        ):
            kept = await Journal.open(folder / "journal.sqlite")
            try:
                asking = JournaledTeacher(served, kept)
                work = (asking.replies(request) for request in requests)
                return await asyncio.gather(*work, return_exceptions=True)
            finally:
                await kept.close()

    found = asyncio.run(work())
    return found, Used.model_validate_json((folder / "budget.json").read_bytes())


def _spent(found: Asked) -> list[BudgetSpentError]:
    """The errors of requests that the budget did not allow, also in groups."""
    spent = []
    for one in found:
        while isinstance(one, BaseExceptionGroup):
            one = one.exceptions[0]
        if isinstance(one, BaseException):
            assert isinstance(one, BudgetSpentError), one
            spent.append(one)
    return spent


@pytest.mark.parametrize("in_flight", [1, 64, 256])
def test_the_cap_is_never_exceeded_and_a_higher_one_asks_nothing_twice(
    tmp_path: Path, in_flight: int
) -> None:
    script = Wasteful()
    teacher = FakeTeacher(script=script, latency_s=0.01)
    cap = 40_000
    requests = mixed(150)
    found, used = ask(tmp_path, teacher, requests, in_flight, tokens=cap)
    assert cap - 3 * ROOMY.most_tokens - TEMPLATE_TOKENS - 1000 <= script.used <= cap
    assert used.tokens == script.used
    assert used == Used(tokens_in=used.tokens_in, tokens_out=used.tokens_out, seconds=used.seconds)
    spent = _spent(found)
    assert 50 < len(spent) < 150
    assert f"of {cap:,} are used, and the next request may need " in str(spent[0])
    assert teacher.most_at_once <= in_flight

    found, used = ask(tmp_path, teacher, requests, in_flight, tokens=10_000_000)
    assert not _spent(found)
    assert len(script.bodies) == len(set(script.bodies))
    assert used.tokens == script.used


def answering(into: int = 10, out: int = 20) -> Callable[[dict[str, Any], int], Any]:
    def script(body: dict[str, Any], _before: int) -> Any:
        return 200, {
            "choices": [
                {"index": 0, "message": {"content": asked_prompt(body)}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": into, "completion_tokens": out},
        }

    return script


def plain(number: int) -> list[Request]:
    sampling = Sampling(max_tokens=100)
    return [Request([Turn(role="user", content=f"Say {n}.")], sampling, 1) for n in range(number)]


def test_requests_in_flight_are_finished_and_journaled_when_the_time_is_up(tmp_path: Path) -> None:
    teacher = FakeTeacher(script=answering(), latency_s=1.2)
    found, used = ask(tmp_path, teacher, plain(9), concurrency=3, hours=1 / 3600)
    assert len(_spent(found)) == 6
    assert str(_spent(found)[0]).startswith("the budget of 0.000277778 hours is used up")
    assert (used.tokens, len(teacher.asked)) == (90, 3)
    assert used.seconds >= 1
    found, _ = ask(tmp_path, teacher, plain(3), concurrency=3, hours=1 / 3600)
    assert not _spent(found)  # from the journal, although no request may be sent
    assert len(teacher.asked) == 3


def test_after_the_deadline_nothing_is_sent(tmp_path: Path) -> None:
    teacher = FakeTeacher(script=answering())
    said: list[str] = []
    found, _ = ask(tmp_path, teacher, plain(2), said=said, until="2020-01-31 06:00")
    assert len(_spent(found)) == 2
    assert str(_spent(found)[0]) == "the deadline 2020-01-31 06:00 UTC has passed"
    assert (teacher.asked, said) == ([], ["budget: no requests after 2020-01-31 06:00 UTC"])


def test_the_cost_of_tokens_is_capped(tmp_path: Path) -> None:
    teacher = FakeTeacher(script=answering(1000, 100))
    price = {"per_million_in": 1.0, "per_million_out": 10.0}  # so a request costs 0.002
    found, used = ask(tmp_path, teacher, plain(40), cost=0.05, price=price)
    cost = Price(**price).of(used.tokens_in, used.tokens_out, 0)
    assert 0.045 < cost <= 0.05
    assert len(teacher.asked) == 40 - len(_spent(found))
    assert str(_spent(found)[0]).startswith("the cost budget is used up: 0.048 of 0.05 is spent")


def test_a_request_without_an_answer_or_a_count_is_counted_as_reserved(tmp_path: Path) -> None:
    cut = ConnectionResetError()

    def script(body: dict[str, Any], before: int) -> Any:
        if not before:
            raise cut
        status, payload = answering()(body, before)
        return status, {key: value for key, value in payload.items() if key != "usage"}

    [request] = plain(1)
    _, used = ask(tmp_path, FakeTeacher(script=script), [request], tokens=10_000)
    most = len(request.body("stand-in")) + TEMPLATE_TOKENS + 100
    assert (used.tokens, used.unanswered) == (2 * most, 2 * most)


def test_a_refusal_costs_nothing(tmp_path: Path) -> None:
    teacher = FakeTeacher(refuses_prompts=frozenset({"Say 0."}), script=answering())
    _, used = ask(tmp_path, teacher, plain(2), tokens=10_000)
    assert used.tokens == 30


def test_a_killed_run_counts_what_was_reserved(tmp_path: Path) -> None:
    killed = Used(tokens_in=100, tokens_out=50, reserved_in=2000, reserved_out=500, seconds=9)
    (tmp_path / "budget.json").write_text(killed.model_dump_json())
    said: list[str] = []
    found, used = ask(tmp_path, FakeTeacher(script=answering()), plain(1), said=said, tokens=3000)
    assert len(_spent(found)) == 1
    assert used.tokens == 2650
    counted = "2,500 tokens are counted for requests without an answer"
    assert said == [f"budget: 2,650 of 3,000 tokens used; {counted}"]


def test_the_file_reserves_what_is_in_flight(tmp_path: Path) -> None:
    seen = []

    def script(body: dict[str, Any], before: int) -> Any:
        seen.append(Used.model_validate_json((tmp_path / "budget.json").read_bytes()))
        return answering()(body, before)

    ask(tmp_path, FakeTeacher(script=script, seats=1), plain(4), tokens=100_000)
    for used in seen:
        assert used.reserved_out >= 100
        assert used.reserved_in >= TEMPLATE_TOKENS


@pytest.mark.parametrize("lost", ["", "torn {"])
def test_without_its_file_the_journals_are_counted(tmp_path: Path, lost: str) -> None:
    teacher = FakeTeacher(script=answering())
    ask(tmp_path, teacher, plain(4), tokens=10_000)
    (tmp_path / "budget.json").unlink()
    if lost:
        (tmp_path / "budget.json").write_text(lost)
    said: list[str] = []
    _, used = ask(tmp_path, teacher, plain(5), said=said, tokens=10_000)
    assert used.tokens == 5 * 30
    assert bool(lost) == ("is damaged: the journals are counted instead" in said[0])


def test_a_template_that_adds_more_is_learnt(tmp_path: Path) -> None:
    budget = Budget(BudgetConfig(tokens=1), tmp_path / "budget.json")
    budget.settle(Tokens(1100, 10), Tokens(3100, 5))
    assert budget.claim(76, 10)._most == Tokens(76 + TEMPLATE_TOKENS + 2000, 10)


@pytest.mark.parametrize(
    ("caps", "now", "deadline"),
    [
        ({"until": "06:00"}, "2026-11-29T05:59", "2026-11-29T06:00+00:00"),
        ({"until": "06:00"}, "2026-11-29T06:00", "2026-11-30T06:00+00:00"),
        ({"until": "06:00", "timezone": "Europe/Berlin"}, "2026-11-29T05:30", "2026-11-30T05:00Z"),
        ({"until": "06:00", "timezone": "Europe/Berlin"}, "2026-07-29T23:30", "2026-07-30T04:00Z"),
        (
            {"until": "2027-01-31 06:00", "timezone": "Asia/Tokyo"},
            "2026-11-29",
            "2027-01-30T21:00Z",
        ),
        ({"until": "2027-01-31T06:00+02:00"}, "2026-11-29", "2027-01-31T04:00Z"),
    ],
)
def test_until_is_the_next_such_time_in_its_zone(
    caps: dict[str, Any], now: str, deadline: str
) -> None:
    config, begun = BudgetConfig(**caps), datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert config.deadline(begun) == datetime.fromisoformat(deadline)
    later = begun + timedelta(hours=12)  # when a worker starts
    assert config.dated(begun).deadline(later) == datetime.fromisoformat(deadline)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("budget.tokens=0", "budget.tokens is 0, expected at least 1"),
        ("budget.tokens=many", "budget.tokens is 'many', expected a whole number"),
        ("budget.token=5", "unknown key 'token'; known: tokens, hours, cost, until"),
        ("budget.hours=-1", "budget.hours is -1, expected more than 0"),
        ("budget.cost=5", "`cost` needs the teacher's price: add `price: {per_million_in: …"),
        ("budget.until=25:00", "until '25:00' is not a time; expected one such as '06:00'"),
        ("budget.until=6:30", "until '6:30' is not a time"),
        ("budget.timezone=Europe/Bonn", "unknown timezone 'Europe/Bonn'; expected a name such"),
        ("budget.price={gpus: 2}", "`price` has no price: give `per_million_in`"),
    ],
)
def test_wrong_settings_are_explained(change: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("quickstart", overrides=[change])
    assert message in str(error.value)


def test_a_price_counts_tokens_and_gpu_hours() -> None:
    assert Price(per_million_in=1, per_million_out=4).of(2e6, 5e5, 3600) == 4
    assert Price(per_gpu_hour=2.5, gpus=2).of(2e6, 5e5, 1800) == 2.5


def test_the_budget_is_not_in_the_dataset_card() -> None:
    plan = load_recipe("quickstart", overrides=["budget.tokens=5", "budget.price.per_gpu_hour=9"])
    assert plan.budget is not None
    assert "budget" not in plan.recipe
