"""Exposure of today's positions to the stored Fama-French factors."""

from collections.abc import Mapping
from datetime import date, datetime

from apps.core.errors import NotFound
from apps.core.kept import Kept
from apps.marketdata.selectors.factor_analysis import factor_exposures_many
from apps.marketdata.selectors.instruments import instruments_known
from apps.risk.domain.factor_exposure import FactorExposure, weighted
from apps.risk.domain.portfolio_risk import PortfolioRisk

Betas = Mapping[str, Mapping[str, float]]
#: Monthly returns say the same for a while, and the page asks every few seconds: betas by symbol of the symbols up to a day.
_kept: Kept[tuple[tuple[str, ...], date], Betas] = Kept(most=32, seconds=600.0)


def factor_exposure(risk: PortfolioRisk) -> FactorExposure:
    """By regressions of monthly returns up to the day of the numbers; without stored factors nothing is covered. Betas may be ten minutes old."""
    symbols = tuple(sorted(instruments_known(list(risk.values))))
    day = risk.as_of.date() if isinstance(risk.as_of, datetime) else risk.as_of
    betas = _kept.get((symbols, day))
    if betas is None:
        betas = _betas(symbols, day)
        _kept.put((symbols, day), betas)
    return weighted(risk.values, betas)


def _betas(symbols: tuple[str, ...], day: date) -> Betas:
    try:
        found = factor_exposures_many(symbols, day) if symbols else {}
    except NotFound:  # nobody has imported the factors
        found = {}
    return {symbol: {beta.name: beta.value for beta in one.betas} for symbol, one in found.items()}
