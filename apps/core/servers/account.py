"""Which account PostgreSQL runs as: ours, and for root, which PostgreSQL refuses, one without rights."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from apps.core.servers.errors import ServerError

#: Mode of the socket, in octal digits; the folder around it is 0700 in any case.
SocketMode = str

#: In a user namespace we show as nobody, while all files stay ours. Needs no account, and works below a private /root.
USER_NAMESPACE = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
ACCOUNTS = ("postgres", "nobody")


def as_unprivileged(program: Path, *, owned: Iterable[Path]) -> tuple[list[str], SocketMode]:
    """The words before a command that give root's rights away (none for a normal user), and the mode of the socket.

    Where user namespaces are refused, as in many containers, another account gets the folders `owned`.
    Raises ServerError when there is no such account or it cannot reach the program and the folders.
    """
    if os.geteuid() != 0:
        return [], "0700"
    if shutil.which("unshare") and _succeeds([*USER_NAMESPACE, "true"]):
        return USER_NAMESPACE, "0700"
    return _other_account(program, owned), "0777"


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _other_account(program: Path, owned: Iterable[Path]) -> list[str]:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = next((known[name] for name in ACCOUNTS if name in known), None)
    if account is None or not shutil.which("setpriv"):
        raise ServerError("as root without user namespaces, setpriv and an account named postgres or nobody are needed")
    prefix = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    for folder in owned:
        _give(folder, account)
        if not _succeeds([*prefix, "test", "-w", str(folder)]):
            raise ServerError(f"as root without user namespaces, {account.pw_name} must reach {folder}: set DESK_VAR to a folder outside /root")
    if not _succeeds([*prefix, str(program), "--version"]):
        raise ServerError(f"as root without user namespaces, {account.pw_name} must be able to run {program}: move the project outside /root")
    return prefix


def _give(folder: Path, account: pwd.struct_passwd) -> None:
    """Make the account own the folder and what is in it: an earlier run may have had user namespaces."""
    if folder.stat().st_uid != account.pw_uid:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
