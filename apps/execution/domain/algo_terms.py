"""What may be asked of each algorithm: its parameters, checked and with their defaults."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from apps.core.errors import InvalidInput
from apps.execution.domain.algos import Algo

MOST_SLICES = 500
LARGEST_RATE = Decimal("0.5")
LARGEST_JITTER = Decimal("0.5")


def parameters_check(algo: Algo, given: Mapping[str, Any], *, quantity: Decimal, lot: Decimal, limit_price: Decimal | None) -> dict[str, Any]:
    """All parameters of the algorithm, those not given with their defaults. Raises InvalidInput naming the parameter.

    TWAP: `slices`, `jitter` (0 to 0.5). VWAP: `slices`, `curve` (shares of the volume, in place of the stored one). POV: `rate`.
    Iceberg: `display` (shares, at least a lot), and it needs a limit price. Implementation shortfall: `slices`, `risk_aversion` (1 / money).
    Smart: `remainder` ("return" or "post", which needs a limit price).
    """
    known = _KNOWN[algo]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InvalidInput(f"{algo} has no parameter {unknown[0]}: {', '.join(known) or 'none'}", field=f"parameters/{unknown[0]}")
    values: dict[str, Any] = {}
    for name, (default, check) in known.items():
        value = given.get(name, default)
        if value is None and name in _NEEDED:
            raise InvalidInput(f"{algo} needs {name}", field=f"parameters/{name}")
        values[name] = None if value is None else check(value, f"parameters/{name}")
    if limit_price is None and (algo is Algo.ICEBERG or values.get("remainder") == "post"):
        raise InvalidInput(f"{algo} needs a limit price: what is shown rests at it", field="limit_price")
    if algo is Algo.ICEBERG and Decimal(values["display"]) > quantity:
        raise InvalidInput("an iceberg shows no more than it has", field="parameters/display")
    if algo is Algo.ICEBERG and Decimal(values["display"]) < lot:
        raise InvalidInput(f"an iceberg shows at least one lot of {lot.normalize():f}", field="parameters/display")
    return values


def share_check(value: Any, field: str, *, most: Decimal = LARGEST_RATE) -> str:
    """A share of the volume above zero and at most `most`, as its text."""
    return _between(value, field, most=most, zero=False)


def _count(value: Any, field: str) -> int:
    number = _number(value, field)
    if number != int(number) or not 1 <= number <= MOST_SLICES:
        raise InvalidInput(f"{value} is no number of slices: 1 to {MOST_SLICES}", field=field)
    return int(number)


def _jitter(value: Any, field: str) -> str:
    return _between(value, field, most=LARGEST_JITTER, zero=True)


def _risk_aversion(value: Any, field: str) -> str:
    return _between(value, field, most=Decimal(1), zero=True)


def _shares(value: Any, field: str) -> str:
    number = _number(value, field)
    if number <= 0:
        raise InvalidInput("the displayed size must be above zero", field=field)
    return format(number, "f")


def _curve(value: Any, field: str) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= MOST_SLICES:
        raise InvalidInput(f"a curve is a list of 1 to {MOST_SLICES} shares", field=field)
    shares = [_number(item, field) for item in value]
    if min(shares) < 0 or not sum(shares):
        raise InvalidInput("a volume curve has shares of at least 0, and not all of them 0", field=field)
    return [format(share, "f") for share in shares]


def _remainder(value: Any, field: str) -> str:
    if value not in ("return", "post"):
        raise InvalidInput(f"{value!r} is neither return nor post", field=field)
    return str(value)


def _between(value: Any, field: str, *, most: Decimal, zero: bool) -> str:
    number = _number(value, field)
    if number > most or number < 0 or (number == 0 and not zero):
        raise InvalidInput(f"{value} is not {'from' if zero else 'above'} 0 to {most}", field=field)
    return format(number, "f")


def _number(value: Any, field: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except ArithmeticError as error:
        raise InvalidInput(f"{value!r} is not a number", field=field) from error
    if isinstance(value, bool) or not number.is_finite():
        raise InvalidInput(f"{value!r} is not a number", field=field)
    return number


_Check = Callable[[Any, str], Any]
_NEEDED = frozenset({"rate", "display"})
_KNOWN: Mapping[Algo, Mapping[str, tuple[Any, _Check]]] = {
    Algo.TWAP: {"slices": (10, _count), "jitter": ("0", _jitter)},
    Algo.VWAP: {"slices": (13, _count), "curve": (None, _curve)},
    Algo.POV: {"rate": (None, share_check)},
    Algo.ICEBERG: {"display": (None, _shares)},
    Algo.SHORTFALL: {"slices": (10, _count), "risk_aversion": ("0.000001", _risk_aversion)},
    Algo.SMART: {"remainder": ("return", _remainder)},
}
