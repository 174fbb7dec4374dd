"""Instructions that a program can check: what they are, how they are said, drawn and read."""
