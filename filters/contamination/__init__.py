"""Finds benchmark items in the data: by n-grams, by likeness, and by asking the teacher."""
