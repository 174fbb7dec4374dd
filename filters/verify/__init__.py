"""Verifiers check answers against a reference, by rules that the answer cannot influence."""
