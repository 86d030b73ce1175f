"""Splits and dividends as the desk holds them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np
from django.db import connection
from django.db.models import QuerySet

from apps.marketdata.domain.adjustment import Event
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.models import ActionStatus, CorporateAction
from apps.marketdata.selectors.instruments import instrument_get

#: The newest revision of each action of some instruments that the desk had at a time; only what was applied then has an effect.
LATEST = (
    "select distinct on (instrument_id, kind, ex_date) instrument_id, kind, ex_date, value, status from marketdata_corporateaction "
    "where instrument_id = any(%(ids)s) and ex_date > %(first)s and ex_date <= %(last)s "
    "and (%(as_of)s::timestamptz is null or recorded_at <= %(as_of)s) order by instrument_id, kind, ex_date, revision desc"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One corporate action as the desk holds it: `value` new shares per old share, or cash per share as paid. `id` names the revision."""

    id: int
    symbol: str
    kind: ActionKind
    ex_date: date
    value: Decimal
    currency: str
    source: str
    status: str
    doubt: str
    reason: str
    revision: int
    recorded_at: datetime


def actions_of(*, symbol: str, as_of: datetime | None = None) -> tuple[Action, ...]:
    """The newest revision of every action of a symbol, the latest ex-date first, as the desk knew them at `as_of`.

    Raises NotFound for an unknown symbol.
    """
    rows = latest_actions(instrument_ids=[instrument_get(symbol).pk], as_of=as_of)
    return tuple(action_view(row) for row in sorted(rows, key=lambda row: (row.ex_date, row.kind), reverse=True))


def latest_actions(*, instrument_ids: Sequence[int], as_of: datetime | None = None) -> QuerySet[CorporateAction]:
    """The newest revision of every action of some instruments, in order of instrument, kind and ex-date."""
    rows = CorporateAction.objects.filter(instrument_id__in=instrument_ids).select_related("instrument", "source")
    if as_of is not None:
        rows = rows.filter(recorded_at__lte=as_of)
    return rows.order_by("instrument_id", "kind", "ex_date", "-revision").distinct("instrument_id", "kind", "ex_date")


def action_view(row: CorporateAction) -> Action:
    """The frozen form of a row."""
    same = {name: getattr(row, name) for name in ("id", "ex_date", "value", "currency", "status", "doubt", "reason", "revision", "recorded_at")}
    return Action(symbol=row.instrument.symbol, kind=ActionKind(row.kind), source=row.source.name, **same)


def events_by_id(*, ids: Sequence[int], first: np.datetime64, last: np.datetime64, as_of: datetime | None) -> Mapping[int, list[Event]]:
    """Applied actions with an ex-date after `first` up to and with `last`, by instrument, as known at `as_of`."""
    days = {"first": first.astype("datetime64[D]").item(), "last": last.astype("datetime64[D]").item()}
    found: dict[int, list[Event]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select instrument_id, kind, ex_date, value from ({LATEST}) as known where status = %(applied)s order by ex_date",  # noqa: S608
            {"ids": list(ids), "as_of": as_of, "applied": ActionStatus.APPLIED.value, **days},
        )
        for pk, kind, day, value in cursor.fetchall():
            found[pk].append(Event(kind=ActionKind(kind), day=np.datetime64(day, "D"), value=float(value)))
    return found
