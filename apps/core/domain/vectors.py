"""Test vectors: how their inputs are read, and when an answer equals what a vector expects.

Pure. NaN is written "nan", infinities "inf" and "-inf"; numbers and Decimal strings are interchangeable; a refusal is {"error": CODE}.
"""

import math
import re
import typing
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any

import numpy as np

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
DEFAULT_TOLERANCE = 1e-9
#: Equals nothing that a vector can expect.
ABSENT = object()


def number(value: Any) -> float | Decimal | None:
    """The value as a number: JSON numbers, Decimal strings and "nan", "inf", "-inf". None for everything else, booleans among it."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return value if not math.isfinite(value) else Decimal(repr(value))
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, str):
        return SPECIAL.get(value) if value in SPECIAL else Decimal(value) if NUMBER.fullmatch(value) else None
    return None


def equal(expected: Any, got: Any, tolerance: float) -> bool:
    """True when |got - expected| <= tolerance for each number at any depth; objects on the keys of `expected`, lists in order and length.

    Keys that are numbers (prices of a book) are compared by value: "10.0" finds "10.00". A refusal may be expected by its code alone.
    """
    if isinstance(expected, Mapping):
        return isinstance(got, Mapping) and all(equal(value, _at(got, key), tolerance) for key, value in expected.items())
    if isinstance(got, Mapping):
        return isinstance(expected, str) and got.get("error") == expected
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(equal, expected, got, [tolerance] * len(expected)))
    if expected is None or isinstance(expected, bool):
        return got is expected
    if isinstance(expected, str) and expected == got:
        return True
    wanted, found = number(expected), number(got)
    if wanted is None or found is None:
        return False
    return _close(wanted, found, tolerance)


def _at(got: Mapping[str, Any], key: str) -> Any:
    """What stands under a key, ABSENT when nothing does."""
    if key in got:
        return got[key]
    wanted = number(key)
    if not isinstance(wanted, Decimal):
        return ABSENT
    return next((value for name, value in got.items() if number(name) == wanted), ABSENT)


def _close(wanted: float | Decimal, found: float | Decimal, tolerance: float) -> bool:
    if not (math.isfinite(wanted) and math.isfinite(found)):
        return (math.isnan(wanted) and math.isnan(found)) or wanted == found
    return abs(Decimal(found) - Decimal(wanted)) <= Decimal(repr(float(tolerance)))


def answer(value: Any) -> Any:
    """What a measure returned, in the words of a vector."""
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, np.ndarray | np.generic):
        return answer(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): answer(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [answer(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "__dataclass_fields__"):
        return {name: answer(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Enum):
        return answer(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"a measure answered with a {type(value).__name__}, which no vector can express")


def argument(value: Any, hint: Any) -> Any:
    """An input as the parameter's annotation wants it: float, Decimal and date from the numbers and texts of JSON, at any depth."""
    leaves = _leaves(hint)
    if str in leaves or leaves <= {NoneType}:
        return _special(value, inside=False)
    if Decimal in leaves:
        return value if float in leaves else _each(value, _decimal)
    if leaves & {datetime, date}:
        return _each(value, datetime.fromisoformat if datetime in leaves else date.fromisoformat)
    if float in leaves or np.float64 in leaves:
        return _each(value, _float)
    return _special(value, inside=False)


def _leaves(hint: Any) -> set[Any]:
    arguments = [part for part in typing.get_args(hint) if part is not Ellipsis]
    if not arguments:
        return {hint}
    if typing.get_origin(hint) is typing.Literal:
        return {type(part) for part in arguments}
    return set().union(*(_leaves(part) for part in arguments))


def _each(value: Any, convert: Any) -> Any:
    if isinstance(value, list):
        return [_each(item, convert) for item in value]
    if isinstance(value, Mapping):
        return {key: _each(item, convert) for key, item in value.items()}
    return convert(value) if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool) else value


def _float(value: Any) -> Any:
    found = number(value)
    return value if found is None or isinstance(value, int) else float(found)


def _decimal(value: Any) -> Any:
    found = number(value)
    return value if found is None else Decimal(str(found))


def _special(value: Any, *, inside: bool) -> Any:
    """Only "nan" and its like, and only inside a list: elsewhere such a text is a text."""
    if isinstance(value, list):
        return [_special(item, inside=True) for item in value]
    if isinstance(value, Mapping):
        return {key: _special(item, inside=False) for key, item in value.items()}
    return SPECIAL[value] if inside and isinstance(value, str) and value in SPECIAL else value
