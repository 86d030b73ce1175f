"""Reads of the portfolios app, for all apps above it."""
