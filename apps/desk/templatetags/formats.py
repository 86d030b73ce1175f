"""How numbers are written on every page. `static/js/format.js` writes live ones the same way.

The minus sign is U+2212. A value that is not known is "—" with the reason (the second argument) in its title, never 0, NaN or inf.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

MINUS = "\N{MINUS SIGN}"
NOT_KNOWN = "Not known"
COMPACT = ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"))


def decimal_or_none(value: Any) -> Decimal | None:
    """The finite number behind a Decimal, float, int or numeric text; None for anything else."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        number = Decimal(repr(float(value))) if hasattr(value, "dtype") else Decimal(str(value))
    except (InvalidOperation, TypeError, ValueError):
        return None
    return number if number.is_finite() else None


def unknown(reason: str) -> SafeString:
    """A dash that says why there is no number."""
    return format_html('<span class="unknown" title="{}">—</span>', reason or NOT_KNOWN)


def _written(number: Decimal, places: int, *, always: bool = False, prefix: str = "", suffix: str = "") -> str:
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    sign = MINUS if rounded < 0 else "+" if always and rounded > 0 else ""
    return f"{sign}{prefix}{abs(rounded):,.{places}f}{suffix}"


def money(value: Any, reason: str = "") -> str:
    """$18,950.00"""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 2, prefix="$")


def money_signed(value: Any, reason: str = "") -> str:
    """+$1,204.50"""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 2, always=True, prefix="$")


def amount(value: Any, reason: str = "") -> str:
    """18,950.00: money whose currency is written beside it."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 2)


def amount_signed(value: Any, reason: str = "") -> str:
    """+1,204.50"""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 2, always=True)


def money_compact(value: Any, reason: str = "") -> str:
    """$1.25M or $853,742 for a card; put the exact amount into its title with `money`."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _compact(number, always=False)


def money_compact_signed(value: Any, reason: str = "") -> str:
    """The same with its sign: +$1.25M."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _compact(number, always=True)


def _compact(number: Decimal, *, always: bool) -> str:
    for size, letter in COMPACT:
        if abs(number) >= size:
            return _written(number / size, 2, always=always, prefix="$", suffix=letter)
    return _written(number, 0, always=always, prefix="$")


def _trimmed(number: Decimal, fewest: int, most: int) -> str:
    text = _written(number, most)
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(fewest, "0")
    return f"{whole}.{fraction}" if fraction else whole


def price(value: Any, reason: str = "") -> str:
    """189.50, with up to four places where they say something."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _trimmed(number, 2, 4)


def exact_price(value: Any, reason: str = "") -> str:
    """189.594275: with all six places, where somebody looks at one order."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _trimmed(number, 2, 6)


def quantity(value: Any, reason: str = "") -> str:
    """1,250 or 0.125: up to six places, zeros trimmed."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _trimmed(number, 0, 6)


def percent(value: Any, reason: str = "") -> str:
    """A fraction as a change: 0.0124 gives "+1.24 %"."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number * 100, 2, always=True, suffix=" %")


def points(value: Any, reason: str = "") -> str:
    """A change that is already in percent: 12.4 gives "+12.40 %"."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 2, always=True, suffix=" %")


def share(value: Any, reason: str = "") -> str:
    """A fraction as a part: 0.082 gives "8.2 %"."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number * 100, 1, suffix=" %")


def ratio(value: Any, reason: str = "") -> str:
    """Two places: a Sharpe ratio."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 2)


def bps(value: Any, reason: str = "") -> str:
    """Basis points, one place: "3.2"."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 1)


def p_value(value: Any, reason: str = "") -> str:
    """Three places: a probability under a hypothesis."""
    number = decimal_or_none(value)
    return unknown(reason) if number is None else _written(number, 3)


def in_unit(value: Any, unit: str = "") -> str:
    """A number of a check or a limit, written as its unit asks: USD, shares, fraction, orders/min."""
    writers = {"USD": money, "money": money, "fraction": share, "shares": quantity, "days": ratio, "times": ratio}
    if unit in writers:
        return writers[unit](value)
    text = quantity(value)
    return text if not unit or decimal_or_none(value) is None else f"{text} {unit}"


#: What templates use as filters.
NUMBER_FORMATS = (
    money,
    money_signed,
    amount,
    amount_signed,
    money_compact,
    money_compact_signed,
    price,
    exact_price,
    quantity,
    percent,
    points,
    share,
    ratio,
    bps,
    p_value,
    in_unit,
)
