"""Randomness comes from the seed and what is decided, and from nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

from synth.randomness import derive_random, derive_seed


def test_the_same_parts_give_the_same_seed_in_another_process() -> None:
    code = "from synth.randomness import derive_seed; print(derive_seed(7, 'evolve', 1, 'id'))"
    env = {**os.environ, "PYTHONHASHSEED": "4711"}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert int(told.stdout) == derive_seed(7, "evolve", 1, "id") == 1_926_955_051


def test_every_part_counts() -> None:
    seeds = [
        derive_seed(7, "a", "b"),
        derive_seed(8, "a", "b"),
        derive_seed(7, "b", "a"),
        derive_seed(7, "ab"),
        derive_seed(7, "a", "b", 0),
    ]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_fits_what_servers_take() -> None:
    assert all(0 <= derive_seed(n, "x") < 2**31 for n in range(1_000))


def test_a_lone_surrogate_is_no_obstacle() -> None:
    assert derive_seed(7, "\ud800") != derive_seed(7, "\ud801")


def test_decisions_do_not_disturb_each_other() -> None:
    alone = derive_random(7, "draw", "b").random()
    first = derive_random(7, "draw", "a")
    first.random()
    assert derive_random(7, "draw", "b").random() == alone


def test_draws_are_spread_evenly() -> None:
    drawn = [derive_random(7, "evolve", 1, str(n)).choice("abcd") for n in range(2_000)]
    assert all(400 < drawn.count(letter) < 600 for letter in "abcd")
