"""Pages of risk, one module per subject."""
