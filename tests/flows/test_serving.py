"""`synth serve` refuses what cannot work before it starts a Prefect server."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import pytest

from flows import serving
from flows.cli import main
from flows.cron import check_schedule
from synth.errors import ExitCode, InputError

SERVE = ["serve", "distill-answers", "--teacher=http://127.0.0.1:1/v1", "--cron=0 3 * * *"]


@pytest.fixture
def no_server(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prefect server that is started fails the test."""

    def started(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a server is started")

    monkeypatch.setattr(serving, "prefect_api", started)


@pytest.mark.parametrize("cron", ["0 3 * * *", "0 0 29 2 *", "*/5 1-6 * * mon-fri", "@daily"])
def test_a_cron_has_five_fields_or_is_a_shortcut(cron: str) -> None:
    check_schedule(cron, "Europe/Berlin")


@pytest.mark.parametrize("cron", ["", "every day", "0 0 3 * * *", "0 3 * * * 0 2027", "@nightly"])
def test_a_cron_of_another_form_is_refused(cron: str) -> None:
    with pytest.raises(InputError, match="is not a valid schedule; expected five fields, such as"):
        check_schedule(cron, "UTC")


@pytest.mark.parametrize("cron", ["0 1 30 2 *", "0 1 31 4,6 *"])
def test_a_cron_that_never_fires_is_refused(cron: str) -> None:
    with pytest.raises(InputError, match="never fires: no date fits it"):
        check_schedule(cron, "UTC")


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Europe", "did you mean '"),
        ("Mars/X", "expected a name such as Europe/Berlin or UTC"),
        ("", "expected a name such as Europe/Berlin or UTC"),
    ],
)
def test_an_unknown_time_zone_is_refused_with_the_nearest_name(given: str, rest: str) -> None:
    with pytest.raises(InputError) as refused:
        check_schedule("0 3 * * *", given)
    assert str(refused.value).startswith(f"unknown time zone {given!r}; {rest}")


@pytest.mark.usefixtures("no_server")
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--cron=0 0 3 * * *", "expected five fields"),
        ("--cron=0 1 30 2 *", "never fires"),
        ("--timezone=Mars", "unknown time zone 'Mars'"),
    ],
)
def test_a_wrong_schedule_starts_no_server(
    option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SERVE, option]) == ExitCode.INVALID
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("no_server")
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_work_pool_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SERVE, "--work-pool", name]) == ExitCode.INVALID
    assert "the name after --work-pool is empty" in capsys.readouterr().err


@pytest.mark.usefixtures("no_server")
def test_an_address_whose_port_is_in_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([*SERVE, "--metrics", address]) == ExitCode.INVALID
    assert f"synth: metrics cannot be served at {address} (" in capsys.readouterr().err
