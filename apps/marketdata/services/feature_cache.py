"""Computed features on disk: one file per key, found again by what they were computed from, never trusted without their checksum."""

import contextlib
import hashlib
import io
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

#: The oldest files go when all of them are larger than this.
MOST_BYTES = 512 * 1024 * 1024
DIGEST_BYTES = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where the files are."""
    return Path(settings.VAR) / "features"


def cache_read(key: str) -> NDArray[np.float64] | None:
    """The array under a key; None when there is none or the file is not what was written, which is then removed."""
    path = cache_folder() / f"{key}.npy"
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[DIGEST_BYTES:]).digest() == content[:DIGEST_BYTES]:
        with contextlib.suppress(OSError):
            os.utime(path)  # used lately: it goes last
        array: NDArray[np.float64] = np.load(io.BytesIO(content[DIGEST_BYTES:]), allow_pickle=False)
        return array
    logger.warning("%s is damaged and will be computed again", path)
    path.unlink(missing_ok=True)
    return None


def cache_write(key: str, values: NDArray[np.float64]) -> None:
    """Keep an array: written beside and renamed, so that no reader sees half a file. A full disk costs the cache, not the answer."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    content = buffer.getvalue()
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(file.name).replace(folder / f"{key}.npy")
        _evict(folder)
    except OSError as error:
        logger.warning("features are not cached: %s", error)


def _evict(folder: Path) -> None:
    """Remove the files used longest ago until the rest fits. Files that another process removes meanwhile are gone all the same."""
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
