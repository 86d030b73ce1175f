"""What trading costs when only prices and volumes are known: Kyle's lambda, Amihud's illiquidity, Roll's spread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

#: Fewer observations than this are flagged, not refused.
SMALL_SAMPLE: Final = 30


@measure(
    "marketdata.microstructure.kyle_lambda",
    units="price per share",
    convention="OLS of price changes on signed volume, with an intercept unless asked; t of lambda with n - 2 degrees of freedom; n < 30 is flagged",
    source="Kyle (1985), Continuous auctions and insider trading; Hasbrouck (2007), ch. 7",
)
def kyle_lambda(price_changes: Sequence[float], signed_volumes: Sequence[float], with_intercept: bool = True) -> dict[str, float | int | bool]:
    """How far a share bought moves the price: {lambda, t, intercept, observations, small_sample}. Pairs with NaN are dropped.

    t is infinite when the line fits exactly, and NaN when there are no degrees of freedom. Raises InsufficientData for fewer than two pairs
    or volumes that do not vary.
    """
    y, x = _pairs(price_changes, signed_volumes, "signed_volumes")
    parameters = 2 if with_intercept else 1
    centre_x, centre_y = (float(x.mean()), float(y.mean())) if with_intercept and len(x) else (0.0, 0.0)
    around, variation = x - centre_x, float(((x - centre_x) ** 2).sum())
    if len(x) < parameters or variation <= 1e-24 * float((x**2).sum()):
        raise InsufficientData("a slope needs volumes that vary", field="signed_volumes")
    slope = float((around * (y - centre_y)).sum()) / variation
    intercept = centre_y - slope * centre_x
    return {
        "lambda": slope,
        "t": _t(slope, y - intercept - slope * x, float((y**2).sum()), variation, len(x) - parameters),
        "intercept": intercept,
        "observations": len(x),
        "small_sample": len(x) < SMALL_SAMPLE,
    }


def _t(slope: float, residual: NDArray[np.float64], scale: float, variation: float, freedom: int) -> float:
    if freedom <= 0:
        return math.nan
    squares = float((residual**2).sum())
    if squares <= 1e-28 * scale:  # nothing but rounding
        return math.copysign(math.inf, slope) if slope else math.nan
    return slope / math.sqrt(squares / freedom / variation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Illiquidity:
    """Amihud's measure, the days that it stands on, and the days without volume that were dropped."""

    value: float
    days: int
    dropped: int


@measure(
    "marketdata.microstructure.amihud",
    units="return per million of traded money",
    convention="mean(|r| / money traded) x 1e6; days without volume are dropped (and counted: `illiquidity`)",
    source="Amihud (2002), Illiquidity and stock returns",
)
def amihud(returns: Sequence[float], dollar_volumes: Sequence[float]) -> float:
    """Mean price move per million of traded money. Raises InsufficientData when no day has volume."""
    return illiquidity(returns, dollar_volumes).value


def illiquidity(returns: Sequence[float] | NDArray[np.float64], dollar_volumes: Sequence[float] | NDArray[np.float64]) -> Illiquidity:
    """Amihud's measure with the number of days kept and dropped. Days with NaN are dropped too."""
    r, traded = np.asarray(returns, np.float64), np.asarray(dollar_volumes, np.float64)
    if r.shape != traded.shape or r.ndim != 1:
        raise InvalidInput("there is one volume for each return", field="dollar_volumes")
    if (traded < 0).any():
        raise InvalidInput("a traded volume is negative", field="dollar_volumes")
    good = np.isfinite(r) & np.isfinite(traded) & (traded > 0)
    if not good.any():
        raise InsufficientData("no day has a return and volume", field="dollar_volumes")
    value = float((np.abs(r[good]) / traded[good]).mean()) * 1e6
    return Illiquidity(value=value, days=int(good.sum()), dropped=int((~good).sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RollSpread:
    """Roll's spread in price units; `estimable` is false, and the spread 0, when the covariance is not negative."""

    spread: float
    covariance: float
    estimable: bool


@measure(
    "marketdata.microstructure.roll",
    units="price",
    convention="2 sqrt(-cov(dP_t, dP_t-1)), sample covariance (ddof 1); 0 when it is not negative (flagged: `roll_spread`)",
    source="Roll (1984); the 0 as in Goyenko, Holden and Trzcinka (2009)",
)
def roll(prices: Sequence[float]) -> float:
    """The spread that bid-ask bounce implies. Raises InsufficientData for fewer than four prices."""
    return roll_spread(prices).spread


def roll_spread(prices: Sequence[float] | NDArray[np.float64]) -> RollSpread:
    """Roll's spread with its covariance, and whether there is one."""
    price = np.asarray(prices, np.float64)
    if not np.isfinite(price).all():
        raise InvalidInput("a price is not a number", field="prices")
    if len(price) < 4:
        raise InsufficientData("a covariance of changes needs four prices", field="prices")
    change = np.diff(price)
    now, before = change[1:] - change[1:].mean(), change[:-1] - change[:-1].mean()
    covariance = float((now * before).sum() / (len(now) - 1))
    if covariance >= 0:
        return RollSpread(spread=0.0, covariance=covariance, estimable=False)
    return RollSpread(spread=2 * math.sqrt(-covariance), covariance=covariance, estimable=True)


def _pairs(first: Sequence[float], second: Sequence[float], field: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise InvalidInput("both series must be of one length", field=field)
    good = np.isfinite(one) & np.isfinite(other)
    return one[good], other[good]
