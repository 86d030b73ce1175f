"""What portfolios hold. One query, however many positions and portfolios are asked for."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db.models import F, Sum

from apps.core.errors import NotFound
from apps.core.money import ZERO
from apps.core.postgres.rows import fetch
from apps.portfolios.domain.holdings import Holding, Holdings
from apps.portfolios.domain.valuation import Traded
from apps.portfolios.models import MOVED, TRADED, EntryKind, LedgerEntry

#: Kinds that belong to the day's P&L of an instrument: trades, what a split adds, what was moved, and the dividend by which the price falls.
OF_DAY = (*TRADED, *MOVED, EntryKind.DIVIDEND, EntryKind.DIVIDEND_PAID)

__all__ = [
    "OF_DAY",
    "Holding",
    "Holdings",
    "Traded",
    "cash_at",
    "holdings",
    "holdings_many",
    "quantities_held",
    "shares_at",
    "traded_since",
    "traded_since_many",
]


def holdings(portfolio_id: int) -> Holdings:
    """Cash and open positions, by book and symbol. Raises NotFound."""
    found = holdings_many([portfolio_id])
    if portfolio_id not in found:
        raise NotFound(f"no portfolio {portfolio_id}")
    return found[portfolio_id]


# In SQL, because each order asks it. "offset 0" keeps PostgreSQL from asking for the foreign cash once for each position.
HELD = """
select f.id, f.base_currency, coalesce(c.amount, 0), b.id, b.name, i.id, i.symbol, p.quantity, p.cost, p.realised, i.currency, foreign_cash
from (select f.*, (select json_object_agg(o.currency, o.amount::text) from portfolios_cashbalance o
        where o.portfolio_id = f.id and o.currency <> f.base_currency and o.amount <> 0) foreign_cash from portfolios_portfolio f offset 0) f
left join portfolios_cashbalance c on c.portfolio_id = f.id and c.currency = f.base_currency
left join (portfolios_book b join portfolios_position p on p.book_id = b.id join marketdata_instrument i on i.id = p.instrument_id)
    on b.portfolio_id = f.id
where f.id = any(%s) order by f.id, b.name, i.symbol
"""


def holdings_many(portfolio_ids: Collection[int]) -> dict[int, Holdings]:
    """Holdings of several portfolios; those that do not exist are left out."""
    rows = fetch(HELD, [list(portfolio_ids)])
    portfolios = {row[0]: (row[1], row[2], row[11] or {}) for row in rows}
    positions: dict[int, list[Holding]] = {portfolio_id: [] for portfolio_id in portfolios}
    realised: dict[int, Decimal] = dict.fromkeys(positions, ZERO)
    for portfolio_id, _, _, book_id, book, instrument_id, symbol, quantity, cost, earned, currency, _ in rows:
        if book_id is None:  # it holds nothing
            continue
        realised[portfolio_id] += earned
        if quantity:
            positions[portfolio_id].append(
                Holding(
                    book_id=book_id,
                    book=book,
                    instrument_id=instrument_id,
                    symbol=symbol,
                    quantity=quantity,
                    cost=cost,
                    realised=earned,
                    currency="" if currency == portfolios[portfolio_id][0] else currency,
                )
            )
    return {
        portfolio_id: Holdings(
            portfolio_id=portfolio_id,
            currency=currency,
            cash=cash,
            positions=tuple(positions[portfolio_id]),
            realised=realised[portfolio_id],
            foreign_cash=tuple((other, Decimal(amount)) for other, amount in sorted(foreign.items())),
        )
        for portfolio_id, (currency, cash, foreign) in portfolios.items()
    }


def quantities_held(portfolio_id: int, instrument_id: int) -> dict[int, Decimal]:
    """The signed quantity of one instrument by book. In SQL, because a sale asks it."""
    found = fetch(
        "select p.book_id, p.quantity from portfolios_position p join portfolios_book b on b.id = p.book_id "
        "where b.portfolio_id = %s and p.instrument_id = %s",
        [portfolio_id, instrument_id],
    )
    return dict(found)


def shares_at(portfolio_id: int, moment: datetime) -> dict[str, tuple[int, Decimal, str]]:
    """What a portfolio held at a moment of the market, summed from the ledger: instrument id, signed quantity and currency by symbol."""
    entries = LedgerEntry.objects.filter(portfolio_id=portfolio_id, effective_at__lte=moment).exclude(quantity=0)
    rows = entries.values_list("instrument__symbol", "instrument_id", "instrument__currency").annotate(total=Sum("quantity"))
    return {symbol: (pk, total, currency) for symbol, pk, currency, total in rows.order_by("instrument__symbol") if total}


def cash_at(portfolio_id: int, moment: datetime) -> dict[str, Decimal]:
    """Cash by currency at a moment of the market, summed from the ledger."""
    entries = LedgerEntry.objects.filter(portfolio_id=portfolio_id, effective_at__lte=moment)
    rows = entries.order_by("currency").values_list("currency").annotate(total=Sum("amount"))
    return {currency: total for currency, total in rows if total}


def traded_since(portfolio_id: int, since: datetime) -> dict[int, Traded]:
    """Net quantity and cash of what was effective at or after `since` (market time), by instrument: trades, splits and dividends, so
    that an ex-day is no loss, and moved shares as if traded at their price then. What `domain.valuation.value_holdings` needs for an exact
    day P&L."""
    return traded_since_many([portfolio_id], since)[portfolio_id]


def traded_since_many(portfolio_ids: Collection[int], since: datetime) -> dict[int, dict[int, Traded]]:
    """The same for several portfolios in one query."""
    rows = (
        LedgerEntry.objects.filter(portfolio_id__in=portfolio_ids, kind__in=OF_DAY, instrument__isnull=False, effective_at__gte=since)
        .values("portfolio_id", "instrument_id", "instrument__symbol", "instrument__currency", "portfolio__base_currency")
        .annotate(total_quantity=Sum("quantity"), total_amount=Sum(F("base_amount") - F("market_value")))
        .order_by("portfolio_id", "instrument_id")
    )
    found: dict[int, dict[int, Traded]] = {portfolio_id: {} for portfolio_id in portfolio_ids}
    for row in rows:
        currency, base = row["instrument__currency"], row["portfolio__base_currency"]
        found[row["portfolio_id"]][row["instrument_id"]] = Traded(
            symbol=row["instrument__symbol"],
            quantity=row["total_quantity"],
            amount=row["total_amount"],
            currency="" if currency == base else currency,
        )
    return found
