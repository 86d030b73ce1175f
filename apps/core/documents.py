"""Turns the desk's values into what JSON can carry. Decimals are strings, times UTC with a Z, NaN and infinities null."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, Final
from uuid import UUID

import numpy as np


def plain(value: Any) -> Any:
    """The value as nested dicts, lists, strings, numbers, booleans and None.

    Raises TypeError for what has no agreed form, a model instance for example: nobody should send one by accident.
    """
    return _known[type(value)](value)


class _Forms(dict[type, Callable[[Any], Any]]):
    """How values of a type become plain, found out once: a frame of a thousand positions has thirteen thousand values."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        self[kind] = _form(kind)
        return self[kind]


_known = _Forms()


def _form(kind: type) -> Callable[[Any], Any]:
    if issubclass(kind, bytes):
        raise TypeError(f"{kind.__name__} has no JSON form")
    if kind is NoneType or (issubclass(kind, bool | str | int) and not issubclass(kind, Enum)):
        return _itself
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        return lambda value: {name: _known[type(item := getattr(value, name))](item) for name in names}
    for kinds, form in _FORMS:
        if issubclass(kind, kinds):
            return form
    raise TypeError(f"{kind.__name__} has no JSON form")


def _itself(value: Any) -> Any:
    return value


def _array(value: "np.ndarray[Any, Any]") -> list[Any]:
    return [plain(item) for item in (value.tolist() if value.dtype.kind != "M" else value.astype(object))]


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {key if type(key) is str else str(plain(key)): _known[type(item)](item) for key, item in value.items()}


def _decimal(value: Decimal) -> str | None:
    if not value.is_finite():
        return None
    text = str(value)  # four times as fast as a format, which only very small and very large numbers need
    return format(value, "f") if "E" in text else text


@lru_cache(4096)  # the positions of a portfolio share a few times
def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()


#: The first that fits. An enumeration may be a text too, a text is iterable, and a datetime is a date.
_FORMS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (float | np.floating, lambda value: float(value) if math.isfinite(value) else None),
    (Mapping, _mapping),
    (np.ndarray, _array),
    (Enum, lambda value: plain(value.value)),
    (Decimal, _decimal),
    (datetime, _time),
    (date, lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (UUID | Path, str),
    (np.generic, lambda value: plain(value.item())),
    (Iterable, lambda value: [plain(item) for item in value]),
)


def document(value: Any, *, indent: int | None = None) -> str:
    """One JSON document, UTF-8 unescaped."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
