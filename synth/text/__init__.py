"""Decisions about a text that filters and generation share: one for each defect, in one place."""
