"""Figures of market data: arrays in, a Bokeh figure out; one module per page."""
