"""Quality filters: each gives every row of a batch a reason for rejection, or none."""
