"""What factor scores were worth: how they agree with each other, and with the returns that followed; and what moves an instrument."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData
from apps.marketdata.domain.cross_section import information_coefficient, quantile_spread
from apps.marketdata.domain.exposures import Exposures, exposures, month_ends
from apps.marketdata.domain.factors import FACTORS
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.models import Universe
from apps.marketdata.selectors.closes import closes_panel
from apps.marketdata.selectors.factors import score_panel
from apps.marketdata.selectors.reference import reference_panel

#: How far back scores are held against returns.
YEARS = 5
LEAST_NAMES = 5
FRENCH = ("ff.mkt_rf", "ff.smb", "ff.hml")
RISK_FREE = "ff.rf"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foretelling:
    """Month by month: `ts` the scores' dates [M], `ic` rank correlation with the next month's returns [M], `spread` best quantile less worst [M].

    `quantiles` is 10, or fewer where a tenth of the universe is no instrument.
    """

    ts: NDArray[np.datetime64]
    ic: NDArray[np.float64]
    spread: NDArray[np.float64]
    quantiles: int


def factor_correlations(universe: Universe, day: date) -> NDArray[np.float64]:
    """Correlation of the factors' scores over all dates and instruments of the years up to a day [4, 4], in the order of `FACTORS`.

    NaN where two factors have no common score.
    """
    panel = score_panel(universe, names=FACTORS, start=_years_before(day), end=day)
    result = np.full((len(FACTORS), len(FACTORS)), np.nan)
    for i, first in enumerate(FACTORS):
        for j, second in enumerate(FACTORS):
            one, other = panel.scores[first].ravel(), panel.scores[second].ravel()
            both = ~(np.isnan(one) | np.isnan(other))
            if both.sum() > 2 and one[both].std() > 0 and other[both].std() > 0:
                result[i, j] = np.corrcoef(one[both], other[both])[0, 1]
    return result


def factor_foretelling(universe: Universe, day: date, factor: str) -> Foretelling:
    """How a factor's scores at the end of each month did over the next month, up to a day: nothing after it is looked at."""
    panel = score_panel(universe, names=(factor,), start=_years_before(day), end=day)
    if not len(panel):
        return Foretelling(ts=panel.ts, ic=np.empty(0), spread=np.empty(0), quantiles=0)
    closes = closes_panel(symbols=panel.symbols, adjustment=CloseKind.TOTAL_RETURN, start=_years_before(day), end=day)
    at = np.searchsorted(panel.ts, closes.ts)
    known = (at < len(panel.ts)) & (panel.ts[np.minimum(at, len(panel.ts) - 1)] == closes.ts)
    rows = [row for row in month_ends(closes.ts).tolist() if known[row]]
    scores = panel.scores[factor]
    quantiles = min(10, max(2, len(panel.symbols) // 2))
    pairs = [(scores[at[row]], closes.close[later] / closes.close[row] - 1) for row, later in pairwise(rows)]
    return Foretelling(
        ts=closes.ts[rows[:-1]],
        ic=np.array([information_coefficient(score, made, LEAST_NAMES) for score, made in pairs]),
        spread=np.array([quantile_spread(score, made, quantiles) for score, made in pairs]),
        quantiles=quantiles,
    )


def factor_exposures(symbol: str, day: date) -> Exposures:
    """Regression of an instrument's monthly total returns, less the risk-free rate, on the Fama-French factors, up to a day.

    Raises NotFound without the factors or the instrument, InsufficientData with fewer than 30 common months.
    """
    excess, factors = _monthly([symbol], day)
    return exposures(excess[:, 0], factors)


def factor_exposures_many(symbols: Sequence[str], day: date) -> dict[str, Exposures]:
    """The same of several instruments; those with too few common months are left out. Raises NotFound as `factor_exposures` does."""
    excess, factors = _monthly(symbols, day)
    found = {}
    for column, symbol in enumerate(symbols):
        with suppress(InsufficientData):
            found[symbol] = exposures(excess[:, column], factors)
    return found


def _monthly(symbols: Sequence[str], day: date) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Monthly excess returns [T, N], NaN where a month or the one before it has no last close, and the factors' returns [T] of those months."""
    ts, values = reference_panel((*FRENCH, RISK_FREE), end=day)
    closes = closes_panel(symbols=symbols, adjustment=CloseKind.TOTAL_RETURN, end=day)
    made = np.full((len(ts), len(symbols)), np.nan)
    for column in range(len(symbols)):
        known = ~np.isnan(closes.close[:, column])
        days, price = closes.ts[known], closes.close[known, column]
        ends = month_ends(days)
        price, months = price[ends], days[ends].astype("datetime64[M]")
        place = np.searchsorted(ts.astype("datetime64[M]"), months[1:])
        there = (np.diff(months).astype(np.int64) == 1) & (place < len(ts))
        there[there] &= ts[place[there]].astype("datetime64[M]") == months[1:][there]
        made[place[there], column] = (price[1:] / price[:-1] - 1)[there]
    return made - values[:, -1:], {name: values[:, n] for n, name in enumerate(FRENCH)}


def _years_before(day: date) -> date:
    return day - timedelta(days=round(365.25 * YEARS))
