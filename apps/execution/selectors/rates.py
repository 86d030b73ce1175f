"""The exchange rate at which an order's fills are booked."""

from decimal import Decimal

from apps.core.check_codes import CheckCode
from apps.core.errors import Conflict, Unavailable
from apps.execution.models import Order
from apps.marketdata.selectors.quotes import last_prices
from apps.portfolios.domain.holdings import pair

#: Places that the ledger keeps of a rate.
PLACES = 10


def booking_rate(order: Order) -> Decimal | None:
    """The portfolio's currency for one of the instrument's now; None where both are the same, and then nobody is asked.

    Where no rate can be read, that by which the gate judged the order: what has traded is booked. Raises Conflict when there is neither.
    """
    base, currency = order.portfolio.base_currency, order.instrument.currency
    if currency == base:
        return None
    name = pair(currency, base)
    try:
        rate = last_prices([name]).get(name)
    except Unavailable:
        rate = None
    rate = rate or _judged_by(order)
    if rate is None:
        raise Conflict(f"no rate {name} is known to book order {order.pk} at", order_id=order.pk)
    return round(rate, PLACES)


def _judged_by(order: Order) -> Decimal | None:
    decision = order.decisions.filter(authority="risk").order_by("-id").first()
    checks = decision.checks if decision is not None else ()
    return next((Decimal(check["before"]) for check in checks if check["code"] == CheckCode.FX_RATE_MISSING and check["before"]), None)
