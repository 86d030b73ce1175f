"""Stop-loss status by the regime of the volatility index, as far as the desk has a VIX."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from apps.core.errors import InsufficientData
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.valuation import Valuation
from apps.risk.domain.stops import vix_stop
from apps.risk.domain.summary import RiskView

VIX = "VIX"
#: An older level counts as missing: no stop is loosened on a market that has moved on.
OLDEST = timedelta(days=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDistance:
    """A long position's fall from its average cost (fraction, <= 0 is a loss) and what is left until the stop."""

    symbol: str
    drawdown: float
    distance: float
    breached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStatus:
    """`vix`, `regime` and `threshold` are None while the desk has no recent VIX; positions are the nearest to their stop first."""

    vix: float | None
    regime: str | None
    threshold: float | None
    positions: tuple[StopDistance, ...]


def stop_status(view: RiskView) -> StopStatus:
    """Where each position that has fallen stands to the stop of the VIX's regime."""
    market_time = view.summary.market_time
    reference = reference_prices([VIX], market_time=market_time).get(VIX)
    fresh = reference is not None and market_time - reference.market_time <= OLDEST
    vix = float(reference.price) if reference is not None and fresh else None
    try:
        stop = vix_stop(vix, 0.0)
    except InsufficientData:
        return StopStatus(vix=None, regime=None, threshold=None, positions=())
    positions = sorted(_distances(view.valuation, vix), key=lambda position: position.distance)
    return StopStatus(vix=vix, regime=str(stop["regime"]), threshold=float(str(stop["threshold"])), positions=tuple(positions))


def _distances(valuation: Valuation, vix: float | None) -> list[StopDistance]:
    found = []
    for position in valuation.positions:
        if position.quantity > 0 and position.cost > 0 and position.market_value is not None and position.market_value < position.cost:
            fall = float(position.market_value / position.cost - Decimal(1))
            stop = vix_stop(vix, fall)
            found.append(StopDistance(symbol=position.symbol, drawdown=fall, distance=float(str(stop["distance"])), breached=bool(stop["breached"])))
    return found
