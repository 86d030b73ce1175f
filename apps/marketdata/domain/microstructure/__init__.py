"""Measures of market microstructure (domain.md E2): spreads, order flow, liquidity, toxicity, volume at price. Pure."""
