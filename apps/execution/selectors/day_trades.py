"""What a margin account has traded in the last business days, and its equity at the close before: for the gate, by one query."""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from apps.compliance.domain.day_trades import EXCHANGE, Fill, trading_day, window_begins
from apps.core.postgres.base import Question
from apps.core.postgres.rows import BETWEEN, LINE, fetch
from apps.marketdata.domain.calendars import calendar_of, previous_session
from apps.portfolios.selectors.values import TOTAL_BEFORE

# From the ledger, which is indexed by portfolio and market time, to the fill that was posted and its order.
_TRADED: Final = f"""
select ({TOTAL_BEFORE}), (
    select string_agg(concat_ws(%(between)s, e.instrument_id, e.quantity, e.effective_at, f.order_id), %(line)s order by e.effective_at, e.id)
    from portfolios_ledgerentry e join execution_fill f
        on f.broker = split_part(e.source_ref, ':', 1) and f.execution_id = substr(e.source_ref, strpos(e.source_ref, ':') + 1)
    where e.portfolio_id = %(portfolio)s and e.effective_at >= %(since)s and e.source = 'fill')
"""  # noqa: S608 - made of fixed texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """Fills of the window's days in order of time, and equity [portfolio's currency] at the last close before the day; None: none is recorded."""

    fills: tuple[Fill, ...]
    equity: Decimal | None


def traded(portfolio_id: int, *, day: date) -> Traded:
    """What stands on a business day of the exchange. What traded while the exchange was shut is of its next day."""
    ((equity, lines),) = fetch(*traded_question(portfolio_id, day=day))
    fills, first = map(_fill, lines.split(LINE)) if lines else (), window_begins(day)
    return Traded(fills=tuple(fill for fill in fills if first <= fill.day <= day), equity=equity)


def traded_question(portfolio_id: int, *, day: date) -> Question:
    """What `traded` asks, for `asked_together`."""
    evening_before = previous_session(EXCHANGE, window_begins(day))
    values: dict[str, Any] = {"portfolio": portfolio_id, "since": _midnight(evening_before), "before": _midnight(day)}
    return _TRADED, {**values, "between": BETWEEN, "line": LINE}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(calendar_of(EXCHANGE).time_zone))


def _fill(line: str) -> Fill:
    instrument, quantity, moment, order = line.split(BETWEEN)
    minute = datetime.fromisoformat(moment).replace(second=0, microsecond=0)
    return Fill(security=int(instrument), quantity=Decimal(quantity), day=_day(minute), order=int(order))


@lru_cache(maxsize=4096)
def _day(minute: datetime) -> date:
    """Remembered: each order reads the same fills again."""
    return trading_day(minute)
