"""Ratios and returns: pure functions on arrays, registered as measures."""
