"""The people of the demo desk, with passwords that each installation makes for itself."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from django.contrib.auth.models import Group

from apps.core.models import User
from apps.core.roles import STAFF_ROLES, Role

#: User name and role; None stands for the administrator.
DEMO_USERS: Mapping[str, Role | None] = {
    "trader": Role.TRADER,
    "quant": Role.QUANT,
    "risk": Role.RISK,
    "compliance": Role.COMPLIANCE,
    "operator": Role.OPERATOR,
    "auditor": Role.AUDITOR,
    "admin": None,
}
PASSWORD_BYTES = 9


def logins_read(file: Path) -> dict[str, str]:
    """User names and passwords that were written earlier; empty without the file."""
    if not file.exists():
        return {}
    return dict(line.split(" ", 1) for line in file.read_text().splitlines() if " " in line)


def users_ensure(file: Path) -> dict[str, User]:
    """Make the users that are missing, with their role. A user whose password the file does not know gets a new one.

    The file is written first, and for its owner only: a password that is lost cannot be had again.
    """
    known = logins_read(file)
    passwords = {name: known.get(name) or secrets.token_urlsafe(PASSWORD_BYTES) for name in DEMO_USERS}
    _write_private(file, "".join(f"{name} {password}\n" for name, password in passwords.items()))
    return {name: _user_ensure(name, role, passwords[name], keep=name in known) for name, role in DEMO_USERS.items()}


def _user_ensure(name: str, role: Role | None, password: str, *, keep: bool) -> User:
    administrator = role is None
    user, made = User.objects.get_or_create(
        username=name,
        defaults={
            "first_name": name.capitalize(),
            "last_name": "Demo",
            "email": f"{name}@desk.example",
            "is_superuser": administrator,
            "is_staff": administrator or role in STAFF_ROLES,
        },
    )
    if made or not keep:
        user.set_password(password)
        user.save(update_fields=["password"])
    if role is not None:
        user.groups.add(Group.objects.get(name=role.value))
    return user


def _write_private(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    fresh.replace(file)
