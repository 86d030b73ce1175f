"""What running strategies have said."""

from datetime import datetime

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
