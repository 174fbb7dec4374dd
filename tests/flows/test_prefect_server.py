"""The process of a temporary Prefect server: its port, a start that fails, its database's place."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from flows import prefect_server
from flows.prefect_server import PrefectUnreachable, await_answer, started, template
from synth.errors import InfrastructureFault


def test_a_port_of_vllm_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def listener(port: int) -> SimpleNamespace:
        return SimpleNamespace(
            getsockname=lambda: ("127.0.0.1", port), close=lambda: closed.append(port)
        )

    offered = iter([listener(8000), listener(8999), listener(9000)])
    monkeypatch.setattr("socket.create_server", lambda *_, **__: next(offered))
    assert prefect_server._listener().getsockname()[1] == 9000
    assert closed == [8000, 8999]


def test_failed_start_shows_the_end_of_its_log_and_leaves_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with started(None) as server:
        with pytest.raises(PrefectUnreachable, match=r"did not start(.|\n)*a broken installation"):
            await_answer(server)
        assert server.home.is_dir()
    assert not server.home.exists()


def test_settings_for_another_server_do_not_reach_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://team/prefect"
    )
    env = prefect_server._environment(Path("/home-of-ours"), migrate=False)
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in env
    assert env["PREFECT_HOME"] == "/home-of-ours"


def test_cache_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYNTH_CACHE", str(tmp_path / "file"))
    with pytest.raises(InfrastructureFault, match=r"file: .*set SYNTH_CACHE"):
        template(pytest.fail)


def test_cache_follows_xdg_and_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNTH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("flows.prefect_server.version", lambda _: "3.0.0")
    made = tmp_path / "synth" / "prefect-3.0.0.db"
    made.parent.mkdir()
    made.write_bytes(b"")
    assert template(pytest.fail) == made
