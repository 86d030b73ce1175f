"""Value at risk and expected shortfall of one series of profit and loss by five methods, over one session and over several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import cast

import numpy as np

from apps.risk.domain.risk_numbers import Numbers
from apps.risk.domain.simulation import LEAST_PATHS, var_monte_carlo
from apps.risk.domain.value_at_risk import (
    cornish_fisher_monotone,
    es_cornish_fisher,
    moments,
    tail_historical,
    tail_normal,
    var_cornish_fisher,
)
from apps.risk.domain.volatility import ewma_variances

#: Paths and seed of the simulation: the same numbers for the same data, wherever it runs.
PATHS, SEED = 2 * LEAST_PATHS, 20_261_126

SCALED = "one session, scaled by the root of the horizon"
OVERLAPPING = "overlapping sums of sessions"
NO_LOSS = "no loss: even the tail gains"
NOT_MONOTONE = "outside the domain in which the expansion is monotone"


class Method(StrEnum):
    """How the tail is known. MONTE_CARLO draws the joint normal distribution: of a sum of positions that is a normal one too."""

    HISTORICAL = "historical"
    NORMAL = "normal"
    CORNISH_FISHER = "cornish_fisher"
    MONTE_CARLO = "monte_carlo"
    FILTERED_HISTORICAL = "filtered_historical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Value at risk and expected shortfall in the unit of the series, a loss positive; `n` observations. `error` is the standard error of
    a simulated value at risk."""

    method: Method
    confidence: float
    horizon: int
    var: float
    es: float
    n: int
    note: str = ""
    error: float | None = None


def tails(series: Numbers, confidences: Sequence[float], horizons: Sequence[int] = (1,)) -> tuple[Tail, ...]:
    """All methods at each confidence, for each horizon in sessions. `series` [n] is the profit and loss of each session (> 0 gains).

    Over several sessions the historical method sums overlapping sessions (no number when they are too few), the normal ones are exact for
    independent sessions, the others are scaled by the root and say so.
    """
    mean, filtered = float(series.mean()), _rescaled(series)
    result = []
    for confidence in confidences:
        found = _one_session(series, filtered, confidence)
        for horizon in horizons:
            for tail in found:
                at = tail if horizon == 1 else _longer(tail, horizon, mean, series)
                if at is not None:
                    result.append(at if at.var >= 0 else _noted(at, NO_LOSS))
    return tuple(result)


def historical_tail(series: Numbers, confidence: float) -> Tail:
    """The historical one of `tails`, over one session, by itself."""
    tail = _historical(series, confidence)
    return tail if tail.var >= 0 else _noted(tail, NO_LOSS)


def _historical(series: Numbers, confidence: float) -> Tail:
    values = cast("Sequence[float]", series)
    var, es = tail_historical(values, confidence)
    return Tail(method=Method.HISTORICAL, confidence=confidence, horizon=1, var=var, es=es, n=series.size)


def _rescaled(series: Numbers) -> Numbers:
    """`simulation.rescaled` of one series."""
    variances = ewma_variances(series)
    ratio = np.divide(variances[-1], variances[:-1], out=np.zeros_like(series), where=variances[:-1] > 0)
    return np.asarray(series * np.sqrt(ratio))


@lru_cache(maxsize=16)
def _drawn(confidence: float) -> dict[str, float]:
    """The simulation of a standard normal distribution: every other normal one is it, moved and stretched, with the same draws."""
    return var_monte_carlo([-1.0, 1.0], confidence, PATHS, SEED)


def _one_session(series: Numbers, filtered_series: Numbers, confidence: float) -> list[Tail]:
    values, filtered = cast("Sequence[float]", series), cast("Sequence[float]", filtered_series)
    mean, deviation = float(series.mean()), float(series.std())
    drawn = {name: deviation * number for name, number in _drawn(confidence).items()}
    strange = "" if cornish_fisher_monotone(*moments(values)) else NOT_MONOTONE

    def tail(method: Method, var: float, es: float, note: str = "", error: float | None = None) -> Tail:
        return Tail(method=method, confidence=confidence, horizon=1, var=var, es=es, n=series.size, note=note, error=error)

    return [
        _historical(series, confidence),
        tail(Method.NORMAL, *tail_normal(values, confidence)),
        tail(Method.CORNISH_FISHER, var_cornish_fisher(values, confidence), es_cornish_fisher(values, confidence), strange),
        tail(Method.MONTE_CARLO, drawn["var"] - mean, drawn["es"] - mean, "", drawn["standard_error"]),
        tail(Method.FILTERED_HISTORICAL, *tail_historical(filtered, confidence)),
    ]


def _longer(tail: Tail, horizon: int, mean: float, series: Numbers) -> Tail | None:
    root = math.sqrt(horizon)
    if tail.method is Method.HISTORICAL:
        return _overlapping(tail, horizon, series)
    if tail.method in (Method.NORMAL, Method.MONTE_CARLO):  # mean h x mu, deviation root h x sigma
        var, es = (root * (loss + mean) - horizon * mean for loss in (tail.var, tail.es))
    else:
        var, es = root * tail.var, root * tail.es
        tail = _noted(tail, SCALED)
    return replace(tail, horizon=horizon, var=var, es=es, error=None if tail.error is None else root * tail.error)


def _overlapping(tail: Tail, horizon: int, series: Numbers) -> Tail | None:
    if series.size < horizon:
        return None
    sums = np.convolve(series, np.ones(horizon), "valid")
    values = cast("Sequence[float]", sums)
    var, es = tail_historical(values, tail.confidence)
    return replace(tail, horizon=horizon, var=var, es=es, n=sums.size, note=OVERLAPPING)


def _noted(tail: Tail, note: str) -> Tail:
    return replace(tail, note="; ".join(part for part in (tail.note, note) if part))
