"""What changes market data: imports, quotes, feeds."""
