"""A daily bar as a live market would have shown it: open, low, high and close, at the open, after one and two thirds, at the close.

Whether the low or the high came first is not known from a daily bar; the low is shown first, always.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import BarPanel


class Step(IntEnum):
    """Steps of a session in the order in which they are shown."""

    OPEN = 0
    LOW = 1
    HIGH = 2
    CLOSE = 3

    @property
    def field(self) -> str:
        """The bar's field whose price the step shows."""
        return self.name.lower()

    @property
    def share(self) -> float:
        """Share of a session's wall time that passes after the step, so that a night is short but not nothing."""
        return 0.1 if self is Step.CLOSE else 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a replay: the step of a session that is shown next."""

    session: date
    step: Step


def step_time(calendar: str, session: date, step: Step) -> datetime:
    """Market time of a step in UTC."""
    opened, closed = calendars.session_hours(calendar, session)
    return opened + (closed - opened) * int(step) / 3


def step_prices(panel: BarPanel, row: int, step: Step) -> dict[str, float]:
    """Prices that a step shows, by symbol; symbols without a bar in that session are left out."""
    values = getattr(panel, step.field)[row]
    return {symbol: float(price) for symbol, price in zip(panel.symbols, values, strict=True) if price == price}


def row_of(panel: BarPanel, session: date) -> int | None:
    """Row of a session's bars in a panel of daily bars, None when nobody has one."""
    days = panel.ts.astype("datetime64[D]").tolist()
    return days.index(session) if session in days else None
