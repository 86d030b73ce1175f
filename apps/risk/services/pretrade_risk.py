"""What an order does to the risk of its portfolio, from what risk has already read to judge it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from apps.core.trading import PreTradeSnapshot, Side, WorkingOrder
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.risk.domain.pretrade_risk import RiskImpact, RiskQuestion, risk_impact
from apps.risk.selectors.risk_books import held_risk


def order_risk(
    *,
    snapshot: PreTradeSnapshot,
    held: Mapping[int, Decimal],
    cash: Decimal,
    prices: Mapping[int, Decimal],
    symbols: Mapping[int, str],
    unpriced: Iterable[str],
    pairs: Mapping[str, str],
    owed: Mapping[str, float],
) -> RiskImpact:
    """Value at risk, shortfall and stress losses before the order and after it. The order's own instrument has a price.

    `held`, `prices` (in the portfolio's currency) and `symbols` are by instrument id; `pairs` names the currency pair of foreign symbols, `owed`
    is cash in other currencies [money] under its pair. Reads only what the process does not hold yet (`selectors.risk_books`).
    """
    intent = snapshot.intent
    values = {symbols[key]: float(quantity) * float(prices[key]) for key, quantity in held.items() if quantity and key in prices}
    equity = float(cash) + sum(values.values())
    for pair, amount in owed.items():
        values[pair] = values.get(pair, 0.0) + amount
    order = {intent.symbol: float(intent.signed_quantity * prices[intent.instrument_id])}
    buys, sells = (_working(snapshot.working_orders, side, prices) for side in (Side.BUY, Side.SELL))
    others = {intent.symbol, *buys, *sells}
    vector = held_risk(
        portfolio_id=intent.portfolio_id,
        values=values,
        version=(frozenset(held.items()), frozenset(values), frozenset(owed.items())),
        others=others,
        pairs=pairs,
        end=_end(snapshot),
        now=snapshot.as_of,
    )
    asked = RiskQuestion(order=order, buys=buys, sells=sells, unpriced=tuple(unpriced), equity=equity)
    return risk_impact(vector, asked)


def _working(orders: Iterable[WorkingOrder], side: Side, prices: Mapping[int, Decimal]) -> dict[str, float]:
    """What the working orders of one side may still add [money]. Those without a price stand in `unpriced`."""
    sums: dict[str, float] = defaultdict(float)
    for order in orders:
        if order.side is side and order.instrument_id in prices:
            sums[order.symbol] += float(order.leaves * prices[order.instrument_id]) * side.sign
    return dict(sums)


def _end(snapshot: PreTradeSnapshot) -> date:
    """The last session that has closed at the market's time."""
    known = snapshot.market or snapshot.reference
    return calendars.last_completed_session(HOME_CALENDAR, known.market_time if known else snapshot.as_of)
