"""What the page of a portfolio says of each position besides its value: target, drift and stop."""

from dataclasses import dataclass
from decimal import Decimal

from apps.core.money import ZERO
from apps.marketdata.selectors.market import MarketClock
from apps.portfolios.domain.stops import change_from_cost, stop_price
from apps.portfolios.domain.valuation import PositionValue
from apps.portfolios.selectors.drift import TargetPosition, portfolio_drifts
from apps.portfolios.selectors.overviews import PortfolioOverview
from apps.portfolios.selectors.stops import stop_threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLine:
    """One position. Weights, drift and `stop_distance` are fractions; None is unknown, or there are no targets, or no stop.

    `steered` is the part of the position that targets steer, by which its weight counts in the drift: 1 where no strategy holds any of it.
    `stop_distance` is what is left until the stop, as a fraction of the cost; negative beyond it.
    """

    target_weight: Decimal | None = None
    drift: Decimal | None = None
    steered: Decimal = ZERO
    stopped: bool = False
    stop_price: Decimal | None = None
    stop_distance: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLines:
    """Lines by symbol, and the stop that they are measured against (None: there is none)."""

    by_symbol: dict[str, PositionLine]
    stop: Decimal | None

    @property
    def kept(self) -> Decimal | None:
        """The fraction of its cost at which a position has fallen to the stop."""
        return None if self.stop is None else 1 - self.stop


def position_lines(overview: PortfolioOverview, *, market: MarketClock) -> PositionLines:
    """The lines of a portfolio's positions. A fixed number of queries."""
    portfolio, positions = overview.portfolio, overview.valuation.positions
    stop = stop_threshold(market.market_time)
    drift = portfolio_drifts([portfolio], market=market).get(portfolio.pk)
    targeted = {one.symbol: one for one in drift.positions} if drift else {}
    lines = {one.symbol: _line(one, targeted.get(one.symbol), drift is not None, stop) for one in positions}
    return PositionLines(by_symbol=lines, stop=stop)


def _line(position: PositionValue, target: TargetPosition | None, targets: bool, stop: Decimal | None) -> PositionLine:
    change = change_from_cost(quantity=position.quantity, cost=position.cost, market_value=position.market_value)
    long = position.quantity > 0 and position.average_cost is not None and position.average_cost > 0
    return PositionLine(
        target_weight=target.target_weight if target else ZERO if targets else None,
        drift=target.drift if target else ZERO if targets else None,
        steered=target.quantity / position.quantity if target and position.quantity else ZERO,
        stopped=target is not None and target.stopped,
        stop_price=stop_price(position.average_cost, stop) if stop is not None and long and position.average_cost else None,
        stop_distance=None if stop is None or change is None else stop + change,
    )
