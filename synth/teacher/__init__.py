"""The teacher: opens it, sends it requests, and keeps its replies in a journal."""
