"""Vendors on loopback which speak the real ones' formats.

    with vendor_server("alpaca") as server:
        provider = provider_make("alpaca", settings=server.settings)

For every test that needs a vendor: adapters, fetching, the feed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apps.marketdata.tests.vendors.alpaca import AlpacaServer
from apps.marketdata.tests.vendors.coinbase import CoinbaseServer
from apps.marketdata.tests.vendors.finnhub import FinnhubServer
from apps.marketdata.tests.vendors.folder import FilesVendor, TradingViewVendor
from apps.marketdata.tests.vendors.market import Market, sample_market
from apps.marketdata.tests.vendors.polygon import PolygonServer
from apps.marketdata.tests.vendors.server import CUT, FINE, SILENT, TRUNCATED, VendorServer, failing, too_many
from apps.marketdata.tests.vendors.yahoo import YahooServer

SERVERS = {kind.name: kind for kind in (AlpacaServer, CoinbaseServer, FinnhubServer, PolygonServer, YahooServer)}
FOLDERS = {kind.name: kind for kind in (FilesVendor, TradingViewVendor)}

__all__ = [
    "CUT",
    "FINE",
    "FOLDERS",
    "SERVERS",
    "SILENT",
    "TRUNCATED",
    "Market",
    "VendorServer",
    "failing",
    "sample_market",
    "too_many",
    "vendor_server",
]


@contextmanager
def vendor_server(name: str, market: Market | None = None) -> Iterator[Any]:
    """A running vendor which knows `market` (the sample market without one): a `VendorServer`, or a `FolderVendor` for files."""
    made: Any = {**SERVERS, **FOLDERS}[name](market or sample_market())
    made.start()
    try:
        yield made
    finally:
        made.stop()
