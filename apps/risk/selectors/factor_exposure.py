"""Exposure of today's positions to the stored Fama-French factors."""

from datetime import datetime

from apps.core.errors import NotFound
from apps.marketdata.selectors.factor_analysis import factor_exposures_many
from apps.marketdata.selectors.instruments import instruments_known
from apps.risk.domain.factor_exposure import FactorExposure, weighted
from apps.risk.domain.portfolio_risk import PortfolioRisk


def factor_exposure(risk: PortfolioRisk) -> FactorExposure:
    """By regressions of monthly returns up to the day of the numbers; without stored factors nothing is covered. Five queries."""
    symbols = sorted(instruments_known(list(risk.values)))
    day = risk.as_of.date() if isinstance(risk.as_of, datetime) else risk.as_of
    try:
        found = factor_exposures_many(symbols, day) if symbols else {}
    except NotFound:  # nobody has imported the factors
        found = {}
    return weighted(risk.values, {symbol: {beta.name: beta.value for beta in one.betas} for symbol, one in found.items()})
