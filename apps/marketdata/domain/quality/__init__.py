"""Checks of stored bars: pure functions over arrays which return findings."""
