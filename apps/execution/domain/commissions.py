"""What an order's commission is expected to be. What a broker really takes comes with its fills."""

from dataclasses import dataclass
from decimal import Decimal

from apps.core.money import ZERO, money


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionTerms:
    """Money `per_share`, at least `minimum` per order, at most the fraction `cap` of the order's value (None: no bound). The most goes before the
    least."""

    minimum: Decimal
    per_share: Decimal = ZERO
    cap: Decimal | None = None


def commission_estimate(terms: CommissionTerms, *, quantity: Decimal, value: Decimal | None) -> Decimal:
    """Commission [money, >= 0] of an order of so many shares worth `value`; an unknown value (None) bounds nothing."""
    commission = max(terms.minimum, terms.per_share * quantity)
    return money(commission if terms.cap is None or value is None else min(commission, terms.cap * value))
