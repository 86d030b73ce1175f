"""REST: the user's alerts."""
