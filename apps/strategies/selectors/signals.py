"""What running strategies have said."""

from datetime import datetime

from apps.strategies.domain.strategy import SignalAction, StrategySignal
from apps.strategies.models import Signal


def signals_last(*, strategy: str, book_id: int, before: datetime) -> dict[str, str]:
    """The last "buy" or "sell" of each symbol that the strategy said in the book before a bar; a symbol it was silent about is left out."""
    rows = (
        Signal.objects.filter(strategy=strategy, book_id=book_id, bar_ts__lt=before)
        .exclude(action="hold")
        .order_by("instrument_id", "-bar_ts")
        .distinct("instrument_id")
    )
    return dict(rows.values_list("instrument__symbol", "action"))


def signals_said(*, strategy: str, book_id: int, bar: datetime) -> list[StrategySignal]:
    """What the strategy said in the book after a bar, by symbol."""
    rows = Signal.objects.filter(strategy=strategy, book_id=book_id, bar_ts=bar).select_related("instrument").order_by("instrument__symbol")
    return [
        StrategySignal(action=SignalAction(row.action.upper()), symbol=row.instrument.symbol, price=float(row.price), timestamp=row.bar_ts)
        for row in rows
    ]
