"""Instructions that a program can check: their kinds and wordings, how they are drawn and found."""
