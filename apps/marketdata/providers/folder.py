"""Files as a vendor: FILES_FOLDER/<symbol>/<time frame>.csv (.csv.gz, .parquet), and actions.csv for splits and dividends.

Both are what `import_bars` and `import_actions` read: raw prices, daily bars by date, intraday bars with a zone; symbol, date, action, value.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import Findings
from apps.marketdata.domain.vendor import ActionRecord, Offer
from apps.marketdata.domain.vendor_columns import map_columns
from apps.marketdata.providers import cells
from apps.marketdata.providers.action_files import ActionLine, BadLine, read_actions
from apps.marketdata.providers.adapter import Adapter
from apps.marketdata.providers.files import CSV_SUFFIXES, PARQUET_SUFFIXES, FileTable, read_file
from apps.marketdata.providers.protocol import UnknownVendorSymbol, VendorNonsense, VendorUnavailable
from apps.marketdata.providers.shaping import Row, Window
from apps.marketdata.providers.ticks import ordered

#: A file is read in one go, so a range is one piece.
WHOLE = timedelta(days=200_000)
ACTIONS = "actions.csv"


class FileAdapter(Adapter):
    """What adapters of files share: a folder from the environment, and everything unreadable in the desk's errors."""

    longest = dict.fromkeys(Timeframe, WHOLE)

    def folder(self, variable: str) -> Path:
        """The folder. Raises MissingKey naming the variable, VendorUnavailable when it is not there."""
        found = Path(self.settings.key(variable))
        if not found.is_dir():
            raise VendorUnavailable(f"{variable}: there is no folder {found}")
        return found

    def table(self, path: Path) -> FileTable:
        """The whole file, through the guard. Raises VendorNonsense when it cannot be read, or one of its lines cannot."""
        try:
            found = self.guard.call(lambda: read_file(path))
        except InvalidInput as error:
            raise VendorNonsense(error.detail) from error
        if found.malformed:
            raise VendorNonsense(f"{path}: line {found.malformed[0][0]} has {found.malformed[0][1]}")
        return found


class Folder(FileAdapter):
    """Bars and corporate actions from a folder of files for each symbol."""

    name = "files"
    offer = Offer(timeframes=frozenset(Timeframe), keys=("FILES_FOLDER",), corporate_actions=True)

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`. A symbol without a file for the time frame is unknown."""
        folder = self._of(symbol)
        names = [f"{timeframe.code}{suffix}" for suffix in (*CSV_SUFFIXES, *PARQUET_SUFFIXES)]
        found = [folder / name for name in names if (folder / name).is_file()]
        if len(found) != 1:
            several = f"several files: {', '.join(path.name for path in found)}" if found else "no file"
            raise UnknownVendorSymbol(f"{self.name} has {several} with bars of {timeframe.code} for {symbol}", field="symbol")
        rows = bar_rows(self.table(found[0]), timeframe)
        return lambda window: [row for row in rows if window.first <= row.ts < window.end]

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """See `Provider.corporate_actions`. Without a file there are none."""
        path = self._of(symbol) / ACTIONS
        return ordered(self.guard.call(lambda: action_records(path, symbol)), start, end)

    def _of(self, symbol: str) -> Path:
        folder = self.folder("FILES_FOLDER") / self.plain(symbol)
        if not folder.is_dir():
            raise UnknownVendorSymbol(f"{self.name} has no folder for {symbol}", field="symbol")
        return folder


def bar_rows(table: FileTable, timeframe: Timeframe) -> list[Row]:
    """Rows of a file of bars. Raises VendorNonsense for the first cell that cannot be read."""
    try:
        position = map_columns(table.titles, file=table.name)
    except InvalidInput as error:
        raise VendorNonsense(error.detail) from error
    findings = Findings(len(table))
    ts = cells.times(table.columns[position.position["date"]], timeframe, utc=position.utc, findings=findings)
    at = position.position
    columns = [cells.numbers(table.columns[at[name]], name, findings) if name in at else np.zeros(len(table)) for name in FIELDS]
    if bad := findings.rejections(file=table.name, lines=table.lines):
        raise VendorNonsense(f"{bad[0].file}: line {bad[0].line}: {bad[0].text}")
    starts = [moment.replace(tzinfo=UTC) for moment in ts.tolist()]
    return [Row(*row) for row in zip(starts, *(column.tolist() for column in columns), strict=True)]


def action_records(path: Path, symbol: str) -> list[ActionRecord]:
    """The splits and dividends of one symbol in a file of actions, none without a file. Raises VendorNonsense for a line that is none."""
    if not path.is_file():
        return []
    try:
        lines = list(read_actions(path))
    except InvalidInput as error:
        raise VendorNonsense(error.detail) from error
    if bad := next((line for line in lines if isinstance(line, BadLine)), None):
        raise VendorNonsense(f"{path}: line {bad.line}: {bad.text}")
    return [line.record for line in lines if isinstance(line, ActionLine) and line.record.symbol == symbol]
