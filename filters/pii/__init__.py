"""Detects personal data and secrets by pattern, checksum and the words before them."""
