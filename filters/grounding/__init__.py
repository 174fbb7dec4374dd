"""Filters that need no model: `facts`, `copying` (rewrite and source), and `arithmetic`."""
