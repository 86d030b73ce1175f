"""Prices that a session ended with."""

from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal

from apps.core.money import price_from_float
from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_panel
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import reference_prices


def closing_prices(symbols: Collection[str], session: date, close: datetime, *, calendar: str = HOME_CALENDAR) -> dict[str, Decimal]:
    """The session's closes as traded; an instrument without a bar of it has its latest quote, when that is of the session. Others are left out."""
    if not symbols:
        return {}
    prices = bar_closes(symbols, session)
    if without := [symbol for symbol in symbols if symbol not in prices]:
        opened, _ = calendars.session_hours(calendar, session)
        quotes = reference_prices(without, market_time=close)
        prices |= {symbol: quote.price for symbol, quote in quotes.items() if opened <= quote.market_time <= close}
    return prices


def bar_closes(symbols: Collection[str], session: date, *, as_of: datetime | None = None) -> dict[str, Decimal]:
    """The closes of the session's bars as traded, those that the desk knew at `as_of` where it is given; symbols without one are left out."""
    panel = bar_panel(symbols=tuple(symbols), timeframe=Timeframe.DAY, start=session, end=session, as_of=as_of)
    if not len(panel.ts):
        return {}
    # A price that is not NaN: the symbol has a bar of this session.
    return {symbol: price_from_float(float(price)) for symbol, price in zip(panel.symbols, panel.close[-1], strict=True) if price == price}
