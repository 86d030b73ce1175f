"""Pages of orders: one module per page."""
