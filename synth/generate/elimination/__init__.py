"""What shows that an evolved prompt is no good: one file per kind of evidence."""
