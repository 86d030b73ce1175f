"""Programs that came in Python wheels."""

import importlib.util
from pathlib import Path


def wheel_folder(package: str) -> Path | None:
    """Folder of an installed package, found without importing it; None when it is not installed."""
    spec = importlib.util.find_spec(package)
    locations = list(spec.submodule_search_locations or []) if spec else []
    return Path(locations[0]) if locations else None
