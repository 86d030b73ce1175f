"""Putting instruments on the restricted or watch list, and taking them off. Every change is kept, with who and why."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from apps.compliance.models import Restriction, RestrictionLevel
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted

if TYPE_CHECKING:
    from apps.core.models import User


def restriction_add(
    *,
    instrument_id: int,
    level: str,
    reason: str,
    user: "User",
    active_from: datetime,
    active_to: datetime | None = None,
    portfolio_id: int | None = None,
) -> Restriction:
    """Restrict or watch an instrument, for one portfolio or (None) for all, from `active_from` until before `active_to`.

    Raises NotPermitted, InvalidInput (unknown level, no reason, an end before the beginning) and Conflict when it stands there already.
    """
    if not user.has_perm("compliance.add_restriction"):
        raise NotPermitted("only compliance officers change the restricted list")
    if level not in RestrictionLevel.values:
        raise InvalidInput(f"{level!r} is none of {', '.join(RestrictionLevel.values)}", field="level")
    if active_to is not None and active_to <= active_from:
        raise InvalidInput("the end must be after the beginning", field="active_to")
    restriction = Restriction(
        instrument_id=instrument_id,
        portfolio_id=portfolio_id,
        level=level,
        reason=_reason(reason),
        active_from=active_from,
        active_to=active_to,
    )
    restriction._change_reason = restriction.reason[:100]
    restriction._history_user = user
    try:
        with transaction.atomic():
            restriction.save()
    except IntegrityError as error:
        if "restriction_one_open" in str(error):
            raise Conflict("the instrument is on this list already", field="instrument") from error
        raise
    return restriction


def restriction_end(*, restriction_id: int, reason: str, user: "User", at: datetime) -> Restriction:
    """Take an instrument off the list from `at` on. Raises NotPermitted, NotFound, InvalidInput (no reason), Conflict (it has ended)."""
    if not user.has_perm("compliance.change_restriction"):
        raise NotPermitted("only compliance officers change the restricted list")
    text = _reason(reason)
    with transaction.atomic():
        restriction = Restriction.objects.select_for_update().filter(pk=restriction_id).first()
        if restriction is None:
            raise NotFound(f"no restriction {restriction_id}")
        if restriction.active_to is not None and restriction.active_to <= at:
            raise Conflict(f"the restriction ended at {restriction.active_to:%Y-%m-%d %H:%M} UTC")
        if restriction.active_from >= at:
            raise Conflict("the restriction has not begun: change its beginning instead")
        restriction.active_to = at
        restriction._change_reason = text[:100]
        restriction._history_user = user
        restriction.save()
    return restriction


def _reason(reason: str) -> str:
    text = reason.strip()
    if not text:
        raise InvalidInput("a change of the list needs a reason", field="reason")
    if len(text) > 500:
        raise InvalidInput("a reason has at most 500 characters", field="reason")
    return text
