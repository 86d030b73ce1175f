"""What the loopback vendors know: one market, as it was. Each vendor tells it in its own words, adjusted and rounded as it does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.providers.shaping import Row

NEW_YORK = ZoneInfo("America/New_York")
FIRST, LAST = date(2020, 8, 3), date(2020, 9, 15)
SPLIT_ON = date(2020, 8, 31)
#: The minutes of AAPL and BTC-USD: from the open of this session.
MINUTES_ON = date(2020, 8, 28)
MINUTES = 30


@dataclass
class Market:
    """Raw bars in time order by symbol and time frame, daily ones at midnight UTC, and corporate actions by symbol."""

    bars: dict[tuple[str, Timeframe], list[Row]] = field(default_factory=dict)
    actions: dict[str, list[ActionRecord]] = field(default_factory=dict)

    def knows(self, symbol: str) -> bool:
        return any(known == symbol for known, _ in self.bars)

    def rows(self, symbol: str, timeframe: Timeframe) -> list[Row]:
        return list(self.bars.get((symbol, timeframe), ()))

    def ratio_after(self, symbol: str, day: date) -> float:
        """Today's shares for one share at the end of a day."""
        ratio = 1.0
        for item in self.actions.get(symbol, ()):
            if item.kind is ActionKind.SPLIT and item.ex_date > day:
                ratio *= float(item.value)
        return ratio

    def of_kind(self, symbol: str, kind: ActionKind, start: date, end: date) -> list[ActionRecord]:
        return [item for item in self.actions.get(symbol, ()) if item.kind is kind and start <= item.ex_date <= end]


def day_start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def local_midnight(ts: datetime) -> datetime:
    """Midnight in New York of a daily bar's date."""
    return datetime.combine(ts.date(), time(0), NEW_YORK)


def local_open(ts: datetime) -> datetime:
    """The open in New York of a daily bar's date."""
    return datetime.combine(ts.date(), time(9, 30), NEW_YORK)


def _rows(times: Sequence[datetime], first: float, *, split_at: date | None = None, volume: float = 1_000_000.0) -> list[Row]:
    """Made-up bars in whole cents, no two alike."""
    found = []
    for number, ts in enumerate(times):
        level = first + ((number * 37) % 41 - 20) * 0.13
        if split_at and ts.date() >= split_at:
            level /= 4
        opened, close = round(level, 2), round(level + ((number * 7) % 5 - 2) * 0.11, 2)
        found.append(Row(ts, opened, round(max(opened, close) + 0.57, 2), round(min(opened, close) - 0.43, 2), close, volume + 400.0 * number))
    return found


def sample_market() -> Market:
    """AAPL over its split of 2020 with the dividend before it, BRK.B, and BTC-USD; days, and half an hour of minutes."""
    sessions = [day_start(day) for day in calendars.sessions("XNYS", FIRST, LAST)]
    all_days = [day_start(FIRST) + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    opened = datetime.combine(MINUTES_ON, time(9, 30), NEW_YORK).astimezone(UTC)
    minutes = [opened + timedelta(minutes=number) for number in range(MINUTES)]
    return Market(
        bars={
            ("AAPL", Timeframe.DAY): _rows(sessions, 447.31, split_at=SPLIT_ON),
            ("AAPL", Timeframe.MINUTE): _rows(minutes, 504.05, volume=40_000.0),
            ("BRK.B", Timeframe.DAY): _rows(sessions, 201.07),
            ("BTC-USD", Timeframe.DAY): _rows(all_days, 11_246.20, volume=9_000.0),
            ("BTC-USD", Timeframe.MINUTE): _rows(minutes, 11_500.0, volume=12.0),
        },
        actions={
            "AAPL": [
                ActionRecord(symbol="AAPL", kind=ActionKind.DIVIDEND, ex_date=date(2020, 8, 7), value=Decimal("0.82")),
                ActionRecord(symbol="AAPL", kind=ActionKind.SPLIT, ex_date=SPLIT_ON, value=Decimal(4)),
            ]
        },
    )
