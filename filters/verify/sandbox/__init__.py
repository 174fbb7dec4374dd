"""Runs untrusted code and reports what it did. README.md lists what the sandbox does not cover."""
