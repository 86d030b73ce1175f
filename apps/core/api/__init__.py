"""What every REST endpoint of the desk shares: problem+json, pagination, strict input, idempotent POST."""
