"""Nasdaq TotalView-ITCH 5.0: a day's file of binary messages into order events, read in pieces of some megabytes.

Each message has its length (2 bytes) before it; all numbers are big-endian; times are nanoseconds since midnight of New York; prices have
four implied decimals. Specification: nasdaqtrader.com, NQTVITCHSpecification.pdf, sections 4.1-4.6. Read are the messages that make or explain
a book (A F E C X D U P Q B) and the stock directory (R), which says which stock a locate code means; all others are counted and skipped.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.ticks import OrderEventSeries

SUFFIXES: Final = (".itch", ".itch50", ".itch.gz", ".itch50.gz")
PIECE: Final = 1 << 24
NEW_YORK: Final = ZoneInfo("America/New_York")
TICKS_PER_UNIT: Final = 10_000

HEAD = [("type", "S1"), ("locate", ">u2"), ("tracking", ">u2"), ("high", ">u2"), ("low", ">u4")]
ADD = [*HEAD, ("ref", ">u8"), ("side", "S1"), ("shares", ">u4"), ("stock", "S8"), ("price", ">u4")]
#: Message type -> its fields in order.
MESSAGES: Final = {
    letter: np.dtype(fields)
    for letter, fields in {
        "A": ADD,
        "F": [*ADD, ("attribution", "S4")],
        "E": [*HEAD, ("ref", ">u8"), ("shares", ">u4"), ("match", ">u8")],
        "C": [*HEAD, ("ref", ">u8"), ("shares", ">u4"), ("match", ">u8"), ("printable", "S1"), ("price", ">u4")],
        "X": [*HEAD, ("ref", ">u8"), ("shares", ">u4")],
        "D": [*HEAD, ("ref", ">u8")],
        "U": [*HEAD, ("ref", ">u8"), ("new_ref", ">u8"), ("shares", ">u4"), ("price", ">u4")],
        "P": [*HEAD, ("order", ">u8"), ("side", "S1"), ("shares", ">u4"), ("stock", "S8"), ("price", ">u4"), ("ref", ">u8")],
        "Q": [*HEAD, ("shares", ">u8"), ("stock", "S8"), ("price", ">u4"), ("ref", ">u8"), ("cross", "S1")],
        "B": [*HEAD, ("ref", ">u8")],
        "R": [*HEAD, ("stock", "S8"), ("rest", "S20")],
        "S": [*HEAD, ("event", "S1")],
    }.items()
}
EVENTS: Final = "AFECXDUPQB"
#: Columns of a piece while it is read.
BUFFER_KINDS: Final = {
    "locate": "i8",
    "ts": "datetime64[us]",
    "sequence": "i8",
    "letter": "i2",
    "ref": "i8",
    "new_ref": "i8",
    "side": "i2",
    "price": "f8",
    "shares": "i8",
    "printable": "?",
}


@dataclass
class ItchFile:
    """A file while it is read. `symbols` are the stocks of the directory so far; `messages` counts all, `skipped` those of other types."""

    path: Path
    day: date
    symbols: dict[int, str] = field(default_factory=dict)
    messages: int = 0
    skipped: int = 0

    def pieces(self, size: int = PIECE) -> Iterator[list[OrderEventSeries]]:
        """Order events in the order of the file, one series for each stock of a piece, numbered by their place in the file (from 1).

        Raises InvalidInput which names the byte where the file breaks off, or where a message is not as long as its type, or of a stock that the
        directory has not named.
        """
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=NEW_YORK).astimezone(UTC).replace(tzinfo=None)
        rest, at = b"", 0
        try:
            with _open(self.path) as file:
                while block := file.read(size):
                    data = np.frombuffer(rest + block, np.uint8)
                    starts, used = frame(data)
                    yield self._events(data, starts, at, np.datetime64(midnight, "us"))
                    rest, at = data[used:].tobytes(), at + used
        except (OSError, EOFError) as error:
            raise InvalidInput(f"{self.path}: cannot be read: {error}", field="file") from error
        if rest:
            raise InvalidInput(f"{self.path}: breaks off inside a message at byte {at}", field="file")

    def _events(self, data: NDArray[np.uint8], starts: NDArray[np.int64], at: int, midnight: np.datetime64) -> list[OrderEventSeries]:
        types = data[starts]
        lengths = data[starts - 2].astype(np.int64) * 256 + data[starts - 1]
        self._check_lengths(types, lengths, starts, at)
        for row in self._rows(data, starts, types, "R"):
            self.symbols[int(row["locate"])] = row["stock"].decode("ascii", "replace").strip()
        buffer = {name: np.zeros(len(starts), kind) for name, kind in BUFFER_KINDS.items()}
        buffer["printable"][:] = True
        for letter in EVENTS:
            self._fill(buffer, np.flatnonzero(types == ord(letter)), self._rows(data, starts, types, letter), letter, midnight)
        buffer["sequence"] = self.messages + 1 + np.arange(len(starts))
        self.messages += len(starts)
        kept = buffer["letter"] != 0
        self.skipped += int((~kept & (types != ord("R")) & (types != ord("S"))).sum())
        columns = {name: values[kept] for name, values in buffer.items()}
        return self._by_stock(columns, starts[kept], at)

    def _check_lengths(self, types: NDArray[np.uint8], lengths: NDArray[np.int64], starts: NDArray[np.int64], at: int) -> None:
        for letter, fields in MESSAGES.items():
            wrong = np.flatnonzero((types == ord(letter)) & (lengths != fields.itemsize))
            if len(wrong):
                row = wrong[0]
                place = at + int(starts[row])
                raise InvalidInput(f"{self.path}: a message {letter} of {lengths[row]} bytes at byte {place}, not {fields.itemsize}", field="file")

    @staticmethod
    def _rows(data: NDArray[np.uint8], starts: NDArray[np.int64], types: NDArray[np.uint8], letter: str) -> NDArray:
        fields = MESSAGES[letter]
        own = starts[types == ord(letter)]
        return np.ascontiguousarray(data[own[:, None] + np.arange(fields.itemsize)]).view(fields)[:, 0]

    @staticmethod
    def _fill(buffer: dict[str, NDArray], at: NDArray[np.intp], rows: NDArray, letter: str, midnight: np.datetime64) -> None:
        nanos = (rows["high"].astype(np.int64) << 32) + rows["low"]
        buffer["locate"][at] = rows["locate"]
        buffer["ts"][at] = midnight + (nanos // 1000).astype("timedelta64[us]")
        buffer["letter"][at] = ord(letter)
        names = rows.dtype.names or ()
        for name in ("ref", "new_ref", "shares"):
            if name in names:
                buffer[name][at] = rows[name].astype(np.int64)
        if "price" in names:
            buffer["price"][at] = rows["price"] / TICKS_PER_UNIT
        if "side" in names:
            buffer["side"][at] = np.where(rows["side"] == b"B", 1, -1)
        if "printable" in names:
            buffer["printable"][at] = rows["printable"] == b"Y"

    def _by_stock(self, columns: dict[str, NDArray], starts: NDArray[np.int64], at: int) -> list[OrderEventSeries]:
        locate = columns.pop("locate")
        found = []
        for code in np.unique(locate).tolist():
            own = np.flatnonzero(locate == code)
            if code not in self.symbols:
                raise InvalidInput(f"{self.path}: at byte {at + int(starts[own[0]])} stock {code}, which the directory has not named", field="file")
            found.append(OrderEventSeries(symbol=self.symbols[code], **{name: values[own] for name, values in columns.items()}))
        return found


def is_itch(path: Path) -> bool:
    """Whether a file's name says that it holds ITCH messages."""
    return path.name.lower().endswith(SUFFIXES)


def frame(data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    """Where the complete messages of a block begin (behind their lengths), and how many bytes they take in all."""
    from apps.marketdata.providers.framing import message_starts

    starts = np.empty(len(data) // 3 + 1, np.int64)
    count, used = message_starts(data, starts)
    return starts[:count], int(used)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]
