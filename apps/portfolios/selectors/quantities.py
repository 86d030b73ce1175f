"""What a portfolio holds, as an order that waits needs it: quantities only, whatever the number of positions."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from apps.core.errors import NotFound

#: Between the values of one column: in no symbol and in no number.
_BETWEEN = "\x1f"
# One row, however many positions: a thousand rows of eleven columns cost an order more than all its checks.
_QUANTITIES = """
select f.base_currency, coalesce(c.amount, 0), exists (select 1 from portfolios_cashbalance o
        where o.portfolio_id = f.id and o.currency <> f.base_currency and o.amount <> 0),
    p.foreign_held, p.own, p.ids, p.symbols, p.quantities
from portfolios_portfolio f left join portfolios_cashbalance c on c.portfolio_id = f.id and c.currency = f.base_currency
cross join lateral (
    select bool_or(i.currency <> f.base_currency) as foreign_held,
        sum(p.quantity) filter (where p.book_id = %(book)s and p.instrument_id = %(instrument)s) as own,
        string_agg(i.id::text, %(between)s) as ids, string_agg(i.symbol, %(between)s) as symbols,
        string_agg(p.quantity::text, %(between)s) as quantities
    from portfolios_book b join portfolios_position p on p.book_id = b.id join marketdata_instrument i on i.id = p.instrument_id
    where b.portfolio_id = f.id and p.quantity <> 0) p
where f.id = %(portfolio)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Cash of the base `currency`, signed quantities over all books and symbols by instrument id, and what one book holds of one instrument.

    `foreign` is True when something held, cash or shares, is in another currency, so that prices need rates.
    """

    currency: str
    cash: Decimal
    held: dict[int, Decimal]
    symbols: dict[int, str]
    book_held: Decimal
    foreign: bool


def quantities_of(portfolio_id: int, *, book_id: int, instrument_id: int) -> Quantities:
    """Quantities of the portfolio; those of nothing are left out. One query. Raises NotFound."""
    values: dict[str, int | str] = {"portfolio": portfolio_id, "book": book_id, "instrument": instrument_id, "between": _BETWEEN}
    with connection.cursor() as cursor:
        cursor.execute(_QUANTITIES, values)
        row = cursor.fetchone()
    if row is None:
        raise NotFound(f"no portfolio {portfolio_id}")
    currency, cash, foreign_cash, foreign_held, own, ids, symbols, quantities = row
    keys = [] if ids is None else list(map(int, ids.split(_BETWEEN)))
    amounts = [] if ids is None else list(map(Decimal, quantities.split(_BETWEEN)))
    held = dict(zip(keys, amounts, strict=True))
    if len(held) < len(keys):  # an instrument in several books
        sums: dict[int, Decimal] = defaultdict(Decimal)
        for key, quantity in zip(keys, amounts, strict=True):
            sums[key] += quantity
        held = dict(sums)
    names = {} if ids is None else dict(zip(keys, symbols.split(_BETWEEN), strict=True))
    foreign = foreign_cash or bool(foreign_held)
    return Quantities(currency=currency, cash=cash, held=held, symbols=names, book_held=own or Decimal(0), foreign=foreign)


def book_quantities(book_id: int) -> dict[int, Decimal]:
    """Signed quantities of one book by instrument id; those of nothing are left out. One query."""
    with connection.cursor() as cursor:
        cursor.execute("select instrument_id, quantity from portfolios_position where book_id = %s and quantity <> 0", [book_id])
        return dict(cursor.fetchall())
