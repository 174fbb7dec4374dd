"""Benchmarks: `python -m benchmarks.NAME` prints a table, then a line of JSON per result."""
