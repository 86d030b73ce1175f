"""Stop-loss status by the regime of the volatility index, as far as the desk has a VIX."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from apps.marketdata.domain import calendars
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import reference_prices
from apps.marketdata.selectors.vix import VIX, vix_closes
from apps.portfolios.domain.stops import change_from_cost, stop_price
from apps.portfolios.domain.valuation import Valuation
from apps.risk.domain.stops import vix_stop
from apps.risk.domain.summary import RiskView

#: An older level counts as missing: no stop is loosened on a market that has moved on.
OLDEST = timedelta(days=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentStop:
    """The stop that the last VIX sets: the fraction from its average cost by which a position may fall."""

    vix: float
    regime: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDistance:
    """A long position's fall from its average cost (fraction, <= 0 is a loss), what is left until the stop, and the price of the stop."""

    symbol: str
    drawdown: float
    distance: float
    breached: bool
    stop_price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStatus:
    """`vix`, `regime` and `threshold` are None while the desk has no recent VIX; positions are the nearest to their stop first."""

    vix: float | None
    regime: str | None
    threshold: float | None
    positions: tuple[StopDistance, ...]


def current_stop(market_time: datetime) -> CurrentStop | None:
    """The stop by the VIX as of a market time; None while the desk has none that is recent: nobody is stopped out on a guess."""
    vix = _vix(market_time)
    if vix is None:
        return None
    stop = vix_stop(vix, 0.0)
    return CurrentStop(vix=vix, regime=str(stop["regime"]), threshold=float(str(stop["threshold"])))


def stop_fraction(market_time: datetime) -> Decimal | None:
    """Its threshold, as the apps below read it."""
    stop = current_stop(market_time)
    return None if stop is None else Decimal(str(stop.threshold))


def _vix(market_time: datetime) -> float | None:
    """The index's quote or last bar, else the last close of its history that the market has seen; None when it is too old."""
    if VIX not in instruments_known([VIX]):
        return None
    reference = reference_prices([VIX], market_time=market_time).get(VIX)
    if reference is not None and market_time - reference.market_time <= OLDEST:
        return float(reference.price)
    closes = vix_closes(calendars.last_completed_session(HOME_CALENDAR, market_time), last=1)
    if closes is None or not len(closes) or np.datetime64(market_time.replace(tzinfo=None)) - closes.ts[-1] > OLDEST:
        return None
    return float(closes.close[-1])


def stop_status(view: RiskView) -> StopStatus:
    """Where each position that has fallen stands to the stop of the VIX's regime."""
    stop = current_stop(view.summary.market_time)
    if stop is None:
        return StopStatus(vix=None, regime=None, threshold=None, positions=())
    positions = sorted(_distances(view.valuation, stop), key=lambda position: position.distance)
    return StopStatus(vix=stop.vix, regime=stop.regime, threshold=stop.threshold, positions=tuple(positions))


def _distances(valuation: Valuation, stop: CurrentStop) -> list[StopDistance]:
    found = []
    for position in valuation.positions:
        change = change_from_cost(quantity=position.quantity, cost=position.cost, market_value=position.market_value)
        if change is not None and change < 0:
            fall = float(change)
            at = vix_stop(stop.vix, fall)
            found.append(
                StopDistance(
                    symbol=position.symbol,
                    drawdown=fall,
                    distance=float(str(at["distance"])),
                    breached=bool(at["breached"]),
                    stop_price=float(stop_price(position.cost / position.quantity, Decimal(str(stop.threshold)))),
                )
            )
    return found
