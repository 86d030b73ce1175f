"""Questions about market data that other apps may ask. Frozen types, arrays and Decimals out."""
