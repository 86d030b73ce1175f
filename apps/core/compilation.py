"""Numba for pure functions: compiled once per version of the sources, kept on disk, found again by every process.

Numba's own cache looks at the file of the compiled function only and would go on using an old function that another file calls. So the cache
folder carries the hash of all sources that are compiled together. Importing this module imports Numba: only modules which are
themselves imported inside functions do.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numba

ROOT = Path(__file__).resolve().parents[2]
#: Numba's settings are made at run time, so a type checker does not know them.
CONFIG: Any = numba.config


@dataclass(frozen=True)
class Compiler:
    """Compiles the functions of some sources which belong together, under one name."""

    name: str
    sources: tuple[Path, ...]

    @cached_property
    def folder(self) -> Path:
        """Where compiled code is kept: below NUMBA_CACHE_DIR where that is set, else below var/, else (not writable) below the temporary folder."""
        name = f"{self.name}-{self._digest()[:16]}"
        base = Path(CONFIG.CACHE_DIR) if CONFIG.CACHE_DIR else ROOT / "var" / "numba"
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=base / name):
                return base / name
        except OSError:
            return Path(tempfile.mkdtemp(prefix="numba-"))

    def __call__(self, function: Callable[..., Any]) -> Any:
        """The function, compiled at its first call in IEEE arithmetic (no fast-math), from disk when this version was compiled before."""
        before, CONFIG.CACHE_DIR = CONFIG.CACHE_DIR, str(self.folder)
        try:
            return numba.njit(cache=True)(function)
        finally:
            CONFIG.CACHE_DIR = before

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(source.read_bytes())
        return digest.hexdigest()
