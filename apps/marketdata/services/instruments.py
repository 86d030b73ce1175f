"""Instruments into the desk: by people and by the demo desk, never by an import that met an unknown symbol."""

from decimal import Decimal

from apps.core.errors import Conflict, InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.sectors import Sector
from apps.marketdata.models import AssetClass, Instrument


def instrument_create(
    *,
    symbol: str,
    name: str,
    asset_class: str,
    currency: str = "USD",
    calendar: str = "XNYS",
    tick_size: Decimal = Decimal("0.01"),
    lot_size: Decimal = Decimal(1),
    tradable: bool = True,
    sector: str = Sector.UNKNOWN,
) -> Instrument:
    """Add an instrument, or return the one of that symbol when it is the same; a sector is given to one that has none.

    Raises InvalidInput (empty symbol or name, unknown asset class, sector or calendar, sizes not positive) and Conflict when the symbol
    stands for something else.
    """
    if not symbol.strip() or symbol != symbol.strip() or len(symbol) > 20:
        raise InvalidInput(f"{symbol!r} is no symbol of 1 to 20 characters without blanks around it", field="symbol")
    if not name.strip():
        raise InvalidInput("an instrument has a name", field="name")
    if asset_class not in AssetClass.values:
        raise InvalidInput(f"{asset_class!r} is none of {', '.join(AssetClass.values)}", field="asset_class")
    if sector not in {item.value for item in Sector}:
        raise InvalidInput(f"{sector!r} is none of {', '.join(Sector)}", field="sector")
    if tick_size <= 0 or lot_size <= 0:
        raise InvalidInput("tick size and lot size are positive", field="tick_size" if tick_size <= 0 else "lot_size")
    calendars.calendar_of(calendar)
    values = {
        "name": name,
        "asset_class": asset_class,
        "currency": currency,
        "calendar": calendar,
        "tick_size": tick_size,
        "lot_size": lot_size,
        "tradable": tradable,
        "sector": str(sector),
    }
    instrument, made = Instrument.objects.get_or_create(symbol=symbol, defaults=values)
    if not made and instrument.sector == Sector.UNKNOWN and sector != Sector.UNKNOWN:
        instrument.sector = str(sector)
        instrument.save(update_fields=["sector"])
    if not made and any(getattr(instrument, field) != value for field, value in values.items()):
        raise Conflict(f"{symbol} is {instrument.name} already, with other particulars", field="symbol")
    return instrument
