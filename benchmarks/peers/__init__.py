"""Programs that run in an environment of the peer's own: `python -m venv`, `pip install PEER`."""
