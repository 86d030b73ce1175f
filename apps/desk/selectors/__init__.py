"""Reads of the desk, for its own pages."""
