"""Splits and dividends that the desk knows, booked to whoever held the shares when the ex-date began. Once each, by their reference."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Min, Sum

from apps.core.errors import DeskError
from apps.core.money import money
from apps.marketdata.domain import calendars
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.selectors.corporate_actions import latest_actions
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.holdings import pair
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import EntryKind, LedgerEntry, Portfolio, PortfolioStatus
from apps.portfolios.services.ledger import entry_post
from apps.portfolios.services.moves import split_post
from apps.portfolios.services.portfolios import portfolio_lock

logger = logging.getLogger(__name__)

SOURCE = "action"
APPLIED = "applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsBooked:
    """What one run booked. `refused` says for each reference why it was not booked: people look into those."""

    entries: tuple[int, ...]
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """One action and one holder of it."""

    kind: ActionKind
    ex_date: date
    effective_at: datetime
    value: Decimal
    currency: str
    learned_at: datetime
    portfolio_id: int
    book_id: int
    instrument_id: int

    @property
    def ref(self) -> str:
        return f"{self.kind.value}:{self.instrument_id}:{self.ex_date.isoformat()}:{self.book_id}"


def actions_book(*, market_time: datetime, recorded_at: datetime) -> ActionsBooked:
    """Book every applied action whose ex-date has begun by the market's time to all books that held the instrument before it.

    A holder of shares gets value x quantity, a short pays it; a split multiplies the lots that were open. Actions in the order of their
    ex-dates, splits first. What was booked before is left alone; a value that a vendor corrected afterwards is refused by name, as is what
    cannot be booked any more (`moves.split_post`), and the run goes on with the next.
    """
    booked: list[int] = []
    refused: dict[str, str] = {}
    due = sorted(_due(market_time), key=lambda one: (one.ex_date, one.kind is not ActionKind.SPLIT, one.instrument_id, one.book_id))
    refs = [one.ref for one in due]
    known = dict(LedgerEntry.objects.filter(source=SOURCE, source_ref__in=refs).values_list("source_ref", "recorded_at"))
    for one in due:
        if one.ref in known and one.learned_at < known[one.ref]:
            continue
        try:
            with transaction.atomic():
                entry = _book(one, market_time, recorded_at)
        except DeskError as error:
            refused[one.ref] = error.detail
            continue
        if entry is not None and one.ref not in known:
            booked.append(entry.pk)
    return ActionsBooked(entries=tuple(booked), refused=refused)


def _due(market_time: datetime) -> Iterable[_Due]:
    """Applied actions of what open portfolios have ever held, since it came in."""
    since = (
        LedgerEntry.objects.filter(portfolio__status=PortfolioStatus.ACTIVE)
        .exclude(quantity=0)
        .values_list("portfolio_id", "book_id", "instrument_id")
        .annotate(first=Min("effective_at"))
        .order_by("portfolio_id", "book_id", "instrument_id")
    )
    holders: dict[int, list[tuple[int, int, datetime]]] = {}
    for portfolio_id, book_id, instrument_id, first in since:
        holders.setdefault(instrument_id, []).append((portfolio_id, book_id, first))
    today = local_date(HOME_CALENDAR, market_time)
    for action in latest_actions(instrument_ids=list(holders)):
        if action.status != APPLIED or action.ex_date > today:
            continue
        begins = _begins(action.instrument.calendar, action.ex_date)
        for portfolio_id, book_id, first in holders[action.instrument_id]:
            if first < begins <= market_time:
                yield _Due(
                    kind=ActionKind(action.kind),
                    ex_date=action.ex_date,
                    effective_at=begins,
                    value=action.value,
                    currency=action.currency,
                    learned_at=action.recorded_at,
                    portfolio_id=portfolio_id,
                    book_id=book_id,
                    instrument_id=action.instrument_id,
                )


def _begins(calendar: str, day: date) -> datetime:
    """When the session of an ex-date opens; one on a day without a session counts from the next."""
    session = calendars.next_session(calendar, day - timedelta(days=1))
    return calendars.session_hours(calendar, session)[0]


def _book(one: _Due, market_time: datetime, recorded_at: datetime) -> LedgerEntry | None:
    """Under the portfolio's lock, so that what was held cannot change meanwhile; None when nothing was."""
    portfolio = portfolio_lock(one.portfolio_id)
    held = LedgerEntry.objects.filter(book_id=one.book_id, instrument_id=one.instrument_id, effective_at__lt=one.effective_at)
    quantity = held.aggregate(total=Sum("quantity"))["total"] or Decimal(0)
    if not quantity:
        return None
    where = {"portfolio_id": one.portfolio_id, "book_id": one.book_id, "instrument_id": one.instrument_id}
    facts = {"source": SOURCE, "source_ref": one.ref, "effective_at": one.effective_at, "recorded_at": recorded_at}
    if one.kind is ActionKind.SPLIT:
        return split_post(**where, **facts, ratio=one.value)  # type: ignore[arg-type] # two dictionaries of one type each
    amount = money(quantity * one.value)
    if not amount:
        return None
    kind = EntryKind.DIVIDEND if amount > 0 else EntryKind.DIVIDEND_PAID
    rate = _rate(one, portfolio, market_time)
    return entry_post(**where, **facts, kind=kind, amount=amount, currency=one.currency, fx_rate=rate, locked=portfolio)  # type: ignore[arg-type]


def _rate(one: _Due, portfolio: Portfolio, market_time: datetime) -> Decimal | None:
    """What the entry was booked at, if it was; else the pair's price now. None in the base currency, and when there is no price."""
    if one.currency == portfolio.base_currency:
        return None
    booked = LedgerEntry.objects.filter(source=SOURCE, source_ref=one.ref).values_list("fx_rate", flat=True).first()
    if booked is not None:
        return booked
    symbol = pair(one.currency, portfolio.base_currency)
    found = reference_prices([symbol], market_time=market_time).get(symbol)
    return None if found is None else found.price
