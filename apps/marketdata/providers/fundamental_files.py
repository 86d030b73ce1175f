"""Files of reported figures: the SEC's financial statement data, snapshots of key statistics, and plain records.

All give `FundamentalRecord`s with the line that each came from. A row that is of no interest (a tag which the desk does not keep) gives none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from apps.core.errors import InvalidInput
from apps.marketdata.domain.validation import Problem, Rejection
from apps.marketdata.domain.vendor import FundamentalRecord
from apps.marketdata.providers.files import read_file

Row = Mapping[str, str]
Reader = Callable[[Row], Iterator[FundamentalRecord]]

#: us-gaap tag -> the desk's name. Of several tags for the same thing a company uses one.
SEC_TAGS = {
    "EarningsPerShareDiluted": "eps",
    "Revenues": "revenue",
    "SalesRevenueNet": "revenue",
    "NetIncomeLoss": "net_income",
    "StockholdersEquity": "total_equity",
    "Assets": "total_assets",
    "CommonStockSharesOutstanding": "shares_outstanding",
    "GrossProfit": "gross_profit",
    "NetCashProvidedByUsedInOperatingActivities": "operating_cash_flow",
}
#: Quarters that a figure is about -> period. Half years and nine months are sums on the way to a year.
SEC_PERIODS = {"0": "instant", "1": "quarter", "4": "year"}
#: What a filing of a day is known from: its end in New York, in UTC, so that nobody trades on it before.
PUBLISHED = time(23, 59, 59, tzinfo=UTC)

#: Column of a snapshot -> the desk's name, period and unit. A yield is in percent there.
SNAPSHOT = {
    "eps": ("eps", "ttm", "USD"),
    "book_value_per_share": ("book_value_per_share", "instant", "USD"),
    "dividend_yield": ("dividend_yield", "ttm", "fraction"),
    "market_cap": ("market_cap", "instant", "USD"),
    "ebitda": ("ebitda", "ttm", "USD"),
}


def read_records(path: Path, format: str) -> tuple[list[tuple[int, FundamentalRecord]], list[Rejection], int]:
    """Records with their lines, rejected lines, and the number of the file's rows.

    Raises InvalidInput for a file that cannot be read or lacks a column of the format.
    """
    columns, reader = READERS[format]
    table = read_file(path)
    if missing := [name for name in columns if name not in table.titles]:
        raise InvalidInput(f"{path}: no column {', '.join(missing)} among {', '.join(table.titles)}", field="file")
    cells = [[str(cell) if cell is not None else "" for cell in column.to_pylist()] for column in table.columns]
    found: list[tuple[int, FundamentalRecord]] = []
    rejected = [Rejection(file=str(path), line=line, column="", code=Problem.MALFORMED_LINE, text=text) for line, text in table.malformed]
    for line, values in zip(table.lines.tolist(), zip(*cells, strict=True), strict=True):
        try:
            found += [(line, record) for record in reader(dict(zip(table.titles, values, strict=True)))]
        except InvalidInput as error:
            rejected.append(Rejection(file=str(path), line=line, column=error.field, code="BAD_FIGURE", text=error.detail))
    return found, rejected, len(table) + len(table.malformed)


def _sec(row: Row) -> Iterator[FundamentalRecord]:
    metric, period = SEC_TAGS.get(row["tag"]), SEC_PERIODS.get(row["qtrs"])
    if metric is None or period is None:
        return
    yield FundamentalRecord(
        symbol=row["symbol"],
        metric=metric,
        period=period,
        period_end=_day(row["ddate"], "ddate"),
        value=_number(row["value"], "value"),
        published_at=datetime.combine(_day(row["filed"], "filed"), PUBLISHED),
        unit=row["uom"],
    )


def _snapshot(row: Row) -> Iterator[FundamentalRecord]:
    day = _day(row["as_of"], "as_of")
    for column, (metric, period, unit) in SNAPSHOT.items():
        if not row[column]:
            continue
        value = _number(row[column], column) / (100 if metric == "dividend_yield" else 1)
        published = datetime.combine(day, PUBLISHED)
        yield FundamentalRecord(symbol=row["symbol"], metric=metric, period=period, period_end=day, value=value, published_at=published, unit=unit)


def _record(row: Row) -> Iterator[FundamentalRecord]:
    try:
        published = datetime.fromisoformat(row["published_at"])
    except ValueError as error:
        raise InvalidInput(f"published_at is {row['published_at']!r}, not a time", field="published_at") from error
    yield FundamentalRecord(
        symbol=row["symbol"],
        metric=row["metric"],
        period=row["period"],
        period_end=_day(row["period_end"], "period_end"),
        value=_number(row["value"], "value"),
        published_at=published,
        unit=row.get("unit") or "USD",
    )


def _day(text: str, column: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{column} is {text!r}, not a date", field=column) from error


def _number(text: str, column: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInput(f"{column} is {text!r}, not a number", field=column) from error


#: Name of a format -> the columns that it must have, and how a row is read.
READERS: Mapping[str, tuple[Sequence[str], Reader]] = {
    "sec": (("symbol", "filed", "tag", "ddate", "qtrs", "uom", "value"), _sec),
    "snapshot": (("as_of", "symbol", *SNAPSHOT), _snapshot),
    "records": (("symbol", "metric", "period", "period_end", "value", "published_at"), _record),
}
