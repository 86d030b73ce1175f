"""Where the private servers' sockets are."""

import hashlib
import os
import stat
from pathlib import Path

from apps.core.servers.errors import ServerError

#: A Unix socket's path holds 107 bytes, the socket's own name included.
LONGEST_RUN_PATH = 80


def run_folder(var: Path) -> Path:
    """The folder for sockets: var/run, or one under /tmp that is named after var when var's path is too long for a socket."""
    var = var.resolve()
    folder = var / "run"
    if len(os.fsencode(folder)) <= LONGEST_RUN_PATH:
        return folder
    name = hashlib.sha256(f"{os.getuid()}:{var}".encode()).hexdigest()[:16]
    return Path("/tmp") / f"desk-{name}"  # noqa: S108  (its owner and mode are checked before use)


def make_run_folder(var: Path) -> Path:
    """Make it with mode 0700. Raises ServerError when somebody else made it before us, as anybody may under /tmp."""
    folder = run_folder(var)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    ours = os.getuid() in (0, info.st_uid)
    if not stat.S_ISDIR(info.st_mode) or not ours or stat.S_IMODE(info.st_mode) & 0o077:
        raise ServerError(f"{folder} must be a folder of {os.getuid()} with mode 0700: remove it, or set DESK_VAR to a shorter path")
    return folder
