"""Runs vLLM as a child process: starts, watches, restarts and ends it. Never imports vLLM."""
