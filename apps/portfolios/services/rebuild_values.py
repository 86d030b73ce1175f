"""Recorded values made again from the ledger and from the prices that the desk knew when they were recorded."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from apps.core.money import MONEY_PLACES, ZERO
from apps.core.postgres.rows import fetch
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.values import ValueState, daily_return
from apps.portfolios.models import FLOWS, Portfolio, PortfolioValue, Position
from apps.portfolios.selectors.closing_prices import bar_closes
from apps.portfolios.services.ledger_shares import Difference

# The first value that knew an entry: effective by its time, and booked by its last entry. Both grow from value to value.
_ENTRIES = """
select greatest(width_bucket(effective_at - interval '1 microsecond', %(ts)s::timestamptz[]), width_bucket(id - 1, %(last)s::bigint[])) as value,
    currency, coalesce(instrument_id, 0), sum(amount), sum(quantity),
    coalesce(sum(base_amount + market_value) filter (where kind = any(%(flows)s)), 0), max(id)
from portfolios_ledgerentry where portfolio_id = %(portfolio)s group by 1, 2, 3 order by 1
"""
_NAMES = ("cash", "invested", "total", "flow")


def values_rebuild(portfolio: Portfolio) -> tuple[list[Difference], list[PortfolioValue]]:
    """Differences of the recorded values, and the rows as they must be, not saved.

    Flow, last entry and return follow from the ledger and the rows before. Cash, holdings and total too, where the desk had a bar of
    everything that needs a price when it recorded the value; a value that was made of a quote is taken as it is, because quotes are not stored.
    What a value knew is told by its last entry alone: when one of those is wrong, no row is given, and that is for people.
    """
    rows = list(PortfolioValue.objects.filter(portfolio_id=portfolio.pk).order_by("ts"))
    differences: list[Difference] = []
    wrong: list[PortfolioValue] = []
    before: PortfolioValue | None = None
    for row, state, flow in _states(portfolio, rows):
        right = _made_again(row, state, flow, before)
        found = list(_differences(row, right))
        differences += found
        wrong += [right] if found else []
        before = right
    if any(difference.field == "last_entry_id" for difference in differences):
        wrong = []
    return differences, wrong


def values_correct(rows: Sequence[PortfolioValue]) -> None:
    """Store rows as `values_rebuild` says that they must be."""
    for row in rows:
        columns = {name: getattr(row, name) for name in (*_NAMES, "daily_return")}
        PortfolioValue.objects.filter(portfolio_id=row.portfolio_id, ts=row.ts).update(**columns)


def _states(portfolio: Portfolio, rows: Sequence[PortfolioValue]) -> Iterator[tuple[PortfolioValue, ValueState, Decimal]]:
    """Each row with what the ledger said by then, and with the flow since the row before."""
    if not rows:
        return
    asked = {"portfolio": portfolio.pk, "flows": [str(kind) for kind in FLOWS], "ts": [row.ts for row in rows], "last": _rising(rows)}
    booked: dict[int, list[tuple[str, int, Decimal, Decimal, Decimal, int]]] = defaultdict(list)
    for value, *sums in fetch(_ENTRIES, asked):
        booked[value].append(tuple(sums))
    names = Position.objects.filter(book__portfolio=portfolio).values_list("instrument_id", "instrument__symbol", "instrument__currency")
    instruments = {pk: (symbol, currency) for pk, symbol, currency in names}
    cash: dict[str, Decimal] = defaultdict(Decimal)
    shares: dict[int, Decimal] = defaultdict(Decimal)
    last = 0
    for at, row in enumerate(rows):
        flow = ZERO
        for currency, instrument_id, amount, quantity, flowed, newest in booked[at]:
            cash[currency] += amount
            shares[instrument_id] += quantity
            flow += flowed
            last = max(last, newest)
        held = {instruments[pk]: quantity for pk, quantity in shares.items() if quantity}
        yield row, ValueState.of(portfolio.base_currency, cash=cash, shares=held, last_entry_id=last), flow


def _rising(rows: Sequence[PortfolioValue]) -> list[int]:
    """The last entries, as a search needs them: one that is stored too low counts as the one before."""
    rising: list[int] = []
    for row in rows:
        rising.append(max(row.last_entry_id, rising[-1] if rising else 0))
    return rising


def _made_again(row: PortfolioValue, state: ValueState, flow: Decimal, before: PortfolioValue | None) -> PortfolioValue:
    prices = {}
    if state.priced:
        prices = bar_closes(state.priced, calendars.session_at(HOME_CALENDAR, row.ts), as_of=row.recorded_at)
    known = all(symbol in prices for symbol in state.priced)
    cash, invested = state.worth(prices) if known else (row.cash, row.invested)
    total = cash + invested
    return PortfolioValue(
        portfolio_id=row.portfolio_id,
        ts=row.ts,
        cash=cash,
        invested=invested,
        total=total,
        flow=flow,
        daily_return=daily_return(total, flow, None if before is None else before.total),
        last_entry_id=state.last_entry_id,
        recorded_at=row.recorded_at,
    )


def _differences(stored: PortfolioValue, right: PortfolioValue) -> Iterator[Difference]:
    subject = f"value {stored.ts:%Y-%m-%d %H:%M}"
    for name in (*_NAMES, "last_entry_id", "daily_return"):
        was, now = getattr(stored, name), getattr(right, name)
        if was != now:
            yield Difference(subject=subject, field=name, stored=_shown(was), rebuilt=_shown(now))


def _shown(value: object) -> str:
    return f"{value:.{MONEY_PLACES}f}" if isinstance(value, Decimal) else "" if value is None else str(value)
