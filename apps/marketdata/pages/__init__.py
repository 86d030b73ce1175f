"""Pages of market data: one module per page."""
