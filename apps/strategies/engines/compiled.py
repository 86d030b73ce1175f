"""Numba for this package: compiled once per version of the sources, kept on disk, found again by every process.

Numba's own cache looks at the file of the compiled function only and would go on using an old `match` inside a new `simulate`, or the
other way round. So the cache folder carries the hash of all sources that are compiled together.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

ROOT = Path(__file__).resolve().parents[3]
APP = Path(__file__).resolve().parents[1]
#: Numba's settings are made at run time, so a type checker does not know them.
CONFIG: Any = numba.config

SOURCES = (APP / "domain" / "matching.py", APP / "engines" / "simulation.py")


def sources_digest() -> str:
    """SHA-256 (hex) of the compiled sources."""
    digest = hashlib.sha256()
    for source in SOURCES:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where compiled code is kept: below NUMBA_CACHE_DIR where that is set, else below var/, else (not writable) below the temporary folder."""
    name = f"matching-{sources_digest()[:16]}"
    bases = [Path(CONFIG.CACHE_DIR)] if CONFIG.CACHE_DIR else [ROOT / "var" / "numba"]
    for base in bases:
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=base / name):
                return base / name
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="numba-"))


CACHE = cache_folder()


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call in IEEE arithmetic (no fast-math), from disk when this version was compiled before."""
    before, CONFIG.CACHE_DIR = CONFIG.CACHE_DIR, str(CACHE)
    try:
        return numba.njit(cache=True)(function)
    finally:
        CONFIG.CACHE_DIR = before
