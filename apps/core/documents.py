"""Turns the desk's values into what JSON can carry. Decimals are strings, times UTC with a Z, NaN and infinities null."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np


def plain(value: Any) -> Any:
    """The value as nested dicts, lists, strings, numbers, booleans and None.

    Raises TypeError for what has no agreed form, a model instance for example: nobody should send one by accident.
    """
    if value is None or (isinstance(value, bool | str | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()] if value.dtype.kind != "M" else [plain(item) for item in value.astype(object)]
    if isinstance(value, Iterable) and not isinstance(value, bytes | Enum):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def document(value: Any, *, indent: int | None = None) -> str:
    """One JSON document, UTF-8 unescaped."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
