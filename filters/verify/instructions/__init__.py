"""Instructions that a program can check: "at most 120 words", "no commas", "as JSON"."""
