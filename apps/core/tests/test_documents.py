"""What JSON carries of the desk's values."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pytest

from apps.core.documents import document, plain


class Word(StrEnum):
    BUY = "buy"


class Number(IntEnum):
    DAY = 1440


class Pair(Enum):
    BOTH = (Decimal("1.50"), None)


@dataclass(frozen=True, slots=True)
class Inner:
    at: datetime


@dataclass(frozen=True)
class Outer:
    name: str
    parts: tuple[Inner, ...]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        (7, 7),
        (0.1, 0.1),
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (Decimal("NaN"), None),
        (datetime(2024, 1, 2, 9, 30, tzinfo=timezone(timedelta(hours=-5))), "2024-01-02T14:30:00Z"),
        (datetime(2024, 1, 2, 9, 30, tzinfo=UTC).replace(tzinfo=None), "2024-01-02T09:30:00"),
        (date(2024, 1, 2), "2024-01-02"),
        (timedelta(minutes=1), 60.0),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (Word.BUY, "buy"),
        (Number.DAY, 1440),
        (Pair.BOTH, ["1.50", None]),
        ({Word.BUY: Decimal(1), 2: ()}, {"buy": "1", "2": []}),
        (MappingProxyType({"a": {3}}), {"a": [3]}),
        (deque([1, "x"]), [1, "x"]),
        ((item for item in "ab"), ["a", "b"]),
        (np.float64("nan"), None),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["2024-01-02T00:00"], "datetime64[s]"), ["2024-01-02T00:00:00"]),
        (Outer(name="o", parts=(Inner(datetime(2024, 1, 2, tzinfo=UTC)),)), {"name": "o", "parts": [{"at": "2024-01-02T00:00:00Z"}]}),
    ],
)
def test_plain(value: object, expected: object) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize("value", [object(), b"bytes", Outer, [object()], {"a": b""}])
def test_what_has_no_agreed_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        plain(value)


def test_a_document_is_one_line_of_utf_8() -> None:
    assert document({"name": "Zoë", "n": Decimal("1.0")}) == '{"name": "Zoë", "n": "1.0"}'
