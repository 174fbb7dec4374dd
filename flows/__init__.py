"""Recipes, the command line, and Prefect: the only package that knows of it."""
