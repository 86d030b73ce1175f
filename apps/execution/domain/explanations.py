"""Why a fill has the price that it has, in words: what the order asked for, what it was matched against, what was added."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.core.trading import OrderType, Side
from apps.execution.domain.amounts import slippage_bps, trimmed


def fill_explanation(
    *,
    side: Side,
    order_type: OrderType,
    price: Decimal,
    fee: Decimal,
    quote: Mapping[str, Any],
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    working_stop: Decimal | None = None,
    arrival_price: Decimal | None = None,
) -> str:
    """Sentences that end with a full stop, the numbers as they were stored. `quote` is what the broker said it matched against."""
    parts = [_asked(order_type, limit_price, stop_price, working_stop), _matched(price, quote), _paid(fee, quote)]
    cost = slippage_bps(side=side, average_price=price, arrival_price=arrival_price)
    if cost is not None:
        word = "worse than" if cost > 0 else "better than" if cost < 0 else "from"
        parts.append(f"{abs(cost):f} bps {word} the arrival price {trimmed(arrival_price)}")
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def _asked(order_type: OrderType, limit_price: Decimal | None, stop_price: Decimal | None, working_stop: Decimal | None) -> str:
    if order_type is OrderType.LIMIT:
        return f"limit {trimmed(limit_price)} was reached"
    if order_type is OrderType.STOP_LIMIT:
        return f"stop {trimmed(stop_price)} was triggered and limit {trimmed(limit_price)} was reached"
    if order_type is OrderType.STOP:
        return f"stop {trimmed(stop_price)} was triggered"
    if order_type is OrderType.TRAILING_STOP:
        return f"the trailing stop was triggered at {trimmed(working_stop)}" if working_stop is not None else "the trailing stop was triggered"
    return "traded at the session's last price" if order_type is OrderType.MARKET_ON_CLOSE else "traded at the market"


def _matched(price: Decimal, quote: Mapping[str, Any]) -> str:
    against = _number(quote.get("price"))
    if against is None:
        return f"executed on {quote['venue']}" if quote.get("venue") else "the broker did not say what it was matched against"
    basis = f"the {quote['basis']} " if quote.get("basis") else ""
    text = f"matched against {basis}{trimmed(against)}"
    if quote.get("venue"):
        text += f", at which {quote['venue']} displayed {quote.get('displayed', 'an unknown number of')} shares"
    elif quote.get("displayed"):
        text += f", at which {quote['displayed']} shares were displayed"
    known = [str(quote["source"])] if quote.get("source") else []
    if quote.get("market_time"):
        known.append(str(quote["market_time"])[:19].replace("T", " ") + "Z")
    last = [f"last price {quote['last']}"] if quote.get("last") else []
    text += f" ({'; '.join([*last, ', '.join(known)])})" if known else ""
    bps = _number(quote.get("slippage_bps"))
    if bps and price != against:
        text += f", made {trimmed(bps)} bps worse: {trimmed(price)}"
    elif price != against:
        text += f", traded at {trimmed(price)}"
    return text


def _paid(fee: Decimal, quote: Mapping[str, Any]) -> str:
    venue_fee = _number(quote.get("venue_fee"))
    per_share = f", of it {trimmed(venue_fee)} a share for the venue" if venue_fee else ""
    if fee:
        return f"fee {trimmed(fee)}{per_share}"
    return "no fee of its own" if quote.get("commission") is None else f"commission {quote['commission']}"


def _number(value: Any) -> Decimal | None:
    try:
        return None if value in (None, "") else Decimal(str(value))
    except InvalidOperation:
        return None
