"""The ratios behind quality and value, as they were known at the close of each session."""

from collections.abc import Mapping, Sequence

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.fundamentals import YEARLY, divided, known_series
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import FundamentalRecord
from apps.marketdata.domain.windows import carried
from apps.marketdata.selectors.closes import closes_panel
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.resampled import panel_at

Numbers = NDArray[np.float64]
Times = NDArray[np.datetime64]
Said = Mapping[tuple[int, str, str], list[FundamentalRecord]]

METRICS = ("eps", "book_value_per_share", "dividend_yield", "net_income", "total_equity", "gross_profit", "total_assets")
#: The latest revision of everything that was ever said of some figures.
SAID = (
    "select distinct on (instrument_id, metric, period, period_end, published_at, source_id) instrument_id, metric, period, period_end, value,"
    " published_at, unit from marketdata_fundamental where instrument_id = any(%s) and metric = any(%s)"
    " order by instrument_id, metric, period, period_end, published_at, source_id desc, revision desc"
)


def fundamental_ratios(ids: Mapping[int, str], sessions: Times) -> tuple[list[Numbers], list[Numbers]]:
    """Ratios of quality (return on equity, gross profitability) and of value (earnings, book value and dividends over price), each [T, N].

    `ids` are instruments with their symbols, `sessions` datetime64[us] [T] sessions of the home calendar. Empty lists where no figure of
    any of them is known. Prices are as traded; figures per share are told in today's shares, so that a split between report and price
    changes nothing.
    """
    said = _said(list(ids))
    if not said:
        return [], []
    price, shares = _prices(list(ids.values()), sessions)
    days = calendars.calendar_of(HOME_CALENDAR)
    closed = days.closes[np.searchsorted(days.days, sessions.astype("datetime64[D]"))]

    def known(metric: str, *periods: str, per_share: bool = False) -> Numbers:
        result = np.full(price.shape, np.nan)
        for column, pk in enumerate(ids):
            for period in periods:
                series = known_series(said.get((pk, metric, period), []), closed, shares[:, column] if per_share else None)
                result[:, column] = np.where(np.isnan(result[:, column]), series, result[:, column])
        return result

    eps, book = known("eps", *YEARLY, per_share=True), known("book_value_per_share", "instant", per_share=True)
    return_on_equity = divided(known("net_income", *YEARLY), known("total_equity", "instant"))
    return_on_equity = np.where(np.isnan(return_on_equity), divided(eps, book), return_on_equity)
    quality = [return_on_equity, divided(known("gross_profit", *YEARLY), known("total_assets", "instant"))]
    today = price / shares
    return quality, [divided(eps, today), divided(book, today), known("dividend_yield", "ttm", "instant")]


def _said(ids: list[int]) -> Said:
    found: dict[tuple[int, str, str], list[FundamentalRecord]] = {}
    with connection.cursor() as cursor:
        cursor.execute(SAID, [ids, list(METRICS)])
        for pk, metric, period, period_end, value, published_at, unit in cursor.fetchall():
            one = FundamentalRecord(
                symbol=str(pk), metric=metric, period=period, period_end=period_end, value=value, published_at=published_at, unit=unit
            )
            found.setdefault((pk, metric, period), []).append(one)
    return found


def _prices(symbols: Sequence[str], sessions: Times) -> tuple[Numbers, Numbers]:
    """Closes as traded [T, N], and by how much each day's shares became more until the last day [T, N], 1 where no split is known."""
    start, end = (sessions[at].astype("datetime64[D]").item() for at in (0, -1))
    panel = closes_panel(symbols=symbols, adjustment=CloseKind.NONE, start=start, end=end)
    raw = _on(sessions, panel.ts, panel.close)
    bars = panel_at(symbols=symbols, timeframe=Timeframe.DAY, start=start, end=end)
    split = panel_at(symbols=symbols, timeframe=Timeframe.DAY, start=start, end=end, adjustment=Adjustment.SPLIT)
    shares = carried(_on(sessions, bars.ts, bars.close / split.close), len(sessions))
    return raw, np.where(np.isnan(shares), 1.0, shares)


def _on(sessions: Times, ts: Times, values: Numbers) -> Numbers:
    """The rows of a panel on all sessions [S, N], NaN where it has none."""
    result = np.full((len(sessions), values.shape[1]), np.nan)
    there = np.isin(ts, sessions)
    result[np.searchsorted(sessions, ts[there])] = values[there]
    return result
