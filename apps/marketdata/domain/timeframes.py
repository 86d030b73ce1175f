"""How long a bar lasts."""

from datetime import timedelta
from enum import IntEnum

from apps.core.errors import InvalidInput


class Timeframe(IntEnum):
    """Length of a bar. Up to the week the value is minutes; a month has no fixed length, its value only sorts after the week.

    The value is what the database stores (a smallint), the code is what people type.
    """

    MINUTE = 1
    MINUTES_5 = 5
    MINUTES_15 = 15
    HOUR = 60
    DAY = 1_440
    WEEK = 10_080
    MONTH = 30_000

    @property
    def code(self) -> str:
        """ "1m", "5m", "15m", "1h", "1d", "1w" or "1mo"."""
        return _CODES[self]

    @property
    def is_intraday(self) -> bool:
        """True for bars shorter than a session, which have a time and therefore need a time zone."""
        return self < Timeframe.DAY

    @property
    def duration(self) -> timedelta:
        """Length of an intraday bar. Raises InvalidInput for days and longer, which last from one session to another."""
        if not self.is_intraday:
            raise InvalidInput(f"a bar of {self.code} has no fixed length", field="timeframe")
        return timedelta(minutes=int(self))

    @classmethod
    def parse(cls, text: str) -> "Timeframe":
        """Time frame of a code. Raises InvalidInput which lists the codes."""
        for timeframe, code in _CODES.items():
            if code == text.strip():
                return timeframe
        raise InvalidInput(f"{text!r} is not a time frame: use one of {', '.join(_CODES.values())}", field="timeframe")


_CODES: dict[Timeframe, str] = {
    Timeframe.MINUTE: "1m",
    Timeframe.MINUTES_5: "5m",
    Timeframe.MINUTES_15: "15m",
    Timeframe.HOUR: "1h",
    Timeframe.DAY: "1d",
    Timeframe.WEEK: "1w",
    Timeframe.MONTH: "1mo",
}
