"""Filters: each looks at a batch and gives every row a reason to leave, or none."""
