"""The value of every portfolio at each session's close, recorded once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Max, Q, QuerySet, Sum

from apps.core.money import ZERO
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.values import ValueState, daily_return
from apps.portfolios.models import FLOW, FLOWS, LedgerEntry, Portfolio, PortfolioStatus, PortfolioValue
from apps.portfolios.selectors.closing_prices import closing_prices
from apps.portfolios.services.portfolios import portfolio_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesRecorded:
    """What one session's recording did. `recorded` are the portfolios that got a row now; `missing` lists, for each portfolio that
    could not be valued, the symbols without a price of that session. A later call tries those again."""

    session: date
    recorded: tuple[int, ...]
    missing: dict[int, tuple[str, ...]]


def portfolio_values_record(
    *, session: date, market_time: datetime, recorded_at: datetime, on_each: Callable[[], None] = lambda: None
) -> ValuesRecorded:
    """Record every active portfolio's value at the session's close, for those that have no row of it yet.

    Positions and cash are those of the close, whenever this runs: entries that were effective later do not count. Prices are the
    session's closes; an instrument without a bar of it is valued at its latest quote, when that is not newer than the close.
    `market_time` must not be before the close. `on_each` is called after each portfolio. Raises InvalidInput for a day without a session.
    """
    _, close = calendars.session_hours(HOME_CALENDAR, session)
    if market_time < close:
        return ValuesRecorded(session=session, recorded=(), missing={})
    done = set(PortfolioValue.objects.filter(ts=close).values_list("portfolio_id", flat=True))
    wanted = [pk for pk in Portfolio.objects.filter(status=PortfolioStatus.ACTIVE).order_by("id").values_list("id", flat=True) if pk not in done]
    recorded, missing = [], {}
    for portfolio_id in wanted:
        with transaction.atomic():
            portfolio = portfolio_lock(portfolio_id)
            before = PortfolioValue.objects.filter(portfolio_id=portfolio_id, ts__lt=close).order_by("-ts").first()
            state = _state_at(portfolio, close)
            if state is None:  # it did not exist yet
                continue
            prices = closing_prices(state.priced, session, close)
            if without := tuple(symbol for symbol in state.priced if symbol not in prices):
                missing[portfolio_id] = without
            elif _record(portfolio_id, close, before, state, prices, recorded_at):
                recorded.append(portfolio_id)
        on_each()
    return ValuesRecorded(session=session, recorded=tuple(recorded), missing=missing)


def portfolio_values_catch_up(
    *, market_time: datetime, recorded_at: datetime, most: int = 30, on_each: Callable[[], None] = lambda: None
) -> tuple[ValuesRecorded, ...]:
    """Record the sessions that have closed since the values were last recorded, oldest first: a fast replay or a night without
    the desk may skip several. At most `most` of them, the newest. `on_each` is called after each portfolio."""
    last_closed = calendars.last_completed_session(HOME_CALENDAR, market_time)
    newest = PortfolioValue.objects.filter(ts__lte=market_time).aggregate(ts=Max("ts"))["ts"]
    if newest is None:
        return ()
    _, close = calendars.session_hours(HOME_CALENDAR, last_closed)
    first = calendars.session_at(HOME_CALENDAR, newest)
    missed: Sequence[date] = calendars.sessions(HOME_CALENDAR, first, last_closed)[-most:] if newest < close else ()
    # The last session again too: a portfolio whose price was missing then may have it by now.
    sessions = missed or (last_closed,)
    return tuple(portfolio_values_record(session=day, market_time=market_time, recorded_at=recorded_at, on_each=on_each) for day in sessions)


def _state_at(portfolio: Portfolio, moment: datetime) -> ValueState | None:
    """Summed from the ledger, so that late and early calls see the same; None when nothing had happened by then."""
    entries = LedgerEntry.objects.filter(portfolio=portfolio, effective_at__lte=moment)
    # The newest entry comes with the sums: asked by itself, it was looked for from the end of the whole desk's ledger.
    by_currency = list(entries.order_by("currency").values_list("currency").annotate(total=Sum("amount"), last=Max("id")))
    if not by_currency:
        return None
    held = entries.exclude(quantity=0).values_list("instrument__symbol", "instrument__currency").annotate(total=Sum("quantity"))
    return ValueState.of(
        portfolio.base_currency,
        cash={currency: total for currency, total, _ in by_currency},
        shares={(symbol, currency): total for symbol, currency, total in held.order_by("instrument__symbol")},
        last_entry_id=max(last for _, _, last in by_currency),
    )


def _record(
    portfolio_id: int, close: datetime, before: PortfolioValue | None, state: ValueState, prices: Mapping[str, Decimal], recorded_at: datetime
) -> bool:
    cash, invested = state.worth(prices)
    total = cash + invested
    flow = _flow_since(portfolio_id, before, close)
    _, created = PortfolioValue.objects.get_or_create(
        portfolio_id=portfolio_id,
        ts=close,
        defaults={
            "cash": cash,
            "invested": invested,
            "total": total,
            "flow": flow,
            "daily_return": daily_return(total, flow, None if before is None else before.total),
            "last_entry_id": state.last_entry_id,
            "recorded_at": recorded_at,
        },
    )
    return created


def _flow_since(portfolio_id: int, before: PortfolioValue | None, close: datetime) -> Decimal:
    """What came in less what went out that this row knows of and the row before did not: effective later, or booked later."""
    flows = LedgerEntry.objects.filter(portfolio_id=portfolio_id, kind__in=FLOWS, effective_at__lte=close)
    return _new_since(flows, before).aggregate(total=Sum(FLOW))["total"] or ZERO


def _new_since(entries: QuerySet[LedgerEntry], before: PortfolioValue | None) -> QuerySet[LedgerEntry]:
    return entries if before is None else entries.filter(Q(effective_at__gt=before.ts) | Q(id__gt=before.last_entry_id))
