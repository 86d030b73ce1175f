"""From what a person or a program asks for to an intent that the gate can judge."""

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

from apps.core.errors import InvalidInput, NotFound, NotPermitted
from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES, exact
from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce
from apps.marketdata.selectors.instruments import instrument_get
from apps.portfolios.selectors.membership import tradable_book, tradable_currency
from apps.portfolios.selectors.portfolios import books, portfolio_get

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.marketdata.models import Instrument

Number = Decimal | str | int
_Choice = TypeVar("_Choice", bound=StrEnum)

#: The digest of an intent is recomputed by the database, which escapes other characters differently.
STRATEGY_NAME = re.compile(r"[A-Za-z0-9_.:-]{0,100}")


def intent_build(
    *,
    user: "User",
    portfolio_id: int,
    symbol: str,
    side: str,
    quantity: Number,
    order_type: str = OrderType.MARKET,
    time_in_force: str = TimeInForce.DAY,
    limit_price: Number | None = None,
    stop_price: Number | None = None,
    trail_offset: Number | None = None,
    expire_at: datetime | None = None,
    client_order_id: UUID | str | None = None,
    book: str = "main",
    strategy: str = "",
) -> OrderIntent:
    """Check every field and look up what they name. Without a client order id a new one is made.

    Raises InvalidInput (naming the field), NotFound (portfolio, also one the user does not see; book; symbol) and NotPermitted
    (the user sees the portfolio but does not trade in it, or it is closed). Nothing is rounded and nothing is written.
    """
    book_id = tradable_book(user_id=user.pk, portfolio_id=portfolio_id, book=book)
    if book_id is None:
        portfolio_check(user=user, portfolio_id=portfolio_id)
    instrument = instrument_get(symbol)
    kind = _choice(OrderType, order_type, "order_type")
    tif = _choice(TimeInForce, time_in_force, "time_in_force")
    _check_times(kind, tif, expire_at)
    if not STRATEGY_NAME.fullmatch(strategy):
        raise InvalidInput("a strategy's name has letters, digits and _ . : - only, at most 100", field="strategy")
    return OrderIntent(
        client_order_id=_client_order_id(client_order_id),
        portfolio_id=portfolio_id,
        book_id=_book_id(portfolio_id, book) if book_id is None else book_id,
        instrument_id=instrument.pk,
        symbol=instrument.symbol,
        side=_choice(Side, side, "side"),
        quantity=_quantity(quantity, instrument),
        order_type=kind,
        time_in_force=tif,
        limit_price=_price(limit_price, instrument, field="limit_price", wanted=kind.has_limit, kind=kind),
        stop_price=_price(stop_price, instrument, field="stop_price", wanted=kind.has_stop, kind=kind),
        trail_offset=_price(trail_offset, instrument, field="trail_offset", wanted=kind.has_trail, kind=kind),
        expire_at=expire_at,
        strategy=strategy,
    )


def portfolio_check(*, user: "User", portfolio_id: int) -> None:
    """Pass when the user may place orders in the portfolio. Raises NotFound and NotPermitted as `intent_build` says."""
    if tradable_currency(user_id=user.pk, portfolio_id=portfolio_id) is None:
        portfolio = portfolio_get(user=user, portfolio_id=portfolio_id)
        raise NotPermitted(f"{user.get_username()} may not place orders in {portfolio.name}, which is {portfolio.status}", field="portfolio_id")


def _choice(kind: type[_Choice], value: str, field: str) -> _Choice:
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not one of {', '.join(kind)}", field=field) from error


def _check_times(kind: OrderType, tif: TimeInForce, expire_at: datetime | None) -> None:
    """Which times in force go with which type. Whether a good-till-date order has already ended is the market's time to say."""
    if (expire_at is not None) is not (tif is TimeInForce.GTD):
        raise InvalidInput(f"a {tif} order {'needs' if tif is TimeInForce.GTD else 'has no'} expire at", field="expire_at")
    if expire_at is not None and expire_at.tzinfo is None:
        raise InvalidInput("the time has no time zone", field="expire_at")
    if kind is OrderType.MARKET_ON_CLOSE and tif is not TimeInForce.DAY:
        raise InvalidInput("a market-on-close order is for the day", field="time_in_force")
    if kind.has_trail and tif.is_immediate:
        raise InvalidInput("a trailing stop cannot be immediate", field="time_in_force")


def _client_order_id(value: UUID | str | None) -> UUID:
    if value is None:
        return uuid4()
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is no UUID", field="client_order_id") from error


def _book_id(portfolio_id: int, name: str) -> int:
    known = books(portfolio_id)
    if name not in known:
        raise NotFound(f"the portfolio has no book {name!r} ({', '.join(known)})", field="book")
    return known[name]


def _quantity(value: Number, instrument: "Instrument") -> Decimal:
    quantity = _stored(value, digits=QUANTITY_DIGITS, places=QUANTITY_PLACES, field="quantity")
    if quantity <= 0:
        raise InvalidInput("the quantity must be above zero", field="quantity")
    if quantity % instrument.lot_size:
        raise InvalidInput(f"{instrument.symbol} trades in multiples of {instrument.lot_size.normalize():f}", field="quantity")
    return quantity


def _price(value: Number | None, instrument: "Instrument", *, field: str, wanted: bool, kind: OrderType) -> Decimal | None:
    if (value is not None) is not wanted:
        raise InvalidInput(f"a {kind} order {'needs a' if wanted else 'has no'} {field.replace('_', ' ')}", field=field)
    return None if value is None else price_check(value, instrument, field=field)


def price_check(value: Number, instrument: "Instrument", *, field: str) -> Decimal:
    """A price of the instrument, above zero and on its tick. Raises InvalidInput naming the field."""
    price = _stored(value, digits=PRICE_DIGITS, places=PRICE_PLACES, field=field)
    if price <= 0:
        raise InvalidInput("a price must be above zero", field=field)
    if price % instrument.tick_size:
        raise InvalidInput(f"{instrument.symbol} is priced in steps of {instrument.tick_size.normalize():f}", field=field)
    return price


def _stored(value: Number, *, digits: int, places: int, field: str) -> Decimal:
    number = exact(value, places=places, field=field)
    if abs(number) >= Decimal(1).scaleb(digits - places):
        raise InvalidInput(f"{value} is too large", field=field)
    return number
