"""Limits on CPU time that tell a quadratic algorithm from a slow machine.

A core that is shared or throttled takes several times as long for the same work. Where a limit is
passed, the same fixed work is timed here and on the core where the limits were chosen, and the
limit is stretched by their ratio. A quadratic algorithm is slower by far more than that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIXED_WORK_S = 0.10  # CPU seconds of `fixed_work` on the idle core where the limits were chosen
NOISE = 2.0  # the speed of a shared core changes between the two measurements


def fixed_work() -> float:
    """CPU seconds of a little work such as our filters do: a pattern, a list, a dictionary."""
    text = "The 3 cats sat on 17 mats; 4 + 5 = 9, she said. " * 2_000
    started = time.process_time()
    counts: dict[str, int] = {}
    for _ in range(15):
        for word in re.findall(r"\w+|[^\w\s]", text):
            counts[word] = counts.get(word, 0) + 1
    return time.process_time() - started


def stretched(limit_s: float) -> float:
    """The limit for this core at this moment: never less than on the core where it was chosen."""
    return limit_s * max(1.0, fixed_work() / FIXED_WORK_S) * NOISE


@contextmanager
def cpu_within(limit_s: float) -> Iterator[None]:
    """Fails if the block takes more CPU seconds, on a core as fast as ours, than the limit."""
    started = time.process_time()
    yield
    taken = time.process_time() - started
    if taken >= limit_s:
        allowed = stretched(limit_s)
        assert taken < allowed, f"{taken:.2f} s of CPU; the limit here is {allowed:.2f} s"
