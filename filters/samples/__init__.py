"""Decides among the samples of a prompt: which go on, and which make preference pairs."""
