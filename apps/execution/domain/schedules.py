"""How an algorithm divides a parent order over time: whole quantities that always sum to the parent (domain.md D3).

Quantities are whole multiples of a lot. Rounding is by largest remainder, the earlier slice first when remainders are equal, so
that the same parent always gives the same children.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from apps.core.errors import InvalidInput
from apps.core.measures import measure

Number = int | float | Decimal | str


@measure(
    "execution.schedule.twap",
    units="shares per slice",
    convention="equal slices by largest remainder, the earlier slice first",
    source="domain.md D3",
)
def twap(quantity: int, slices: int) -> list[int]:
    """Equal slices over time: as many whole quantities as `slices`, in order, which sum to `quantity`.

    Raises InvalidInput for a negative quantity or less than one slice.
    """
    if slices < 1:
        raise InvalidInput(f"{slices} is no number of slices", field="slices")
    return apportion(quantity, [Fraction(1)] * slices)


@measure(
    "execution.schedule.vwap",
    units="shares per bucket",
    convention="in proportion to the volume curve, normalised, by largest remainder, the earlier bucket first",
    source="domain.md D3",
)
def vwap(quantity: int, curve: Sequence[Decimal]) -> list[int]:
    """Slices in proportion to a volume curve (shares or volumes of the buckets, in order), which sum to `quantity`.

    Raises InvalidInput for a negative quantity, an empty curve, a negative share, and a curve without volume.
    """
    shares = [_fraction(share, "curve") for share in curve]
    if not shares or min(shares) < 0 or not sum(shares):
        raise InvalidInput("a volume curve has shares of at least 0, and not all of them 0", field="curve")
    return apportion(quantity, shares)


@measure(
    "execution.schedule.pov",
    units="shares",
    convention="the rate is the share of total volume, own included: own = rate / (1 - rate) x others; not rounded",
    source="domain.md D3",
)
def pov(rate: Decimal, others_volume: Decimal) -> float:
    """What to have traded after others traded `others_volume`, so that own volume is `rate` of the total.

    Raises InvalidInput unless 0 <= rate < 1 and the volume is not negative.
    """
    share, others = _fraction(rate, "rate"), _fraction(others_volume, "others_volume")
    if not 0 <= share < 1:
        raise InvalidInput(f"{rate} is no participation rate: at least 0 and below 1", field="rate")
    if others < 0:
        raise InvalidInput(f"{others_volume} is no volume", field="others_volume")
    return float(share / (1 - share) * others)


def apportion(quantity: int, weights: Sequence[Fraction]) -> list[int]:
    """Whole parts of `quantity` in proportion to the weights (>= 0, not all 0), by largest remainder, the earlier part first."""
    if quantity < 0 or quantity != int(quantity):
        raise InvalidInput(f"{quantity} is no whole quantity", field="quantity")
    total = sum(weights, Fraction(0))
    exact = [int(quantity) * weight / total for weight in weights]
    parts = [int(share) for share in exact]
    left = int(quantity) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_remainder[:left]:
        parts[at] += 1
    return parts


def _fraction(value: Number, field: str) -> Fraction:
    """By its shortest text, so that 0.1 is a tenth."""
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise InvalidInput(f"{value!r} is not a number", field=field) from error
