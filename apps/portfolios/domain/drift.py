"""Drift: how far the weights that a portfolio has are from those that it should have."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from apps.core.errors import InvalidInput
from apps.core.money import ZERO

ONE = Decimal(1)
WEIGHT_DIGITS, WEIGHT_PLACES = 7, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightDrift:
    """One instrument. `drift` = current - target: positive is too much of it."""

    symbol: str
    target_weight: Decimal
    current_weight: Decimal
    drift: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All fractions of the portfolio's equity. `max_drift` is the largest and `total_drift` the sum of |drift| over instruments, cash not counted.

    `turnover` is half of the sum of |drift| with cash counted: the part of the equity that must change hands to be on target, 0 to 1 for a
    portfolio without debts. `positions` are the largest drift first, then by symbol.
    """

    max_drift: Decimal
    total_drift: Decimal
    turnover: Decimal
    cash_weight: Decimal
    cash_target: Decimal
    positions: tuple[WeightDrift, ...]


def targets_check(targets: Mapping[str, Decimal]) -> None:
    """Pass for weights from 0 to 1 with at most six places, which together are at most 1: the rest is cash. Raises InvalidInput."""
    for symbol, weight in targets.items():
        if not weight.is_finite() or not ZERO <= weight <= ONE:
            raise InvalidInput(f"the target of {symbol} was {weight}, but a weight is from 0 to 1", field="weights")
        if weight != round(weight, WEIGHT_PLACES):
            raise InvalidInput(f"the target of {symbol} has more than {WEIGHT_PLACES} decimal places", field="weights")
    if (total := sum(targets.values(), ZERO)) > ONE:
        raise InvalidInput(f"the targets add up to {total.normalize():f}, but at most 1 can be invested", field="weights")


def drift(*, weights: Mapping[str, Decimal], targets: Mapping[str, Decimal]) -> Drift:
    """Drift of the current `weights` (signed, a short is negative) from the `targets`. A symbol that one side lacks has weight 0 there."""
    rows = [
        WeightDrift(symbol=symbol, target_weight=target, current_weight=current, drift=current - target)
        for symbol in {**targets, **weights}
        for target, current in [(targets.get(symbol, ZERO), weights.get(symbol, ZERO))]
    ]
    sizes = [abs(row.drift) for row in rows]
    cash, cash_target = ONE - sum(weights.values(), ZERO), ONE - sum(targets.values(), ZERO)
    total = sum(sizes, ZERO)
    return Drift(
        max_drift=max(sizes, default=ZERO),
        total_drift=total,
        turnover=(total + abs(cash - cash_target)) / 2,
        cash_weight=cash,
        cash_target=cash_target,
        positions=tuple(sorted(rows, key=lambda row: (-abs(row.drift), row.symbol))),
    )
