"""Order books rebuilt from what a venue sends: order by order (ITCH 5.0), or from a snapshot and changed levels. Pure."""
