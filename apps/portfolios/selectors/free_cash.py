"""Cash that may leave a portfolio. Portfolios know no orders: the app above that has them says what they may still take."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from apps.core.errors import Conflict
from apps.core.money import ZERO
from apps.core.trading import Side, WorkingOrder
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import last_prices
from apps.portfolios.domain.free_cash import cash_free
from apps.portfolios.domain.holdings import pair
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import Portfolio
from apps.portfolios.selectors.cash import available_cash
from apps.portfolios.selectors.holdings import holdings

#: The orders of a portfolio which may still trade, the unsent part of working parents included.
Orders = Callable[[int], Sequence[WorkingOrder]]

_orders: dict[str, Orders] = {}


def register_orders(find: Orders) -> None:
    """Say how working orders are found, from AppConfig.ready()."""
    _orders["orders"] = find


def orders_open(portfolio_id: int) -> Sequence[WorkingOrder]:
    """The orders of a portfolio which may still trade, as the app that has them says."""
    return _orders["orders"](portfolio_id) if _orders else ()


def free_cash(portfolio: Portfolio, currency: str, *, market_time: datetime) -> Decimal:
    """Cash of one currency that may leave now, at least 0: what `domain.free_cash` says of settled cash, shorts and working buys.

    Raises Conflict when a price that is needed is missing: what is not known is not free.
    """
    lines = available_cash(portfolio.pk, local_date(HOME_CALENDAR, market_time))
    held = holdings(portfolio.pk)
    buys = [order for order in orders_open(portfolio.pk) if order.side is Side.BUY]
    shorts = [position for position, _ in held.by_instrument.values() if position.quantity < 0]
    currencies = {currency, *lines, *(p.currency for p in shorts), *(order.currency for order in buys)} - {"", portfolio.base_currency}
    pairs = {other: pair(other, portfolio.base_currency) for other in currencies}
    symbols = sorted({*pairs.values(), *(p.symbol for p in shorts), *(order.symbol for order in buys)})
    prices = last_prices(symbols, market_time=market_time) if symbols else {}
    if missing := [symbol for symbol in symbols if symbol not in prices]:
        raise Conflict(f"what is free cannot be known without a price of {', '.join(missing)}", field="amount")
    rates = {portfolio.base_currency: Decimal(1), "": Decimal(1)} | {other: prices[name] for other, name in pairs.items()}
    owed = sum((-position.quantity * prices[position.symbol] * rates[position.currency] for position in shorts), ZERO)
    wanted = sum((order.leaves * _worst(order, prices[order.symbol]) * rates[order.currency] for order in buys), ZERO)
    return cash_free(lines=lines, claims=owed + wanted, rates=rates, currency=currency)


def _worst(order: WorkingOrder, price: Decimal) -> Decimal:
    """The limit price, or the market; a stop's trigger when that is higher."""
    return order.limit_price if order.limit_price is not None else max(price, order.stop_price or ZERO)
