"""What people are shown of factor scores: of which date, with which note, and what portfolio the scores recommend."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from apps.core.errors import InsufficientData
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.weights import Optimizer, covariance_of, weights_of
from apps.marketdata.models import Universe
from apps.marketdata.selectors.bars import bounds, visible_end
from apps.marketdata.selectors.closes import closes_panel
from apps.marketdata.selectors.factors import FactorRow, factor_scores, first_factor_date, latest_factor_date
from apps.marketdata.selectors.market import market_clock

#: Calendar days whose returns make a recommendation's covariance: a year of sessions.
COVARIANCE_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDate:
    """The date whose scores are shown (None: there are none at all). `note` says so when they lie in the market's future."""

    day: date | None
    visible: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """An instrument with its score and weight; the weights of all sum to 1."""

    ticker: str
    composite_score: float
    target_weight: float


def shown_date(universe: Universe, now: datetime, wanted: date | None = None) -> ShownDate:
    """The last date with scores which is not after the wanted one, nor after the last session that has closed in the market.

    A wanted date before all scores has none. Where nobody wants a date and a replay stands before the first score, the last scores
    are shown, and a note says that they are the future. Nothing but people's screens and REST ever asks for these.
    """
    closed = bounds(None, visible_end(now))[1].date() - timedelta(days=1)
    day = latest_factor_date(universe, closed if wanted is None else min(wanted, closed))
    if day is not None:
        return ShownDate(day=day, visible=True)
    first = first_factor_date(universe)
    if first is None:
        return ShownDate(day=None, visible=False)
    if wanted is not None and wanted < first:
        return ShownDate(day=None, visible=True, note=f"There are no scores before {_written(first)}.")
    day = latest_factor_date(universe, wanted) or first
    standing = "replay stands" if market_clock(now).mode == "replay" else "market stands"
    note = (
        f"The {standing} at {_written(closed)}, before the first score of {_written(first)}; "
        f"these are the scores of {_written(day)}, which strategies in the replay cannot see."
    )
    return ShownDate(day=day, visible=False, note=note)


def recommendations(universe: Universe, day: date, *, count: int, optimizer: Optimizer) -> list[Recommendation]:
    """The `count` best composites of a date with target weights, best first; fewer where fewer are scored.

    Covariances are of the daily total returns of the year up to the date. Raises InsufficientData when those are too few.
    """
    return recommended(factor_scores(universe, day), day, count=count, optimizer=optimizer)


def recommended(rows: list[FactorRow], day: date, *, count: int, optimizer: Optimizer) -> list[Recommendation]:
    """The same from scores that were read already, the best first."""
    best = [(row.ticker, row.composite) for row in rows if row.composite is not None][:count]
    scores = np.array([score for _, score in best], float)
    covariance = None
    if optimizer.needs_returns and best:
        panel = closes_panel(
            symbols=[ticker for ticker, _ in best], adjustment=CloseKind.TOTAL_RETURN, start=day - timedelta(days=COVARIANCE_DAYS), end=day
        )
        if len(panel) < 2:
            raise InsufficientData("there are no closes for a covariance", field="optimizer")
        covariance = covariance_of(panel.close[1:] / panel.close[:-1] - 1)
    weights = weights_of(optimizer, scores, covariance)
    return [
        Recommendation(ticker=ticker, composite_score=score, target_weight=float(weight))
        for (ticker, score), weight in zip(best, weights, strict=True)
    ]


def _written(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
