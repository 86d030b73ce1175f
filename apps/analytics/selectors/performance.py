"""Performance of portfolios."""

from typing import TYPE_CHECKING

from apps.analytics.domain.performance import Performance, Period, performance
from apps.portfolios.selectors.values import portfolio_values

if TYPE_CHECKING:
    from apps.portfolios.models import Portfolio


def portfolio_performance(portfolio: "Portfolio", period: Period = Period.ALL) -> Performance:
    """Performance of a portfolio's recorded values over a period that ends with the last of them. One query."""
    values = portfolio_values(portfolio.pk)
    return performance(period=period, ts=values.ts, total=values.total, daily_return=values.daily_return)
