"""Quality filters: each gives every row of a batch a reason to reject it, or None."""
