"""Decimal rules: how many places a price, a quantity and an amount of money have, and the one border to float64."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from apps.core.errors import InvalidInput

PRICE_PLACES = 6
QUANTITY_PLACES = 6
MONEY_PLACES = 4

PRICE_DIGITS = 18
QUANTITY_DIGITS = 18
MONEY_DIGITS = 20

ZERO = Decimal(0)

_PRICE_UNIT, _MONEY_UNIT = Decimal(1).scaleb(-PRICE_PLACES), Decimal(1).scaleb(-MONEY_PLACES)


def price_from_float(value: float) -> Decimal:
    """Price of a bar or a tick (float64) as a Decimal with six places, half to even."""
    return Decimal(repr(value)).quantize(_PRICE_UNIT, ROUND_HALF_EVEN)


def money(value: Decimal) -> Decimal:
    """Amount with four places, half up. Only for amounts that the desk itself computes: input is never rounded."""
    return value.quantize(_MONEY_UNIT, ROUND_HALF_UP)


def exact(value: Decimal | str | int, *, places: int, field: str) -> Decimal:
    """The value with at most `places` decimal places.

    Raises InvalidInput (naming `field`) for NaN, infinities, text that is no number, and for more places: nothing is rounded.
    """
    try:
        number = Decimal(value)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise InvalidInput(f"{value!r} is not a decimal number", field=field) from error
    if not number.is_finite():
        raise InvalidInput(f"{value!r} is not a finite number", field=field)
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        raise InvalidInput(f"{value} has more than {places} decimal places", field=field)
    return number


def finite(value: Any, *, field: str) -> Decimal:
    """The number by its shortest text, so that 0.01 is a hundredth and nothing is lost to binary rounding.

    For measures, which take numbers and texts alike. Raises InvalidInput (naming `field`) for what is no number, NaN and infinities.
    """
    try:
        number = Decimal(str(value))
    except ArithmeticError as error:
        raise InvalidInput(f"{value!r} is not a number", field=field) from error
    if not number.is_finite():
        raise InvalidInput(f"{value!r} is not finite", field=field)
    return number
