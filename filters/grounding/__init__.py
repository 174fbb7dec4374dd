"""Compares a rewrite with its source, without a model: `facts` and `copying`; `arithmetic`."""
