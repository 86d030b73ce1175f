"""Writes of the portfolios app: the ledger and everything that follows from it."""
