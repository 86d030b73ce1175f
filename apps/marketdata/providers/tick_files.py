"""Files of quotes, trades and depth: CSV and Parquet columns into series, with a finding for every cell that cannot be read.

What each kind needs and by which names it is found stands in NAMES; names are compared without case, spaces and punctuation. A time column
is the first of its names that the file has. Its name may end in ns, us or ms: then it holds whole numbers since 1970; else ISO times with a zone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.ticks import UNNUMBERED, DepthSeries, OrderEventSeries, QuoteSeries, TradeSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import Findings, Problem
from apps.marketdata.providers import cells

if TYPE_CHECKING:
    import pyarrow as pa

TIME_NAMES: Final = ("recvtsns", "tsns", "timestampns", "tsus", "ts", "timestamp", "datetimeutc", "datetime", "time", "eventms", "tradems", "tsms")
SIZES: Final = ("size", "qty", "quantity", "volume", "shares", "amount")
COMMON: Final = {"ts": TIME_NAMES, "symbol": ("symbol", "ticker", "stock", "instrument")}
#: Kind -> our name -> names in files. The first name stands in messages.
NAMES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "quotes": {
        **COMMON,
        "sequence": ("sequence", "seq", "updateid"),
        "bid": ("bid", "bidprice", "bestbid"),
        "bid_size": ("bidsize", "bidqty", "bidquantity"),
        "ask": ("ask", "askprice", "offer", "bestask"),
        "ask_size": ("asksize", "askqty", "askquantity", "offersize"),
    },
    "trades": {
        **COMMON,
        "sequence": ("sequence", "seq", "tradeid", "id"),
        "price": ("price", "px"),
        "size": SIZES,
        "aggressor": ("aggressor", "side", "takerside"),
    },
    "levels": {
        **COMMON,
        "sequence": ("sequence", "seq", "finalupdateid", "lastupdateid"),
        "first_sequence": ("firstsequence", "firstupdateid"),
        "snapshot": ("snapshot", "issnapshot"),
        "side": ("side",),
        "price": ("price", "px"),
        "size": SIZES,
    },
    "orders": {
        **COMMON,
        "sequence": ("sequence", "seq"),
        "letter": ("type", "letter", "event", "messagetype"),
        "ref": ("ref", "orderref", "orderid", "reference"),
        "new_ref": ("newref", "neworderref", "neworderid"),
        "side": ("side", "buysell"),
        "price": ("price", "px"),
        "shares": ("shares", *SIZES),
        "printable": ("printable",),
    },
}
REQUIRED: Final = {
    "quotes": ("ts", "bid", "bid_size", "ask", "ask_size"),
    "trades": ("ts", "price", "size"),
    "levels": ("ts", "sequence", "side", "price", "size"),
    "orders": ("ts", "letter", "ref"),
}
SIDES: Final[Mapping[str, int]] = {"B": 1, "BID": 1, "BUY": 1, "S": -1, "A": -1, "ASK": -1, "SELL": -1}
#: Unit -> microseconds are value x first // second.
UNITS: Final = {"ns": (1, 1_000), "us": (1, 1), "ms": (1_000, 1)}
NO_TIME: Final = np.datetime64("NaT", "us")
Series = QuoteSeries | TradeSeries | DepthSeries | OrderEventSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class TickColumns:
    """Which column of a file is what; `form` is a key of NAMES ("depth" files are levels or orders)."""

    form: str
    position: dict[str, int]
    titles: tuple[str, ...]
    is_snapshot: bool


def map_tick_columns(titles: Sequence[str], *, kind: str, file: str) -> TickColumns:
    """Read a header for a kind of ticks: quotes, trades or depth. Raises InvalidInput which names the file and what is missing."""
    plain = [re.sub(r"[^a-z0-9]", "", title.lower()) for title in titles]
    by_order = all(any(name in plain for name in NAMES["orders"][ours]) for ours in ("letter", "ref"))
    form = kind if kind != "depth" else "orders" if by_order else "levels"
    found = {ours: next((plain.index(name) for name in names if name in plain), None) for ours, names in NAMES[form].items()}
    position = {ours: place for ours, place in found.items() if place is not None}
    missing = [name for name in REQUIRED[form] if name not in position]
    if missing:
        raise InvalidInput(f"{file}: {kind} need a column {', '.join(missing)}, this file has {', '.join(titles) or 'nothing'}", field="file")
    is_snapshot = form == "levels" and "first_sequence" not in position and "lastupdateid" in plain
    return TickColumns(form=form, position=position, titles=tuple(titles), is_snapshot=is_snapshot)


def tick_series(columns: "Sequence[pa.Array]", header: TickColumns, lines: NDArray[np.int64], findings: Findings) -> Series:
    """All rows of a file as one series without symbol; cells that cannot be read are findings."""
    reader = _Reader(columns, header, findings)
    ts = reader.times()
    common: dict[str, Any] = {"symbol": "", "ts": ts}
    if header.form == "quotes":
        prices: dict[str, Any] = {name: reader.floats(name) for name in ("bid", "bid_size", "ask", "ask_size")}
        return QuoteSeries(**common, sequence=reader.whole("sequence", UNNUMBERED), **prices)
    if header.form == "trades":
        sequence = reader.whole("sequence", UNNUMBERED)
        return TradeSeries(**common, sequence=sequence, price=reader.floats("price"), size=reader.floats("size"), aggressor=reader.sides("aggressor"))
    if header.form == "levels":
        return _levels(reader, common, header)
    return OrderEventSeries(
        **common,
        sequence=reader.whole("sequence", None) if "sequence" in header.position else lines,
        letter=reader.letters(),
        ref=reader.whole("ref", 0),
        new_ref=reader.whole("new_ref", 0),
        side=reader.sides("side"),
        price=reader.floats("price", empty=0.0),
        shares=reader.whole("shares", 0),
        printable=reader.flags("printable", True),
    )


def _levels(reader: "_Reader", common: dict[str, Any], header: TickColumns) -> DepthSeries:
    sequence = reader.whole("sequence", None)
    snapshot = reader.flags("snapshot", header.is_snapshot)
    first = reader.whole("first_sequence", None) if "first_sequence" in header.position else sequence
    return DepthSeries(
        **common,
        sequence=sequence,
        first_sequence=np.where(snapshot, sequence, first),
        snapshot=snapshot,
        side=reader.sides("side"),
        price=reader.floats("price"),
        size=reader.floats("size"),
    )


class _Reader:
    """Reads the cells of one file; what is not in the file has its usual value."""

    def __init__(self, columns: "Sequence[pa.Array]", header: TickColumns, findings: Findings) -> None:
        self.columns, self.header, self.findings = columns, header, findings
        self.count = len(findings.bad)

    def _texts(self, name: str) -> "pa.Array":
        import pyarrow as pa
        import pyarrow.compute as pc

        return pc.cast(self.columns[self.header.position[name]], pa.string()).fill_null("")

    def times(self) -> NDArray[np.datetime64]:
        """Times in UTC; a zone is never guessed."""
        place = self.header.position["ts"]
        title = self.header.titles[place].lower()
        unit = UNITS.get(title[-2:])
        if unit is None:
            return cells.times(self.columns[place], Timeframe.MINUTE, utc=title.endswith("utc"), findings=self.findings)
        value = self.whole("ts", None)
        return np.where(value < 0, NO_TIME, (value * unit[0] // unit[1]).astype("datetime64[us]"))

    def floats(self, name: str, *, empty: float | None = None) -> NDArray[np.float64]:
        """A column of numbers."""
        if name not in self.header.position:
            return np.zeros(self.count)
        import pyarrow.compute as pc

        column = self.columns[self.header.position[name]]
        if empty is not None:
            texts = self._texts(name)
            column = pc.if_else(pc.equal(texts, ""), str(empty), texts)
        return cells.numbers(column, name, self.findings)

    def whole(self, name: str, empty: int | None) -> NDArray[np.int64]:
        """A column of whole numbers of at least 0, exact to 63 bits; an empty cell is `empty`, or a finding when that is None."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if name not in self.header.position:
            return np.full(self.count, UNNUMBERED if empty is None else empty, np.int64)
        texts = self._texts(name)
        if empty is not None:
            texts = pc.if_else(pc.equal(texts, ""), str(empty), texts)
        good = pc.match_substring_regex(texts, r"^(-1|[0-9]{1,18}|[0-8][0-9]{18})$").to_numpy(zero_copy_only=False)
        self.findings.reject(~good, name, Problem.NOT_A_NUMBER, lambda row: f"{name} is {texts[row].as_py()!r}, not a whole number")
        return np.asarray(pc.if_else(pa.array(good), texts, "-1").cast(pa.int64()).to_numpy(zero_copy_only=False))

    def sides(self, name: str) -> NDArray[np.int16]:
        """+1 for B, BID, BUY; -1 for S, A, ASK, SELL; 0 for an empty cell."""
        return self._coded(name, {"": 0, **SIDES}, 0, "neither B nor S").astype(np.int16)

    def letters(self) -> NDArray[np.int16]:
        """Code points of message types."""
        return self._coded("letter", {letter: ord(letter) for letter in "AFECXDUPQB"}, 0, "no type of message that is known").astype(np.int16)

    def flags(self, name: str, usual: bool) -> NDArray[np.bool_]:
        """Y, TRUE, 1 or N, FALSE, 0; the usual value for an empty cell."""
        known = {"": int(usual), "Y": 1, "TRUE": 1, "1": 1, "N": 0, "FALSE": 0, "0": 0}
        return self._coded(name, known, int(usual), "neither Y nor N").astype(bool)

    def _coded(self, name: str, known: Mapping[str, int], usual: int, fault: str) -> NDArray[np.int64]:
        if name not in self.header.position:
            return np.full(self.count, usual, np.int64)
        texts, codes = cells.symbols(self.columns[self.header.position[name]])
        values = np.array([known.get(text.upper(), -999) for text in texts] or [usual], np.int64)[codes]
        self.findings.reject(values == -999, name, Problem.NOT_A_CODE, lambda row: f"{name} is {texts[codes[row]]!r}, {fault}")
        return values
