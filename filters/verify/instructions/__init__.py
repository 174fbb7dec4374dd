"""Checks instructions that a program can verify: "at most 120 words", "no commas", "as JSON"."""
