"""Returns of a pot of money that is paid into and out of: Modified Dietz, internal rate of return, time-weighted.

Values and flows in money, results as decimal fractions (0.01 = 1 %). Where a return is undefined the answer is None, never a number
that looks like one. Sources: CFA Institute, GIPS standards (2020); Bacon (2008).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from math import expm1
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure

DAYS_PER_YEAR = 365.0
GRID = 4_001  # odd, so that a rate of 0 is on it
LARGEST_EXPONENT = 700.0  # exp of it is still a float64


@measure(
    "analytics.returns.modified_dietz",
    units="fraction for the whole period",
    convention="(V1 - V0 - F) / (V0 + sum of w F), w = (days - day) / days for flows at the day's end; null for average capital <= 0",
    source="GIPS (2020); Dietz (1966)",
)
def modified_dietz(
    start_value: float, end_value: float, flows: Sequence[Mapping[str, Any]] = (), days: float = 1.0, timing: str = "end"
) -> float | None:
    """Return of a period with external flows [{day, amount}], `day` counted from 0 to `days`, paid in positive.

    `timing` "start" takes flows at the beginning of their day instead of its end. None when the average capital is not positive.
    Raises InvalidInput for a day outside the period.
    """
    if days <= 0:
        raise InvalidInput(f"the period had {days} days, but it must have some", field="days")
    if timing not in ("end", "start"):
        raise InvalidInput(f'{timing!r} is neither "end" nor "start"', field="timing")
    early = 1.0 if timing == "start" else 0.0
    capital, paid = float(start_value), 0.0
    for flow in flows:
        day, amount = float(flow["day"]), float(flow["amount"])
        if not 0 <= day <= days:
            raise InvalidInput(f"day {flow['day']} is outside the period of {days} days", field="flows")
        capital += min(days - day + early, days) / days * amount
        paid += amount
    return (float(end_value) - float(start_value) - paid) / capital if capital > 0 else None


@measure(
    "analytics.returns.time_weighted",
    units="fraction for the whole period",
    convention="product of end / start over sub-periods cut at each flow, - 1; null when a sub-period starts at 0 or less",
    source="GIPS (2020)",
)
def time_weighted(periods: Iterable[Mapping[str, Any]]) -> float | None:
    """Time-weighted return of sub-periods [{start_value, end_value}]: valued before each flow and after it."""
    growth = 1.0
    for period in periods:
        if float(period["start_value"]) <= 0:
            return None
        growth *= float(period["end_value"]) / float(period["start_value"])
    return growth - 1.0


@measure(
    "analytics.returns.irr",
    units="fraction per year",
    convention="rate at which the flows' present values add up to 0, act/365; null without a root or with several",
    source="GIPS (2020), money-weighted return",
)
def irr(flows: Sequence[Mapping[str, Any]]) -> float | None:
    """Annual money-weighted return of dated flows [{date, amount}]: paid in negative, the final value as last positive flow."""
    dated = sorted((_date(flow["date"]), float(flow["amount"])) for flow in flows)
    if not dated:
        return None
    years = np.array([(day - dated[0][0]).days / DAYS_PER_YEAR for day, _ in dated])
    amounts = np.array([amount for _, amount in dated])
    if years[-1] == 0 or not (amounts > 0).any() or not (amounts < 0).any():
        return None
    roots = _roots(years, amounts)
    return expm1(roots[0]) if len(roots) == 1 and roots[0] < LARGEST_EXPONENT else None


def _roots(years: NDArray[np.float64], amounts: NDArray[np.float64]) -> list[float]:
    """Continuous rates at which the present value is 0, found between the points of a grid that is dense around 0."""
    from scipy.optimize import brentq

    def present_value(rate: float) -> float:
        return float(amounts @ np.exp(-rate * years))

    reach = float(np.arcsinh(LARGEST_EXPONENT / max(1.0, years[-1])))
    grid = np.sinh(np.linspace(-reach, reach, GRID))
    grid[GRID // 2] = 0.0
    values = np.array([present_value(rate) for rate in grid])
    exact = [float(rate) for rate in grid[values == 0.0]]
    crossed = np.nonzero(values[:-1] * np.sign(values[1:]) < 0)[0]
    return exact + [float(brentq(present_value, grid[at], grid[at + 1], xtol=1e-14)) for at in crossed]


def _date(value: date | str) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{value!r} is no ISO date", field="flows") from error
