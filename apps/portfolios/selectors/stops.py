"""The stop that holds now. Portfolios know no regimes of volatility: the app above that has them says what they set."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

#: The fraction of its average cost by which a long position may fall at a market time; None: nobody is stopped out.
Threshold = Callable[[datetime], Decimal | None]

_thresholds: dict[str, Threshold] = {}


def register_stop_threshold(find: Threshold) -> None:
    """Say how the stop is found, from AppConfig.ready()."""
    _thresholds["stop"] = find


def stop_threshold(market_time: datetime) -> Decimal | None:
    """The stop at a market time; None while there is none."""
    find = _thresholds.get("stop")
    return None if find is None else find(market_time)
