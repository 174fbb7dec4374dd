"""Selects the best samples of a prompt, or turns them into preference pairs."""
