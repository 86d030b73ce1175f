"""A session of a portfolio as its recorded values and its ledger have it."""

from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from apps.portfolios.domain.day import DayEnd, DayEntry, PortfolioDay
from apps.portfolios.models import LedgerEntry, Portfolio, PortfolioValue


def portfolio_day(portfolio_id: int, close: datetime) -> PortfolioDay | None:
    """What led from the value before to the one recorded at a session's `close`; None when one of the two is not recorded. Six queries."""
    values = PortfolioValue.objects.filter(portfolio_id=portfolio_id)
    closed = values.filter(ts=close).first()
    opened = values.filter(ts__lt=close).order_by("-ts").first()
    if closed is None or opened is None:
        return None
    entries = LedgerEntry.objects.filter(portfolio_id=portfolio_id)
    before = entries.filter(effective_at__lte=opened.ts, id__lte=opened.last_entry_id)
    since = entries.filter(effective_at__lte=closed.ts, id__lte=closed.last_entry_id).filter(
        Q(effective_at__gt=opened.ts) | Q(id__gt=opened.last_entry_id)
    )
    held = before.exclude(quantity=0).order_by("instrument__symbol").values_list("instrument__symbol", "instrument__currency")
    shares = [(symbol, currency, total) for symbol, currency, total in held.annotate(total=Sum("quantity")) if total]
    cash = before.order_by("currency").values_list("currency").annotate(total=Sum("amount"))
    moved = _entries(since)
    return PortfolioDay(
        currency=Portfolio.objects.values_list("base_currency", flat=True).get(pk=portfolio_id),
        opened=_end(opened),
        closed=_end(closed),
        shares={symbol: total for symbol, _, total in shares},
        cash={currency: Decimal(total) for currency, total in cash if total},
        entries=tuple(entry for entry, _ in moved),
        currencies={symbol: currency for symbol, currency, _ in shares} | {entry.symbol: own for entry, own in moved if entry.symbol},
    )


def _end(row: PortfolioValue) -> DayEnd:
    return DayEnd(ts=row.ts, total=row.total, flow=row.flow)


def _entries(rows: QuerySet[LedgerEntry]) -> list[tuple[DayEntry, str]]:
    """Entries with the currency of their instrument, "" for pure cash."""
    return [
        (
            DayEntry(
                kind=row.kind,
                symbol=row.instrument.symbol if row.instrument else "",
                quantity=row.quantity,
                amount=row.amount,
                fee=row.fee,
                currency=row.currency,
                base_amount=row.base_amount,
                market_value=row.market_value,
            ),
            row.instrument.currency if row.instrument else "",
        )
        for row in rows.select_related("instrument").order_by("id")
    ]
