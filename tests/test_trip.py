"""A record's trip is shown from the first stage to the release."""

from __future__ import annotations

import re
import subprocess
import sys


def test_the_trip_goes_from_reading_to_the_release_and_is_counted():
    command = [sys.executable, "-m", "tests.trip"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "synth/engine/run.py: run_stages"
    assert {
        "seeds/read.py: Read.input_parts",
        "synth/generate/distill.py: Distill.apply",
        "filters/verify/stage.py: Verify.apply",
        "synth/release/write.py: Write.deliver",
    } <= set(lines)
    counts = r"\d+ of \d+ files, \d+ pairs of caller and callee, \d+ pairs that call both ways"
    assert any(re.fullmatch(counts, line) for line in lines)
