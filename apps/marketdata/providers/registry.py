"""The vendors by name. Their modules, and with them the vendors' libraries, are imported when one is made."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module

from apps.core.errors import InvalidInput
from apps.marketdata.providers.protocol import Guard, NoGuard, Provider, VendorSettings

_PLACES = {
    "alpaca": ("alpaca", "Alpaca"),
    "coinbase": ("coinbase", "Coinbase"),
    "files": ("folder", "Folder"),
    "finnhub": ("finnhub", "Finnhub"),
    "polygon": ("polygon", "Polygon"),
    "tradingview": ("tradingview", "TradingView"),
    "yahoo": ("yahoo", "Yahoo"),
}


def provider_names() -> tuple[str, ...]:
    """In alphabetical order."""
    return tuple(_PLACES)


def provider_make(
    name: str,
    *,
    settings: VendorSettings,
    guard: Guard | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_bad_frame: Callable[[str], None] | None = None,
) -> Provider:
    """A provider, which opens no connection and asks for no key yet. `clock` is what a vendor is told to be now.

    Without a guard each request is made at once and once. `on_bad_frame` hears of each message of a stream that cannot be read.
    Raises InvalidInput, which lists the names, for an unknown one.
    """
    if name not in _PLACES:
        raise InvalidInput(f"{name!r} is no vendor: use one of {', '.join(_PLACES)}", field="provider")
    module, kind = _PLACES[name]
    made: Provider = getattr(import_module(f"apps.marketdata.providers.{module}"), kind)(
        settings, guard or NoGuard(), clock=clock, on_bad_frame=on_bad_frame
    )
    return made
