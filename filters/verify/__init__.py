"""Verifiers: each checks answers against a reference by a rule that the answer cannot influence."""
