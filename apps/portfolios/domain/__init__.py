"""Lots, holdings and their value: pure functions and frozen types."""
