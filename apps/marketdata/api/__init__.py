"""REST of market data: instruments and bars."""
