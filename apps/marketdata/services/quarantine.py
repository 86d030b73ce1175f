"""Putting data into quarantine and letting it out. Opening takes one person or a data check, releasing takes a person with a reason."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Quarantine
from apps.marketdata.selectors.instruments import instrument_get

if TYPE_CHECKING:
    from apps.core.models import User

LONGEST_REASON = 500


def quarantine_open(
    *,
    symbol: str,
    timeframe: Timeframe | None = None,
    reason: str,
    from_date: date | None = None,
    to_date: date | None = None,
    user: "User | None",
    at: datetime,
) -> Quarantine:
    """Say that an instrument's data must not be used. `user` None: a data check opens it.

    Raises NotPermitted, NotFound (symbol), InvalidInput (no reason, days in the wrong order) and Conflict when this instrument and time
    frame have an open quarantine already: one is enough, and two could contradict each other.
    """
    if user is not None and not user.has_perm("marketdata.add_quarantine"):
        raise NotPermitted("your role does not put data into quarantine")
    text = _reason(reason, "reason")
    if from_date is not None and to_date is not None and to_date < from_date:
        raise InvalidInput(f"the last day {to_date} lies before the first {from_date}", field="to_date")
    quarantine = Quarantine(
        instrument=instrument_get(symbol),
        timeframe=None if timeframe is None else int(timeframe),
        reason=text,
        from_date=from_date,
        to_date=to_date,
        opened_by=user,
        opened_at=at,
    )
    try:
        with transaction.atomic():
            _save(quarantine, text, user)
    except IntegrityError as error:
        which = "all time frames" if timeframe is None else timeframe.code
        raise Conflict(f"{symbol} ({which}) is in quarantine already", field="symbol") from error
    return quarantine


def quarantine_release(*, quarantine_id: int, reason: str, user: "User", at: datetime) -> Quarantine:
    """Let the data be used again. Raises NotPermitted, NotFound, InvalidInput (no reason) and Conflict when it is released already."""
    if not user.has_perm("marketdata.change_quarantine"):
        raise NotPermitted("your role does not release data from quarantine")
    text = _reason(reason, "reason")
    with transaction.atomic():
        found = Quarantine.objects.select_for_update().filter(pk=quarantine_id).first()
        if found is None:
            raise NotFound(f"there is no quarantine {quarantine_id}", field="id")
        if found.released_at is not None:
            raise Conflict(f"quarantine {quarantine_id} is released already", field="id")
        found.released_at, found.released_by, found.release_reason = at, user, text
        _save(found, f"Released: {text}", user)
    return found


def quarantine_widen(*, quarantine_id: int, from_date: date | None, to_date: date | None, reason: str) -> Quarantine:
    """Let an open quarantine also cover more days: a data check found more. Days are only added. Called with the row's lock held or alone."""
    with transaction.atomic():
        found = Quarantine.objects.select_for_update().get(pk=quarantine_id)
        found.from_date = None if from_date is None or found.from_date is None else min(found.from_date, from_date)
        found.to_date = None if to_date is None or found.to_date is None else max(found.to_date, to_date)
        found.reason = f"{found.reason}; {reason}"[:LONGEST_REASON]
        _save(found, f"Widened: {reason}", None)
    return found


def _save(quarantine: Quarantine, reason: str, user: "User | None") -> None:
    quarantine._change_reason = reason[:100]
    quarantine._history_user = user
    quarantine.save()


def _reason(reason: str, field: str) -> str:
    text = reason.strip()
    if not text:
        raise InvalidInput("a reason is required", field=field)
    if len(text) > LONGEST_REASON:
        raise InvalidInput(f"a reason has at most {LONGEST_REASON} characters", field=field)
    return text
