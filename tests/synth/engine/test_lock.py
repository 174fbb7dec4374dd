"""The lock of a run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.engine.lock import locked
from synth.errors import RunLockedError


def test_files_that_a_killed_process_left_half_written_are_removed(tmp_path: Path) -> None:
    left, folder, kept = tmp_path / ".plan.json.71.tmp", tmp_path / ".x.tmp", tmp_path / "plan.json"
    left.write_bytes(b"{")
    kept.write_bytes(b"{}")
    folder.mkdir()
    with locked(tmp_path):
        assert not left.exists()
        assert kept.exists()
        assert folder.exists()


def test_a_process_that_gets_no_lock_removes_nothing(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / ".plan.json.71.tmp").write_bytes(b"{")
        with pytest.raises(RunLockedError), locked(tmp_path):
            pass
        assert (tmp_path / ".plan.json.71.tmp").exists()
