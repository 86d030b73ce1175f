"""Engines run a strategy over history. Each takes the same panel, costs and fills and gives the same result."""
