"""Benchmark items in the data: found by n-grams, by likeness, and by asking whether it is one."""
