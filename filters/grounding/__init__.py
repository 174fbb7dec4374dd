"""Holds a rewrite against its source, without a model: `facts`, `claims` and `copying`."""
