"""TradingView: the files that its charts export ("Export chart data"), in TRADINGVIEW_FOLDER.

A file is named by the chart: `NASDAQ_AAPL, 1D.csv`, `BATS_AAPL, 5_1a2b3.csv`. It has time, open, high, low, close, perhaps Volume, and then the
columns of the chart's indicators, which are left out. `time` is seconds since 1970 or a time with offset, by the export's setting.
A daily bar carries the moment of the session's open; its date is read on the exchange's clock (for a time with offset: as written).
TradingView draws stocks adjusted for splits: raw bars are recovered when the splits stand beside the files in `AAPL.actions.csv` (symbol,
date, action, value, as `import_actions` reads them); without that file prices from before a split are not raw. Turn "adjust for
dividends" off before exporting.
"""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import Offer
from apps.marketdata.providers.cells import EPOCH_SECONDS
from apps.marketdata.providers.folder import FileAdapter, action_records, bar_rows
from apps.marketdata.providers.protocol import UnknownVendorSymbol, VendorNonsense
from apps.marketdata.providers.raw import Splits
from apps.marketdata.providers.shaping import FETCHED, Row, Window
from apps.marketdata.providers.ticks import from_seconds, midnight_of

if TYPE_CHECKING:
    from apps.marketdata.providers.files import FileTable

NAME = re.compile(r"(?P<exchange>[A-Z0-9]+)_(?P<symbol>[^, ]+), (?P<interval>[0-9]+[A-Z]?)(_[0-9a-z]+)?( \([0-9]+\))?\.csv")
INTERVALS = {"1": Timeframe.MINUTE, "5": Timeframe.MINUTES_5, "15": Timeframe.MINUTES_15, "60": Timeframe.HOUR, "1D": Timeframe.DAY}
ZONES = {
    **dict.fromkeys(("NASDAQ", "NYSE", "AMEX", "ARCA", "BATS", "CBOE", "OTC", "SP", "DJ", "TVC"), "America/New_York"),
    **dict.fromkeys(("BINANCE", "BITSTAMP", "COINBASE", "CRYPTO", "KRAKEN"), "UTC"),
    "CME": "America/Chicago",
    "EURONEXT": "Europe/Paris",
    "HKEX": "Asia/Hong_Kong",
    "LSE": "Europe/London",
    "TSE": "Asia/Tokyo",
    "TSX": "America/Toronto",
    "XETR": "Europe/Berlin",
}


class TradingView(FileAdapter):
    """Bars from exported charts."""

    name = "tradingview"
    offer = Offer(timeframes=FETCHED, keys=("TRADINGVIEW_FOLDER",))

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`. Two exports of the same chart are refused: which of them is right nobody can tell."""
        folder = self.folder("TRADINGVIEW_FOLDER")
        exports = [(match["exchange"], path) for path in sorted(folder.iterdir()) if (match := _export(path, symbol, timeframe))]
        if not exports:
            raise UnknownVendorSymbol(f"there is no export of {symbol} at {timeframe.code} in {folder}", field="symbol")
        if len(exports) > 1:
            names = ", ".join(repr(path.name) for _, path in exports)
            raise VendorNonsense(f"{names} are exports of the same chart: leave one of them in {folder}")
        exchange, path = exports[0]
        splits = Splits.of(action_records(folder / f"{self.plain(symbol)}.actions.csv", symbol))
        table = self.table(path)
        days = _session_dates(table, exchange) if timeframe is Timeframe.DAY else None
        rows = bar_rows(table, timeframe)
        if days is not None:
            rows = [row._replace(ts=midnight_of(day.date())) for row, day in zip(rows, days, strict=True)]
        rows = [splits.undo(row, row.ts.date()) for row in rows]
        return lambda window: [row for row in rows if window.first <= row.ts < window.end]


def _export(path: Path, symbol: str, timeframe: Timeframe) -> re.Match[str] | None:
    match = NAME.fullmatch(path.name)
    same = match and match["symbol"] == symbol.replace("-", "") and INTERVALS.get(match["interval"]) is timeframe
    return match if same else None


def _session_dates(table: "FileTable", exchange: str) -> list[datetime] | None:
    """Moments on the exchange's clock when the column holds seconds; None when it holds dates or times with offset, read as written."""
    column = table.columns[table.titles.index("time")].to_pylist() if "time" in table.titles else []
    if not column or not all(EPOCH_SECONDS.fullmatch(cell) for cell in column):
        return None
    if exchange not in ZONES:
        raise VendorNonsense(f"{table.name}: the zone of {exchange} is not known: export with time as ISO, which has its offset")
    return [from_seconds(int(cell)).astimezone(ZoneInfo(ZONES[exchange])) for cell in column]
