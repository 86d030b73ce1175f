"""Was value at risk right for one portfolio: forecasts held against what happened, day by day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
from numpy.typing import NDArray

from apps.risk.domain.backtesting import basel_zone, christoffersen, conditional_coverage, kupiec, transitions
from apps.risk.domain.risk_numbers import LEAST_OBSERVATIONS, Numbers, RiskState, least_observations
from apps.risk.domain.simulation import LEAST_PATHS, var_filtered_historical, var_monte_carlo
from apps.risk.domain.tail_risk import SEED, Method
from apps.risk.domain.value_at_risk import var_cornish_fisher, var_historical, var_normal

#: Days that a test looks back on (Basel's).
TESTED_DAYS = 250
MEASURES: dict[Method, Callable[[Sequence[float], float], float]] = {
    Method.HISTORICAL: var_historical,
    Method.NORMAL: var_normal,
    Method.CORNISH_FISHER: var_cornish_fisher,
    Method.MONTE_CARLO: lambda returns, confidence: var_monte_carlo(returns, confidence, LEAST_PATHS, SEED)["var"],
    Method.FILTERED_HISTORICAL: var_filtered_historical,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedDay:
    """A session with its forecast: `pnl` in money (< 0 lost), an exception when the loss is strictly above the value at risk."""

    session: date
    var: float
    pnl: float
    exception: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """The tests of one method at one confidence. `hypothetical`: no forecast was stored, today's positions were moved through history.

    With fewer than 100 days the state is INSUFFICIENT_DATA and the statistics are None; the days are listed all the same.
    """

    method: Method
    confidence: float
    hypothetical: bool
    state: RiskState
    observations: int
    exceptions: int
    expected: float
    kupiec: float | None
    kupiec_p: float | None
    christoffersen: float | None
    christoffersen_p: float | None
    coverage: float | None
    coverage_p: float | None
    zone: str | None
    multiplier_add: float | None
    cumulative_probability: float | None
    days: tuple[TestedDay, ...]


def back_test(
    *, method: Method, confidence: float, sessions: Sequence[date], var: Numbers, pnl: Numbers, hypothetical: bool, least: int = LEAST_OBSERVATIONS
) -> BackTest:
    """Hold forecasts [D] against profit and loss [D] of the same sessions, oldest first. The last 250 count."""
    days = tuple(
        TestedDay(session=session, var=forecast, pnl=made, exception=-made > forecast)
        for session, forecast, made in zip(sessions[-TESTED_DAYS:], var[-TESTED_DAYS:].tolist(), pnl[-TESTED_DAYS:].tolist(), strict=True)
    )
    hits = [day.exception for day in days]
    count, found, probability = len(hits), sum(hits), round(1 - confidence, 12)
    enough = count >= least
    unconditional = kupiec(count, found, probability) if enough else {}
    counted = transitions(hits)
    independent = christoffersen(*counted) if enough else {}
    both = conditional_coverage(count, found, probability, *counted) if enough else {}
    zone = basel_zone(found, count, confidence) if enough else {}
    return BackTest(
        method=method,
        confidence=confidence,
        hypothetical=hypothetical,
        state=RiskState.OK if enough else RiskState.INSUFFICIENT_DATA,
        observations=count,
        exceptions=found,
        expected=count * probability,
        kupiec=unconditional.get("statistic"),
        kupiec_p=unconditional.get("p_value"),
        christoffersen=independent.get("statistic"),
        christoffersen_p=independent.get("p_value"),
        coverage=both.get("statistic"),
        coverage_p=both.get("p_value"),
        zone=cast("str | None", zone.get("zone")),
        multiplier_add=cast("float | None", zone.get("multiplier_add")),
        cumulative_probability=cast("float | None", zone.get("cumulative_probability")),
        days=days,
    )


def hypothetical_back_test(*, method: Method, confidence: float, dates: NDArray[np.datetime64], pnl: Numbers) -> BackTest:
    """Today's positions moved through history: each session's forecast is of the sessions before it, as many as a number needs."""
    window = least_observations(confidence)
    start = max(window, pnl.size - TESTED_DAYS)
    measure, series = MEASURES[method], pnl.tolist()
    forecasts = np.array([measure(series[at - window : at], confidence) for at in range(start, pnl.size)])
    sessions = dates[start:].astype("datetime64[D]").tolist()
    return back_test(method=method, confidence=confidence, sessions=sessions, var=forecasts, pnl=pnl[start:], hypothetical=True)
