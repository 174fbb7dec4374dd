"""What `synth serve` says about its runs, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from prefect.client.schemas.objects import FlowRun, State, StateType

from flows.schedule import Follower, Served, interrupted

START = datetime(2026, 12, 1, 22, 16, tzinfo=UTC)
FIRST, SECOND = uuid4(), uuid4()
DUE = [START + timedelta(minutes=n) for n in range(4)]


def follower() -> Follower:
    return Follower(Served("mine", {}, "* * * * *", "UTC", {}), START)


def run(identity: UUID, state: StateType, at: datetime = DUE[1], message: str = "") -> FlowRun:
    said = State(type=state, timestamp=at, message=message)
    return FlowRun(id=identity, flow_id=FIRST, state=said)


def heard(follower: Follower, runs: Sequence[FlowRun], due: datetime | None) -> list[str]:
    """The lines of one look, without the time at which they are said."""
    return [
        line if line.startswith("next run") else line.partition(" UTC: ")[2]
        for line in follower.lines(runs, due)
    ]


def test_the_next_run_is_said_once_the_present_one_is_done() -> None:
    one = follower()
    assert heard(one, [], DUE[1]) == ["next run: Tue 2026-12-01 22:17 UTC"]
    assert heard(one, [], DUE[1]) == []
    assert heard(one, [run(FIRST, StateType.PENDING)], DUE[2]) == []
    assert heard(one, [run(FIRST, StateType.RUNNING)], DUE[2]) == ["the run starts"]
    assert heard(one, [run(FIRST, StateType.RUNNING)], DUE[2]) == []
    assert heard(one, [run(FIRST, StateType.COMPLETED, message="4 rows")], DUE[2]) == [
        "the run is done: 4 rows",
        "next run: Tue 2026-12-01 22:18 UTC",
    ]


def test_a_run_that_is_due_while_another_works_is_said_to_be_stopped() -> None:
    one = follower()
    heard(one, [run(FIRST, StateType.RUNNING)], DUE[2])
    overlapping = run(SECOND, StateType.CANCELLED, message="limit reached")
    assert heard(one, [overlapping, run(FIRST, StateType.RUNNING)], DUE[3]) == [
        "the run was stopped: limit reached"
    ]


def test_runs_of_an_earlier_process_are_not_news() -> None:
    before = START - timedelta(hours=1)
    left = [run(FIRST, StateType.RUNNING, before), run(SECOND, StateType.FAILED, before)]
    assert heard(follower(), left, DUE[1]) == ["next run: Tue 2026-12-01 22:17 UTC"]


def test_a_run_works_from_its_start_to_its_end() -> None:
    one, seen = follower(), []
    for state in (StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.COMPLETED):
        one.lines([run(FIRST, state)], None)
        seen.append(one.working)
    assert seen == [False, True, True, False]


def test_an_interrupt_speaks_of_a_run_only_if_one_was_working() -> None:
    assert interrupted(paused=True, working=False) == "The schedule is paused."
    assert interrupted(paused=True, working=True) == (
        "The schedule is paused. The run that was working is not lost: the next one resumes it."
    )
    assert interrupted(paused=False, working=False) == ""
