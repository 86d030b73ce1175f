"""The value series of a portfolio, as arrays."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.portfolios.models import PortfolioValue

#: The last value before a moment of the market, as an expression of SQL: for an order that waits, which asks other things by the same query.
TOTAL_BEFORE: Final = """select v.total from portfolios_portfoliovalue v where v.portfolio_id = %(portfolio)s and v.ts < %(before)s
    order by v.ts desc limit 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioValues:
    """Arrays of one length, oldest first. `ts` is market time (datetime64[us], UTC); money is float64, for measures and charts;
    `daily_return` is NaN where there is none (the first row). `flow` is what was paid in since the row before."""

    ts: NDArray[np.datetime64]
    cash: NDArray[np.float64]
    invested: NDArray[np.float64]
    total: NDArray[np.float64]
    flow: NDArray[np.float64]
    daily_return: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts)


def portfolio_values(portfolio_id: int, start: datetime | None = None, end: datetime | None = None) -> PortfolioValues:
    """Values from `start` to `end`, both included, in one query. Empty arrays when there are none."""
    rows = PortfolioValue.objects.filter(portfolio_id=portfolio_id)
    if start is not None:
        rows = rows.filter(ts__gte=start)
    if end is not None:
        rows = rows.filter(ts__lte=end)
    table = list(rows.order_by("ts").values_list("ts", "cash", "invested", "total", "flow", "daily_return"))
    columns = list(zip(*table, strict=True)) or [()] * 6
    ts = np.array([stamp.replace(tzinfo=None) for stamp in columns[0]], dtype="datetime64[us]")
    cash, invested, total, flow = (np.array(column, dtype=np.float64) for column in columns[1:5])
    returns = np.array([np.nan if value is None else value for value in columns[5]], dtype=np.float64)
    return PortfolioValues(ts=ts, cash=cash, invested=invested, total=total, flow=flow, daily_return=returns)


def latest_total(portfolio_id: int) -> Decimal | None:
    """The last value that was recorded, or None."""
    return PortfolioValue.objects.filter(portfolio_id=portfolio_id).order_by("-ts").values_list("total", flat=True).first()
