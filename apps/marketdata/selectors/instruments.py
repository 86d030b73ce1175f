"""Instruments by symbol."""

from collections.abc import Collection, Iterable
from datetime import date

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from apps.core.errors import NotFound
from apps.core.postgres.rows import rows_of
from apps.marketdata.models import AssetClass, Instrument


def instrument_get(symbol: str) -> Instrument:
    """The instrument of a symbol. Raises NotFound which names the symbol. In SQL, because each order asks it: of a list PostgreSQL expects ten
    symbols, and plans each time anew."""
    found = rows_of(Instrument, "from marketdata_instrument row where row.symbol = %s", [symbol])
    if not found:
        raise NotFound(f"there is no instrument {symbol!r}", field="symbol")
    return found[0]


def instruments_get(symbols: Iterable[str]) -> dict[str, Instrument]:
    """Instruments by symbol, in the order given, by one query. Raises NotFound which names every unknown symbol."""
    wanted = list(dict.fromkeys(symbols))
    found = {item.symbol: item for item in Instrument.objects.filter(symbol__in=wanted)}
    if missing := [symbol for symbol in wanted if symbol not in found]:
        raise NotFound(f"there is no instrument {', '.join(map(repr, missing))}", field="symbols")
    return {symbol: found[symbol] for symbol in wanted}


def instruments_known(symbols: Iterable[str]) -> dict[str, Instrument]:
    """Instruments of those symbols that exist; the others are left out."""
    found = rows_of(Instrument, "from marketdata_instrument row where row.symbol = any(%s)", [list(symbols)])
    return {item.symbol: item for item in found}


def sectors_of(instrument_ids: Collection[int]) -> dict[int, str]:
    """Sector by instrument id, "unknown" where nobody has given one. One query."""
    return dict(Instrument.objects.filter(pk__in=instrument_ids).values_list("pk", "sector"))


def instrument_search(text: str, limit: int = 20) -> list[Instrument]:
    """Instruments whose symbol begins with the text, then those whose symbol or name contains it; an empty text finds all."""
    return list(instruments_matching(text)[:limit])


def instruments_matching(text: str) -> QuerySet[Instrument]:
    """The same as a query: first the symbol itself, then symbols that begin so, then the rest."""
    text = text.strip()
    rank = Case(
        When(symbol__iexact=text, then=Value(0)), When(symbol__istartswith=text, then=Value(1)), default=Value(2), output_field=IntegerField()
    )
    return Instrument.objects.filter(Q(symbol__icontains=text) | Q(name__icontains=text)).order_by(rank, "symbol")


def tradable_instruments(*, on: date | None = None) -> list[Instrument]:
    """All instruments that may be traded, by symbol; with `on` only those that are listed on that day, as far as it is known."""
    found = Instrument.objects.filter(tradable=True).order_by("symbol")
    return list(found if on is None else listed(found, on))


def listed(found: QuerySet[Instrument], on: date) -> QuerySet[Instrument]:
    """Those of the instruments that are listed on a day, as far as it is known."""
    return found.exclude(listed_on__gt=on).exclude(delisted_on__lte=on)


def is_published_index(instrument: Instrument) -> bool:
    """Whether bars of the instrument are a publisher's numbers that nobody can trade: an index that is not marked as tradable."""
    return instrument.asset_class == AssetClass.INDEX and not instrument.tradable


def index_ids(instruments: Iterable[Instrument]) -> frozenset[int]:
    """Ids of those that are published indices, whose open and close may lie outside low to high."""
    return frozenset(item.pk for item in instruments if is_published_index(item))
