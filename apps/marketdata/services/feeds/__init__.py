"""Feeds: the replay of stored bars, and the live feed of a vendor's ticks."""
