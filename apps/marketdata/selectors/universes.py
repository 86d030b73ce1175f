"""Who was in a universe on a day, and what an instrument was called then."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q, QuerySet

from apps.core.errors import NotFound
from apps.marketdata.models import AssetClass, Instrument, InstrumentSymbol, NamedUniverse, UniverseMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member on a day: `symbol` is the one of that day, `current` that of now, `instrument_id` does not change."""

    instrument_id: int
    symbol: str
    current: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseName:
    """A universe that can be asked for: `kind` is "imported" or "asset_class"."""

    name: str
    kind: str


def universes_known() -> tuple[UniverseName, ...]:
    """All universes: imported ones by name, then the asset classes that no imported one is named after."""
    imported = list(NamedUniverse.objects.order_by("name").values_list("name", flat=True))
    classes = [name for name in AssetClass.values if name not in imported]
    return (*(UniverseName(name=name, kind="imported") for name in imported), *(UniverseName(name=name, kind="asset_class") for name in classes))


def instrument_at(symbol: str, day: date) -> Instrument:
    """The instrument that had a symbol on a day. Raises NotFound which names both."""
    row = _in_force(InstrumentSymbol.objects.filter(symbol=symbol), "valid_from", "valid_to", day).select_related("instrument").first()
    if row is None:
        raise NotFound(f"no instrument was called {symbol!r} on {day}", field="symbol")
    return row.instrument


def universe_members(name: str, *, on: date) -> tuple[Member, ...]:
    """Members of a universe on a day under the symbols of that day, in order of symbol.

    A universe by name has the members that were imported; an asset class ("stock", "etf", ...) is a universe of all its instruments that
    were listed and not yet delisted. Raises NotFound for any other name.
    """
    instruments = Instrument.objects.all()
    universe = NamedUniverse.objects.filter(name=name).first()
    if universe is not None:
        members = _in_force(UniverseMember.objects.filter(universe=universe), "added_on", "removed_on", on)
        instruments = instruments.filter(pk__in=members.values("instrument_id"))
    elif name in AssetClass.values:
        instruments = instruments.filter(asset_class=name)
    else:
        known = ", ".join(one.name for one in universes_known())
        raise NotFound(f"there is no universe {name!r}: use one of {known}", field="universe")
    listed = _in_force(instruments, "listed_on", "delisted_on", on)
    rows = _in_force(InstrumentSymbol.objects.filter(instrument__in=listed), "valid_from", "valid_to", on)
    found = rows.order_by("symbol").values_list("instrument_id", "symbol", "instrument__symbol")
    return tuple(Member(instrument_id=pk, symbol=symbol, current=current) for pk, symbol, current in found)


def _in_force(rows: "QuerySet[Any]", begins: str, ends: str, day: date) -> "QuerySet[Any]":
    """Rows whose range holds a day; an empty end of a range is open."""
    return rows.filter(Q(**{f"{begins}__isnull": True}) | Q(**{f"{begins}__lte": day}), Q(**{f"{ends}__isnull": True}) | Q(**{f"{ends}__gt": day}))
