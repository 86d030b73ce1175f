"""REST: performance of portfolios."""
