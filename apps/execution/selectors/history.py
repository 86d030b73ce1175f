"""What has been traded, by symbol, and what trading cost, by session: the numbers of the blotter's history."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Concat

from apps.core.money import ZERO
from apps.core.trading import Side
from apps.execution.models import Fill
from apps.marketdata.domain.calendars import local_date
from apps.portfolios.selectors.entries import fee_of_entry, rate_of_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """One symbol: how many executions, shares and what they were worth in the portfolio's currency; `cost` are fees and slippage together."""

    symbol: str
    executions: int
    quantity: Decimal
    value: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCost:
    """Fees, and what the fills were worse than the price at the gate, of one session in the portfolio's currency. Slippage below zero is a gain."""

    session: date
    fees: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Largest value first, sessions in their order. `unjudged`: executions without a price at the gate, of which no slippage is known."""

    by_symbol: tuple[Traded, ...]
    by_session: tuple[SessionCost, ...]
    unjudged: int


def _fills(portfolio_ids: Collection[int], since: datetime | None, until: datetime | None) -> QuerySet[Fill]:
    """Fills with what their orders and their entries in the ledger say. Market time counts: since <= time < until."""
    period = Q(order__portfolio__in=portfolio_ids)
    if since is not None:
        period &= Q(market_time__gte=since)
    if until is not None:
        period &= Q(market_time__lt=until)
    return (
        Fill.objects.filter(period)
        .annotate(reference=Concat(F("broker"), Value(":"), F("execution_id"), output_field=CharField()))
        .annotate(rate=rate_of_entry(source="fill", reference="reference"), base_fee=fee_of_entry(source="fill", reference="reference"))
    )


def history(portfolio_ids: Collection[int], *, since: datetime | None, until: datetime | None) -> History:
    """What the portfolios traded in a period of market time, and what it cost."""
    executions: Counter[str] = Counter()
    shares: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    value: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    cost: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    fees: defaultdict[date, Decimal] = defaultdict(lambda: ZERO)
    slippage: defaultdict[date, Decimal] = defaultdict(lambda: ZERO)
    unjudged = 0
    columns = ("order__instrument__symbol", "order__instrument__calendar", "order__side", "order__reference_price")
    found = _fills(portfolio_ids, since, until).values_list(*columns, "quantity", "price", "base_fee", "rate", "market_time")
    for symbol, calendar, side, arrival, quantity, price, fee, rate, market_time in found.iterator():
        session = local_date(calendar, market_time)
        worse = ZERO if arrival is None else Side(side).sign * (price - arrival) * quantity * rate
        unjudged += arrival is None
        executions[symbol] += 1
        shares[symbol] += quantity
        value[symbol] += price * quantity * rate
        cost[symbol] += fee + worse
        fees[session] += fee
        slippage[session] += worse
    traded = [Traded(symbol=one, executions=executions[one], quantity=shares[one], value=value[one], cost=cost[one]) for one in executions]
    return History(
        by_symbol=tuple(sorted(traded, key=lambda one: (-one.value, one.symbol))),
        by_session=tuple(SessionCost(session=day, fees=fees[day], slippage=slippage[day]) for day in sorted(fees)),
        unjudged=unjudged,
    )
