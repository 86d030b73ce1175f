"""Fees for borrowed shares: rates that people enter, and what follows from them, booked once a session."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.core.errors import Conflict, DeskError, InvalidInput, NotPermitted
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.instruments import instrument_get
from apps.portfolios.domain.borrow import borrow_fee
from apps.portfolios.domain.holdings import pair
from apps.portfolios.models import BorrowRate, EntryKind, LedgerEntry
from apps.portfolios.selectors.borrow import Short, held_at, rate_of, rates_on, shorts_since
from apps.portfolios.selectors.closing_prices import closing_prices
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.services.entry_checks import number
from apps.portfolios.services.ledger import entry_post, entry_posted_as
from apps.portfolios.services.portfolios import portfolio_lock

if TYPE_CHECKING:
    from apps.core.models import User

SOURCE: Final = "borrow"
SET_RATE: Final = "portfolios.add_borrowrate"
#: So far back sessions are booked which a desk that stood still has missed; more is for people.
LOOK_BACK: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeesBooked:
    """What one run booked. `refused` says for each reference why it was not booked; the next run tries again."""

    entries: tuple[int, ...]
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Night:
    """From the close of the session `first` to the opening of the next one, `last`."""

    first: date
    last: date
    close: datetime
    opens: datetime


def borrow_rate_set(
    *, symbol: str, annual_rate: Decimal, from_session: date, reason: str, user: "User", at: datetime, portfolio_id: int | None = None
) -> BorrowRate:
    """Enter what an instrument costs a year (a fraction, >= 0) from a session on, for all portfolios or one.

    Sessions that are booked already keep their fee. Raises NotPermitted, NotFound (symbol, portfolio), InvalidInput (rate, reason).
    """
    if not user.is_active or not user.has_perm(SET_RATE):
        raise NotPermitted(f"{user} may not set rates of borrowed shares")
    rate = number(annual_rate, places=6, digits=9, field="annual_rate")
    if rate < 0:
        raise InvalidInput(f"the rate was {rate}, but it must not be negative", field="annual_rate")
    if not reason.strip():
        raise InvalidInput("a rate has a reason: whose it is", field="reason")
    return BorrowRate.objects.create(
        instrument=instrument_get(symbol),
        portfolio=None if portfolio_id is None else portfolio_get(user=user, portfolio_id=portfolio_id),
        annual_rate=rate,
        from_session=from_session,
        reason=reason.strip()[:200],
        created_by=user,
        recorded_at=at,
    )


def borrow_fees_book(*, market_time: datetime, recorded_at: datetime) -> FeesBooked:
    """Book the fee of every short position for each night that has ended by the market's time, once, at the opening of the session after.

    What was short at the close counts, at that close, by the instrument's own calendar. A price that is missing refuses the fee by name.
    """
    since = market_time - LOOK_BACK
    rated = set(BorrowRate.objects.values_list("instrument_id", flat=True))
    if not rated:
        return FeesBooked(entries=(), refused={})
    known = set(LedgerEntry.objects.filter(source=SOURCE, effective_at__gt=since).values_list("source_ref", flat=True))
    booked: list[int] = []
    refused: dict[str, str] = {}
    for short in shorts_since(since, instrument_ids=rated):
        for night in _nights(short.calendar, since, market_time):
            ref = f"{night.first.isoformat()}:{short.book_id}:{short.instrument_id}"
            if ref in known:
                continue
            try:
                entry = _book(short, night, ref, recorded_at)
            except DeskError as error:
                refused[ref] = error.detail
                continue
            if entry is not None:
                booked.append(entry.pk)
    return FeesBooked(entries=tuple(booked), refused=refused)


def _nights(calendar: str, since: datetime, market_time: datetime) -> Iterable[_Night]:
    found = calendars.sessions(calendar, since.date(), calendars.session_at(calendar, market_time))
    for first, last in pairwise(found):
        yield _Night(first=first, last=last, close=calendars.session_hours(calendar, first)[1], opens=calendars.session_hours(calendar, last)[0])


def _book(short: Short, night: _Night, ref: str, recorded_at: datetime) -> LedgerEntry | None:
    """Under the portfolio's lock; None when another process has booked it, nothing was short, or it costs nothing."""
    rates = rates_on([short.instrument_id], night.first)
    annual_rate = rate_of(rates, instrument_id=short.instrument_id, portfolio_id=short.portfolio_id)
    if not annual_rate:
        return None
    with transaction.atomic():
        portfolio = portfolio_lock(short.portfolio_id)
        quantity = held_at(short.book_id, short.instrument_id, night.close)
        if quantity >= 0 or entry_posted_as(SOURCE, ref):
            return None
        rate = "" if short.currency == short.base_currency else pair(short.currency, short.base_currency)
        wanted = [name for name in (short.symbol, rate) if name]
        prices = closing_prices(wanted, night.first, night.close, calendar=short.calendar)
        if missing := [name for name in wanted if name not in prices]:
            raise Conflict(f"there is no closing price of {', '.join(missing)}")
        fee = borrow_fee(quantity=quantity, price=prices[short.symbol], annual_rate=annual_rate, first=night.first, last=night.last)
        if not fee:
            return None
        return entry_post(
            portfolio_id=short.portfolio_id, book_id=short.book_id, kind=EntryKind.BORROW_FEE, instrument_id=short.instrument_id, amount=-fee,
            currency=short.currency, fx_rate=prices[rate] if rate else None, source=SOURCE, source_ref=ref,
            effective_at=night.opens, recorded_at=recorded_at, locked=portfolio,
        )  # fmt: skip
