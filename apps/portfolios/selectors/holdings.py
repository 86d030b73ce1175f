"""What portfolios hold. One query, however many positions and portfolios are asked for."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Sum

from apps.core.errors import NotFound
from apps.core.money import ZERO
from apps.portfolios.domain.holdings import Holding, Holdings
from apps.portfolios.domain.valuation import Traded
from apps.portfolios.models import EntryKind, LedgerEntry

__all__ = ["Holding", "Holdings", "Traded", "holdings", "holdings_many", "traded_since"]


def holdings(portfolio_id: int) -> Holdings:
    """Cash in the base currency and open positions, by book and symbol. Raises NotFound."""
    found = holdings_many([portfolio_id])
    if portfolio_id not in found:
        raise NotFound(f"no portfolio {portfolio_id}")
    return found[portfolio_id]


# In SQL, because each order asks it.
HELD = """
select f.id, f.base_currency, coalesce(c.amount, 0), b.id, b.name, i.id, i.symbol, p.quantity, p.cost, p.realised
from portfolios_portfolio f left join portfolios_cashbalance c on c.portfolio_id = f.id and c.currency = f.base_currency
left join (portfolios_book b join portfolios_position p on p.book_id = b.id join marketdata_instrument i on i.id = p.instrument_id)
    on b.portfolio_id = f.id
where f.id = any(%s) order by f.id, b.name, i.symbol
"""


def holdings_many(portfolio_ids: Collection[int]) -> dict[int, Holdings]:
    """Holdings of several portfolios; those that do not exist are left out."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, [list(portfolio_ids)])
        rows = cursor.fetchall()
    portfolios = {row[0]: (row[1], row[2]) for row in rows}
    positions: dict[int, list[Holding]] = {portfolio_id: [] for portfolio_id in portfolios}
    realised: dict[int, Decimal] = dict.fromkeys(positions, ZERO)
    for portfolio_id, _, _, book_id, book, instrument_id, symbol, quantity, cost, earned in rows:
        if book_id is None:  # it holds nothing
            continue
        realised[portfolio_id] += earned
        if quantity:
            positions[portfolio_id].append(
                Holding(book_id=book_id, book=book, instrument_id=instrument_id, symbol=symbol, quantity=quantity, cost=cost, realised=earned)
            )
    return {
        portfolio_id: Holdings(
            portfolio_id=portfolio_id,
            currency=currency,
            cash=cash,
            positions=tuple(positions[portfolio_id]),
            realised=realised[portfolio_id],
        )
        for portfolio_id, (currency, cash) in portfolios.items()
    }


def traded_since(portfolio_id: int, since: datetime) -> dict[int, Traded]:
    """Net quantity and cash of the trades that were effective at or after `since` (market time), by instrument: what
    `domain.valuation.value_holdings` needs for an exact day P&L."""
    rows = (
        LedgerEntry.objects.filter(portfolio_id=portfolio_id, kind=EntryKind.TRADE, effective_at__gte=since)
        .values("instrument_id", "instrument__symbol")
        .annotate(total_quantity=Sum("quantity"), total_amount=Sum("amount"))
        .order_by("instrument_id")
    )
    return {
        row["instrument_id"]: Traded(symbol=row["instrument__symbol"], quantity=row["total_quantity"], amount=row["total_amount"]) for row in rows
    }
