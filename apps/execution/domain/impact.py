"""What trading does to the price: the square-root law, Almgren et al. (2005), and the schedule of Almgren and Chriss (2000).

Volatility is daily: a fraction for the first two, money per share and square root of a day for Almgren and Chriss, whose model is
in prices. They stand here because the implementation-shortfall algorithm trades by them; analytics measures with them.
"""

import math
from dataclasses import dataclass

import numpy as np

from apps.core.errors import InvalidInput
from apps.core.measures import measure

BPS = 1e4
#: Universal coefficients of Almgren, Thum, Hauptmann and Li (2005): permanent, temporary.
GAMMA = 0.314
ETA = 0.142


@measure(
    "analytics.impact.square_root",
    units="basis points of the price, positive is a cost",
    convention="coefficient x daily volatility x sqrt(quantity / daily volume)",
    source="Grinold and Kahn (1999); coefficient about 1",
)
def square_root(volatility: float, quantity: float, daily_volume: float, coefficient: float = 1.0) -> float:
    """Expected impact of trading `quantity` shares in a day of `daily_volume`. Raises InvalidInput for negative or zero inputs that make no sense."""
    _not_negative(volatility=volatility, quantity=quantity, coefficient=coefficient)
    _positive(daily_volume=daily_volume)
    return coefficient * volatility * math.sqrt(quantity / daily_volume) * BPS


@measure(
    "analytics.impact.almgren2005",
    units="basis points of the price, positive is a cost",
    convention="permanent = sigma gamma (X/V)(Theta/V)^(1/4), temporary = sigma eta |X/(V T)|^0.6; the realised cost is permanent / 2 + temporary",
    source="Almgren, Thum, Hauptmann and Li (2005), Direct estimation of equity market impact",
)
def almgren2005(quantity: float, daily_volume: float, shares_outstanding: float, volatility: float, horizon: float) -> dict[str, float]:
    """Permanent and temporary impact of `quantity` shares traded evenly over `horizon` days."""
    _not_negative(quantity=quantity, volatility=volatility)
    _positive(daily_volume=daily_volume, shares_outstanding=shares_outstanding, horizon=horizon)
    share = quantity / daily_volume
    permanent = volatility * GAMMA * share * (shares_outstanding / daily_volume) ** 0.25
    return {"permanent": permanent * BPS, "temporary": volatility * ETA * (share / horizon) ** 0.6 * BPS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """An optimal liquidation: urgency `kappa` [1/day], `holdings` [slices + 1] from the full quantity to 0, cost and variance in money."""

    kappa: float
    holdings: tuple[float, ...]
    expected_cost: float
    variance: float


def optimal_schedule(
    *, quantity: float, horizon: float, slices: int, volatility: float, gamma: float, eta: float, epsilon: float, risk_aversion: float
) -> Schedule:
    """The trajectory that minimises expected cost + risk_aversion x variance, for linear impact.

    `horizon` in days, `volatility` in money per share and square root of a day, `gamma` and `eta` permanent and temporary impact,
    `epsilon` half the spread. Without risk aversion it is the straight line. Raises InvalidInput for what is no number of slices,
    for amounts that are not positive, and when eta is too small for the step (eta <= gamma tau / 2).
    """
    _positive(quantity=quantity, horizon=horizon, eta=eta)
    _not_negative(volatility=volatility, gamma=gamma, epsilon=epsilon, risk_aversion=risk_aversion)
    if slices < 1 or int(slices) != slices:
        raise InvalidInput(f"{slices} is no number of slices", field="slices")
    step = horizon / slices
    adjusted = eta - gamma * step / 2
    if adjusted <= 0:
        raise InvalidInput("eta is too small for such long slices: eta must exceed gamma x slice / 2", field="eta")
    # cosh(kappa tau) - 1 = x / 2 by the half-angle is solved without the loss of digits that acosh(1 + x / 2) has near 1
    curvature = step**2 * risk_aversion * volatility**2 / adjusted
    kappa = 2 / step * math.asinh(math.sqrt(curvature) / 2)
    times = step * np.arange(slices + 1)
    holdings = quantity * (np.sinh(kappa * (horizon - times)) / math.sinh(kappa * horizon) if kappa * horizon > 1e-9 else 1 - times / horizon)
    trades = -np.diff(holdings)
    cost = gamma * quantity**2 / 2 + epsilon * np.abs(trades).sum() + adjusted / step * (trades**2).sum()
    variance = volatility**2 * step * (holdings[1:] ** 2).sum()
    return Schedule(kappa=kappa, holdings=tuple(float(held) for held in holdings), expected_cost=float(cost), variance=float(variance))


@measure(
    "analytics.impact.almgren_chriss",
    units="kappa per day, holdings in shares, expected cost in money, variance in money squared",
    convention="linear impact, eta~ = eta - gamma tau / 2, 2 (cosh(kappa tau) - 1) = tau^2 lambda sigma^2 / eta~",
    source="Almgren and Chriss (2000), Optimal execution of portfolio transactions",
)
def almgren_chriss(
    quantity: float, horizon: float, slices: int, volatility: float, gamma: float, eta: float, epsilon: float, risk_aversion: float
) -> dict[str, object]:
    """The optimal liquidation schedule: {kappa, holdings[slices + 1], expected_cost, variance}."""
    found = optimal_schedule(
        quantity=quantity,
        horizon=horizon,
        slices=slices,
        volatility=volatility,
        gamma=gamma,
        eta=eta,
        epsilon=epsilon,
        risk_aversion=risk_aversion,
    )
    return {"kappa": found.kappa, "holdings": list(found.holdings), "expected_cost": found.expected_cost, "variance": found.variance}


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InvalidInput(f"{name} is {value}, it must be above zero", field=name)


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise InvalidInput(f"{name} is {value}, it must not be negative", field=name)
