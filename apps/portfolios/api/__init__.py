"""REST: portfolios, positions, ledger."""
