"""The ledger entries of a booking by hand."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from apps.core.errors import Conflict, InvalidInput
from apps.core.money import money
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import last_prices
from apps.portfolios.domain.holdings import pair
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import BookingKind, BookingRequest, EntryKind, LedgerEntry, Portfolio
from apps.portfolios.models.ledger import FX_DIGITS, FX_PLACES
from apps.portfolios.selectors.cash import available_cash
from apps.portfolios.selectors.free_cash import free_cash
from apps.portfolios.services.entry_checks import number
from apps.portfolios.services.ledger import entry_post
from apps.portfolios.services.moves import fx_convert
from apps.portfolios.services.transfers import shares_deliver, shares_receive, shares_transfer

SOURCE: Final = "booking"


def booking_post(request: BookingRequest, *, source: str, source_ref: str, at: datetime, market_time: datetime) -> tuple[LedgerEntry, ...]:
    """Post what the request says, in the transaction of a caller who has locked its portfolios. Raises InvalidInput, NotFound, Conflict."""
    facts: dict[str, Any] = {"source": source, "source_ref": source_ref, "effective_at": market_time, "recorded_at": at}
    if request.quantity is not None:
        return _shares(request, facts)
    if request.amount is None or (request.amount <= 0 and request.kind != BookingKind.INTEREST):
        raise InvalidInput(f"the amount was {request.amount}, but it must be positive", field="amount")
    if request.kind == BookingKind.CONVERSION:
        return _conversion(request, request.amount, facts)
    if request.kind in (BookingKind.WITHDRAWAL, BookingKind.CASH_TRANSFER):
        _free_check(request, request.amount, market_time)
    if request.kind == BookingKind.CASH_TRANSFER:
        return _cash_transfer(request, request.amount, facts)
    sign = -1 if request.kind in (BookingKind.WITHDRAWAL, BookingKind.FEE) else 1
    return (_cash(request.portfolio_id, request.book_id, EntryKind(request.kind), sign * request.amount, request, facts),)


def _cash(portfolio_id: int, book_id: int, kind: EntryKind, amount: Decimal, request: BookingRequest, facts: dict[str, Any]) -> LedgerEntry:
    terms: dict[str, Any] = {"kind": kind, "amount": amount, "currency": request.currency, "fx_rate": request.fx_rate}
    return entry_post(portfolio_id=portfolio_id, book_id=book_id, **terms, **facts)


def _free_check(request: BookingRequest, amount: Decimal, market_time: datetime) -> None:
    free = free_cash(request.portfolio, request.currency, market_time=market_time)
    if amount > free:
        why = f"{free:f} {request.currency} is free (settled, and not needed for shorts and working buys), not {amount:f}"
        raise InvalidInput(why, field="amount")


def _cash_transfer(request: BookingRequest, amount: Decimal, facts: dict[str, Any]) -> tuple[LedgerEntry, ...]:
    """A withdrawal here and a deposit there."""
    to_book, taker = _taker(request)
    if taker.pk == request.portfolio_id:
        raise InvalidInput("the cash of a portfolio is not kept by book: a transfer goes to another portfolio", field="to_portfolio_id")
    ref = facts.pop("source_ref")
    out = _cash(request.portfolio_id, request.book_id, EntryKind.WITHDRAWAL, -amount, request, {**facts, "source_ref": f"{ref}:out"})
    return out, _cash(taker.pk, to_book, EntryKind.DEPOSIT, amount, request, {**facts, "source_ref": f"{ref}:in"})


def _taker(request: BookingRequest) -> tuple[int, Portfolio]:
    """The receiving book and its portfolio, which counts in the same currency."""
    if request.to_book is None:
        raise InvalidInput("a transfer says where it goes", field="to_portfolio_id")
    taker, giver = request.to_book.portfolio, request.portfolio
    if taker.base_currency != giver.base_currency:
        raise InvalidInput(f"{giver.name} counts in {giver.base_currency}, {taker.name} in {taker.base_currency}", field="to_portfolio_id")
    return request.to_book.pk, taker


def _conversion(request: BookingRequest, amount: Decimal, facts: dict[str, Any]) -> tuple[LedgerEntry, ...]:
    """Both legs are worth the same in the portfolio's currency, to the rounding of the rates."""
    rate = number(request.rate or Decimal(0), places=FX_PLACES, digits=FX_DIGITS, field="rate")
    if rate <= 0:
        raise InvalidInput(f"the rate was {rate}, but it must be positive", field="rate")
    there = available_cash(request.portfolio_id, local_date(HOME_CALENDAR, facts["effective_at"])).get(request.currency, Decimal(0))
    if amount > there:
        raise InvalidInput(f"{there:f} {request.currency} is there and has settled, not {amount:f}", field="amount")
    base = request.portfolio.base_currency
    bought_rate = None if request.to_currency == base else round((request.fx_rate or Decimal(1)) / rate, FX_PLACES)
    return fx_convert(
        portfolio_id=request.portfolio_id, book_id=request.book_id, sold=amount, sold_currency=request.currency, sold_rate=request.fx_rate,
        bought=money(amount * rate), bought_currency=request.to_currency, bought_rate=bought_rate, **facts,
    )  # fmt: skip


def _shares(request: BookingRequest, facts: dict[str, Any]) -> tuple[LedgerEntry, ...]:
    instrument, portfolio = request.instrument, request.portfolio
    assert instrument is not None and request.quantity is not None  # noqa: S101, PT018 - the request was checked
    rate = "" if instrument.currency == portfolio.base_currency else pair(instrument.currency, portfolio.base_currency)
    prices = last_prices([instrument.symbol, *filter(None, [rate])], market_time=facts["effective_at"])
    if missing := [symbol for symbol in (instrument.symbol, rate) if symbol and symbol not in prices]:
        raise Conflict(f"there is no price of {', '.join(missing)}: what moves cannot be valued", field="symbol")
    price = prices[instrument.symbol] * (prices[rate] if rate else 1)
    terms: dict[str, Any] = {"instrument_id": instrument.pk, "quantity": request.quantity, "price": price, **facts}
    place: dict[str, Any] = {"portfolio_id": portfolio.pk, "book_id": request.book_id}
    if request.kind == BookingKind.SHARES_IN:
        assert request.cost is not None and request.acquired_at is not None  # noqa: S101, PT018
        return shares_receive(**place, **terms, cost=request.cost, acquired_at=request.acquired_at)
    lots = {int(lot_id): Decimal(part) for lot_id, part in request.lots}
    if request.kind == BookingKind.SHARES_OUT:
        return shares_deliver(**place, **terms, lots=lots)
    to_book, taker = _taker(request)
    return shares_transfer(
        from_portfolio_id=portfolio.pk, from_book_id=request.book_id, to_portfolio_id=taker.pk, to_book_id=to_book, **terms, lots=lots
    )
