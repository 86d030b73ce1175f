"""Reported figures from vendors into the desk, from the first vendor that has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress
from apps.marketdata.models import Vendor
from apps.marketdata.providers.protocol import NotOffered, VendorNonsense
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.services.fetching import OF_SYMBOL, OF_VENDOR, VendorNote, vendors_asked
from apps.marketdata.services.fundamentals import FundamentalsResult, fundamentals_store
from apps.marketdata.services.vendors import vendor_guard
from apps.marketdata.services.vendors.making import Make, provider_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresFetch:
    """What a fetch did for one symbol: `vendor` delivered, "" when nobody did; `notes` say why the others did not."""

    symbol: str
    vendor: str = ""
    inserted: int = 0
    revised: int = 0
    unchanged: int = 0
    notes: tuple[VendorNote, ...] = ()


def fundamentals_fetch(
    *, provider: str, symbols: Sequence[str], clock: Callable[[], datetime], progress: Progress | None = None, make: Make = provider_of
) -> tuple[FiguresFetch, ...]:
    """Ask for all that was ever reported, for symbol after symbol, until somebody asks to stop. Equal figures change nothing.

    Raises, before anything is asked, NotFound (symbol or vendor) and RuleRefused (vendor not enabled); and Unavailable at any time when
    Redis is away. What vendors do is in the result.
    """
    progress = progress or NullProgress()
    wanted, vendors = list(instruments_get(symbols)), vendors_asked(provider)
    progress.start(len(wanted), f"figures of {len(wanted)} instruments from {provider}")
    out: dict[str, VendorNote] = {}
    done = []
    for symbol in wanted:
        if progress.cancelled():
            break
        done.append(_first_of(vendors, symbol, clock, make, out))
        progress.advance()
    return tuple(done)


def _first_of(vendors: Sequence[Vendor], symbol: str, clock: Callable[[], datetime], make: Make, out: dict[str, VendorNote]) -> FiguresFetch:
    notes: list[VendorNote] = []
    for vendor in vendors:
        if vendor.name in out:
            notes.append(out[vendor.name])
            continue
        try:
            stored = _fetch(vendor, symbol, clock, make)
        except (*OF_VENDOR, *OF_SYMBOL) as error:
            notes.append(VendorNote(vendor=vendor.name, code=error.code, detail=error.detail))
            if isinstance(error, (*OF_VENDOR, NotOffered)):
                out[vendor.name] = notes[-1]
        else:
            counts = {"inserted": stored.inserted, "revised": stored.revised, "unchanged": stored.unchanged}
            return FiguresFetch(symbol=symbol, vendor=vendor.name, notes=tuple(notes), **counts)
    return FiguresFetch(symbol=symbol, notes=tuple(notes))


def _fetch(vendor: Vendor, symbol: str, clock: Callable[[], datetime], make: Make) -> FundamentalsResult:
    guard = vendor_guard(vendor)
    guard.symbol = symbol
    try:
        records = make(vendor, guard).fundamentals(symbol)
        return fundamentals_store(records=records, source=vendor.name, recorded_at=clock())
    except InvalidInput as error:
        if isinstance(error, NotOffered):
            raise
        nonsense = VendorNonsense(f"{vendor.name} answered with a figure that cannot be: {error.detail}")
        guard.report(nonsense)
        raise nonsense from error
    except VendorNonsense as error:
        guard.report(error)
        raise
