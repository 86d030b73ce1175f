"""Dated changes of instruments: another symbol, the end of trading."""

from datetime import date

from django.db import transaction

from apps.core.errors import Conflict, InvalidInput
from apps.marketdata.models import Instrument, InstrumentSymbol
from apps.marketdata.selectors.instruments import instrument_get


def symbol_change(*, symbol: str, to: str, on: date) -> Instrument:
    """From a day on the instrument that is called `symbol` today has another symbol; what is stored about it stays its own.

    Raises NotFound for an unknown symbol, InvalidInput for one that cannot be or for a day not after its last change, and Conflict when
    another instrument has the new one on that day or later.
    """
    if not to.strip() or to != to.strip() or len(to) > 20:
        raise InvalidInput(f"{to!r} is no symbol of 1 to 20 characters without blanks around it", field="to")
    with transaction.atomic():
        instrument = _locked(symbol)
        if to == symbol:
            raise InvalidInput(f"it is called {symbol} already", field="to")
        current = InstrumentSymbol.objects.get(instrument=instrument, valid_to=None)
        if current.valid_from is not None and on <= current.valid_from:
            raise InvalidInput(f"{symbol} is its symbol since {current.valid_from} only", field="on")
        if Instrument.objects.filter(symbol=to).exists() or _owned(to, on):
            raise Conflict(f"{to} is another instrument's symbol", field="to")
        InstrumentSymbol.objects.filter(pk=current.pk).update(valid_to=on)
        InstrumentSymbol.objects.create(instrument=instrument, symbol=to, valid_from=on)
        instrument.symbol = to
        instrument._change_reason = f"{symbol} until {on}"
        instrument.save(update_fields=["symbol"])
    return instrument


def instrument_delist(*, symbol: str, on: date) -> Instrument:
    """From a day on the instrument no longer trades: orders are refused and universes leave it out.

    Raises NotFound for an unknown symbol, and InvalidInput for a day that is not after its listing.
    """
    with transaction.atomic():
        instrument = _locked(symbol)
        if instrument.listed_on is not None and on <= instrument.listed_on:
            raise InvalidInput(f"{symbol} is listed since {instrument.listed_on} only", field="on")
        instrument.delisted_on = on
        instrument._change_reason = f"delisted on {on}"
        instrument.save(update_fields=["delisted_on"])
    return instrument


def _locked(symbol: str) -> Instrument:
    return Instrument.objects.select_for_update().get(pk=instrument_get(symbol).pk)


def _owned(symbol: str, on: date) -> bool:
    """Whether anybody has the symbol on a day or later."""
    rows = InstrumentSymbol.objects.filter(symbol=symbol)
    return rows.filter(valid_to=None).exists() or rows.filter(valid_to__gt=on).exists()
