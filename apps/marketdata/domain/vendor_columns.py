"""What vendors call their columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS

#: Our name -> names in files, compared without case, spaces, dots, underscores and brackets.
NAMES: dict[str, tuple[str, ...]] = {
    "date": ("date", "datetime", "timestamp", "ts", "datetimeutc", "timeutc", "timestamputc", "dateutc", "day", "datetime64", "begins", "dt"),
    "time": ("time", "t"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "last", "closeprice", "closelast"),
    "volume": ("volume", "v", "vol"),
    "symbol": ("symbol", "ticker", "s", "instrument", "sym"),
}
#: Known, and not stored: bars are raw, corporate actions are rows of their own.
ADJUSTED = frozenset(("adjclose", "adjustedclose", "closeadj"))
KNOWN_BUT_UNUSED = ADJUSTED | {"dividends", "dividend", "stocksplits", "splits", "split", "capitalgains", "vwap", "vw", "tradecount", "trades", "n"}
PRICES = FIELDS[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """Which column of a file is what: our name -> position. `unknown` are names that nobody knows, which are ignored and reported.

    `utc` is true when the name of the time's column says that it is in UTC.
    """

    position: dict[str, int]
    unknown: tuple[str, ...]
    utc: bool


def map_columns(header: Sequence[str], *, file: str) -> ColumnMap:
    """Read a header. Raises InvalidInput which names the file and what is missing or stands there twice."""
    position: dict[str, int] = {}
    unknown = []
    for index, title in enumerate(header):
        name = _our_name(title)
        if name in position:
            raise InvalidInput(f"{file}: {header[position[name]]!r} and {title!r} are both the column {name}", field="file")
        if name:
            position[name] = index
        elif plain_title(title) not in KNOWN_BUT_UNUSED:
            unknown.append(title)
    if "date" not in position and "time" in position:
        position["date"] = position.pop("time")
    _refuse_what_is_missing(header, position, file)
    utc = plain_title(header[position["date"]]).endswith("utc")
    return ColumnMap(position=position, unknown=tuple(unknown), utc=utc)


def _refuse_what_is_missing(header: Sequence[str], position: dict[str, int], file: str) -> None:
    missing = [name for name in ("date", *PRICES) if name not in position]
    if not missing:
        return
    have = ", ".join(header) or "nothing"
    if {"open", "high", "low"} <= set(missing) and {plain_title(title) for title in header} & {"close", *ADJUSTED}:
        raise InvalidInput(
            f"{file}: bars need open, high, low and close, this file has closes only ({have}); nothing is invented from them", field="file"
        )
    raise InvalidInput(f"{file}: no column {', '.join(missing)} among {have}", field="file")


def _our_name(title: str) -> str:
    plain = plain_title(title)
    return next((name for name, titles in NAMES.items() if plain in titles), "")


def plain_title(title: str) -> str:
    """A title without case, spaces, dots, underscores and brackets."""
    return re.sub(r"[^a-z0-9]", "", title.strip().lower())
