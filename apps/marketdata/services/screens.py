"""Changes of saved screens. What cannot be read is not saved; only the owner changes one."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.marketdata.domain.screening import query_parse
from apps.marketdata.models import Screen
from apps.marketdata.selectors.screens import screen_get

if TYPE_CHECKING:
    from apps.core.models import User

LONGEST_NAME = 60


def screen_save(*, owner: "User", name: str, query: str, at: datetime, shared: bool = False) -> Screen:
    """Save a query under a name that the owner has not used yet. Raises InvalidInput (name; query with its position) and Conflict."""
    screen = Screen(owner=owner, name=_name(name), query=_query(query), shared=shared, created_at=at)
    _save(screen, owner)
    return screen


def screen_change(*, user: "User", screen_id: int, name: str | None = None, query: str | None = None, shared: bool | None = None) -> Screen:
    """Change what is given. Raises as `screen_save`, and NotFound, NotPermitted."""
    with transaction.atomic():
        screen = _own(user, screen_id)
        screen.name = screen.name if name is None else _name(name)
        screen.query = screen.query if query is None else _query(query)
        screen.shared = screen.shared if shared is None else shared
        _save(screen, user)
    return screen


def screen_delete(*, user: "User", screen_id: int) -> None:
    """Delete the screen; its history stays."""
    with transaction.atomic():
        screen = _own(user, screen_id)
        screen._history_user = user
        screen.delete()


def _own(user: "User", screen_id: int) -> Screen:
    if screen_get(user=user, screen_id=screen_id).owner_id != user.pk:
        raise NotPermitted("only its owner changes a shared screen")
    return Screen.objects.select_for_update(of=("self",)).select_related("owner").get(pk=screen_id)


def _name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidInput(f"a name has 1 to {LONGEST_NAME} characters", field="name")
    return name


def _query(text: str) -> str:
    query_parse(text)
    return text.strip()


def _save(screen: Screen, user: "User") -> None:
    screen._history_user = user
    try:
        with transaction.atomic():
            screen.save()
    except IntegrityError as error:
        raise Conflict(f"you have a screen {screen.name!r} already", field="name") from error
