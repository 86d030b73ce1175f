"""Stored forecasts of value at risk against the values that portfolios had, and what history says where none are stored."""

from datetime import date
from typing import Final

import numpy as np

from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.selectors.values import portfolio_values
from apps.risk.domain.portfolio_risk import PortfolioRisk
from apps.risk.domain.tail_risk import Method
from apps.risk.domain.var_backtest import TESTED_DAYS, BackTest, back_test, hypothetical_back_test
from apps.risk.models import VarForecast

#: The forecasts whose zone counts: the supervisor's confidence.
ZONE_METHOD: Final = Method.HISTORICAL
ZONE_CONFIDENCE: Final = 0.99


def stored_back_test(*, portfolio_id: int, method: Method, confidence: float) -> BackTest:
    """The last 250 sessions that have both a forecast and a recorded value at their end and at the end before.

    Profit and loss is what the portfolio really made: trades and fees of the session are in it, deposits and withdrawals are not.
    """
    rows = VarForecast.objects.filter(portfolio_id=portfolio_id, method=method, confidence=confidence).order_by("-session")
    forecasts = dict(rows.values_list("session", "var")[: 2 * TESTED_DAYS])
    made = _realised(portfolio_id)
    sessions = sorted(forecasts.keys() & made.keys())
    return back_test(
        method=method,
        confidence=confidence,
        sessions=sessions,
        var=np.array([forecasts[session] for session in sessions]),
        pnl=np.array([made[session] for session in sessions]),
        hypothetical=False,
    )


def hypothetical_back_tests(risk: PortfolioRisk, methods: tuple[Method, ...], confidences: tuple[float, ...]) -> tuple[BackTest, ...]:
    """Today's positions through their history, for a portfolio whose forecasts are too young to be tested. Empty without history."""
    if not risk.values or not risk.n:
        return ()
    return tuple(
        hypothetical_back_test(method=method, confidence=confidence, dates=risk.dates, pnl=risk.pnl)
        for method in methods
        for confidence in confidences
    )


def _realised(portfolio_id: int) -> dict[date, float]:
    """Profit and loss by session, where the value at the end of the session before is recorded too: a longer stretch is no session's."""
    series = portfolio_values(portfolio_id)
    if len(series) < 2:
        return {}
    known = calendars.calendar_of(HOME_CALENDAR)
    at = np.minimum(np.searchsorted(known.closes, series.ts), len(known.closes) - 1)
    closing = known.closes[at] == series.ts  # the opening value of a portfolio is of some other time
    following = closing[1:] & closing[:-1] & (np.diff(at) == 1)
    made = np.round(series.total[1:] - series.flow[1:] - series.total[:-1], 6)  # money has four places: no exception by a rounding
    return dict(zip(known.days[at[1:]][following].tolist(), made[following].tolist(), strict=True))
