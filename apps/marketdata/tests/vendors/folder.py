"""Vendors that are folders: our own files, and TradingView's exports. Written anew whenever the rows are distorted."""

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.providers.protocol import VendorSettings
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.vendors.market import Market, local_open
from apps.marketdata.tests.vendors.server import Request


class FolderVendor:
    """Has the same handles as a `VendorServer`, as far as a folder can have them."""

    name: ClassVar[str]
    symbol: ClassVar[str] = "AAPL"
    variable: ClassVar[str]

    def __init__(self, market: Market) -> None:
        self.market = market
        self.requests: list[Request] = []
        self._folder = tempfile.TemporaryDirectory()
        self._distort: Callable[[list[Row]], list[Row]] | None = None

    @property
    def path(self) -> Path:
        return Path(self._folder.name)

    @property
    def settings(self) -> VendorSettings:
        return VendorSettings(values={self.variable: str(self.path)})

    @property
    def distort(self) -> Callable[[list[Row]], list[Row]] | None:
        return self._distort

    @distort.setter
    def distort(self, change: Callable[[list[Row]], list[Row]] | None) -> None:
        self._distort = change
        self.start()

    def start(self) -> None:
        for (symbol, timeframe), rows in self.market.bars.items():
            self.write(symbol, timeframe, self._distort(list(rows)) if self._distort else rows)

    def stop(self) -> None:
        self._folder.cleanup()

    def write(self, symbol: str, timeframe: Timeframe, rows: list[Row]) -> None:
        raise NotImplementedError

    def actions_to(self, path: Path, symbol: str) -> None:
        found = self.market.actions.get(symbol, ())
        _csv(path, ["symbol", "date", "action", "value"], [[item.symbol, item.ex_date, item.kind, item.value] for item in found])


class FilesVendor(FolderVendor):
    name = "files"
    variable = "FILES_FOLDER"

    def write(self, symbol: str, timeframe: Timeframe, rows: list[Row]) -> None:
        folder = self.path / symbol
        folder.mkdir(exist_ok=True)
        daily = timeframe is Timeframe.DAY
        cells = [[row.ts.date() if daily else row.ts.isoformat(), *row[1:]] for row in rows]
        _csv(folder / f"{timeframe.code}.csv", ["date", "open", "high", "low", "close", "volume"], cells)
        self.actions_to(folder / "actions.csv", symbol)


class TradingViewVendor(FolderVendor):
    """Days in seconds since 1970 at the session's open, minutes as ISO; adjusted for splits; with an indicator's column."""

    name = "tradingview"
    variable = "TRADINGVIEW_FOLDER"

    def write(self, symbol: str, timeframe: Timeframe, rows: list[Row]) -> None:
        coin = symbol.endswith("-USD")
        exchange = "COINBASE" if coin else "NASDAQ"
        interval = "1D" if timeframe is Timeframe.DAY else str(int(timeframe))
        cells = []
        for row in rows:
            ratio = self.market.ratio_after(symbol, row.ts.date())
            prices = [value / ratio if isinstance(value, int | float) else value for value in row[1:5]]
            opened = row.ts if coin else local_open(row.ts)
            at = int(opened.timestamp()) if timeframe is Timeframe.DAY else row.ts.isoformat()
            cells.append([at, *prices, row.volume * ratio, 50.1])
        _csv(self.path / f"{exchange}_{symbol.replace('-', '')}, {interval}.csv", ["time", "open", "high", "low", "close", "Volume", "RSI"], cells)
        self.actions_to(self.path / f"{symbol}.actions.csv", symbol)


def _csv(path: Path, titles: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(titles)
        writer.writerows(rows)
