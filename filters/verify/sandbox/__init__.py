"""Runs code that nobody has read, and tells what it did. README.md says what is not covered."""
