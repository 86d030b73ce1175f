"""Signals of running strategies: recorded once per strategy, book, instrument and bar, before any order follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.core.documents import plain
from apps.core.errors import Conflict
from apps.core.locks import lock_transaction
from apps.core.money import price_from_float
from apps.marketdata.selectors.instruments import instruments_get
from apps.strategies.domain.strategy import StrategySignal
from apps.strategies.models import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsRecorded:
    """`new` are the signals that this call wrote, `known` those that an earlier call had written with the same content."""

    new: tuple[Signal, ...]
    known: tuple[Signal, ...]


def signals_record(
    *,
    strategy: str,
    parameters: Mapping[str, Any],
    book_id: int,
    signals: Sequence[StrategySignal],
    market_time: datetime,
    recorded_at: datetime,
) -> SignalsRecorded:
    """Record what a strategy says, once per bar: after a restart the same signals come back as `known`, and nothing is written.

    An engine that was killed may so say its last bar again, and acts only on what is new. Raises NotFound for an unknown symbol, and
    Conflict (nothing is written) when another action or price was recorded for the same bar: data or code has changed in between.
    """
    instruments = instruments_get(signal.symbol for signal in signals)
    wanted = [
        Signal(
            strategy=strategy,
            parameters=plain(parameters),
            book_id=book_id,
            instrument=instruments[signal.symbol],
            action=signal.action.value.lower(),
            price=price_from_float(signal.price),
            bar_ts=signal.timestamp,
            market_time=market_time,
            recorded_at=recorded_at,
        )
        for signal in signals
    ]
    with transaction.atomic():
        lock_transaction(f"signals:{book_id}:{strategy}")  # of two engines on one book only one may find a signal new
        earlier = _recorded(strategy, book_id, signals)
        for row in wanted:
            if _key(row) in earlier:
                _refuse_difference(row, earlier[_key(row)])
        new = Signal.objects.bulk_create([row for row in wanted if _key(row) not in earlier])
    return SignalsRecorded(new=tuple(new), known=tuple(earlier[_key(row)] for row in wanted if _key(row) in earlier))


_Key = tuple[int, datetime]


def _key(row: Signal) -> _Key:
    return row.instrument_id, row.bar_ts


def _recorded(strategy: str, book_id: int, signals: Sequence[StrategySignal]) -> dict[_Key, Signal]:
    rows = Signal.objects.select_related("instrument").filter(
        strategy=strategy,
        book_id=book_id,
        instrument__symbol__in={signal.symbol for signal in signals},
        bar_ts__in={signal.timestamp for signal in signals},
    )
    return {_key(row): row for row in rows}


def _refuse_difference(wanted: Signal, stored: Signal) -> None:
    if (wanted.action, wanted.price) != (stored.action, stored.price):
        raise Conflict(
            f"{wanted.strategy} said {stored.action} at {stored.price} of {stored.instrument.symbol} for the bar of {stored.bar_ts:%Y-%m-%d %H:%M}, "
            f"and now says {wanted.action} at {wanted.price}",
            field="signals",
        )
