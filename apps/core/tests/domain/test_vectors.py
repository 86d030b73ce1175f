from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import numpy as np
import pytest

from apps.core.domain.vectors import answer, argument, equal


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (0.032, 0.032 + 9e-10),
        ("1.50", "1.5"),
        (1.5, "1.500"),
        ("nan", "nan"),
        ("-inf", "-inf"),
        (None, None),
        ("2026-01-02", "2026-01-02"),
        ([1, [2, "nan"]], [1.0, [2.0, "nan"]]),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
        ({"error": "INSUFFICIENT_DATA"}, {"error": "INSUFFICIENT_DATA", "detail": "none"}),
        ("INSUFFICIENT_DATA", {"error": "INSUFFICIENT_DATA", "detail": "none"}),
        ({"10.0": 1, "9.99": 2}, {"9.990": 2, "10.00": 1}),
        ([], []),
    ],
)
def test_equal(expected: object, got: object) -> None:
    assert equal(expected, got, 1e-9)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (0.032, 0.032 + 2e-9),
        (True, 1),
        (1, True),
        (None, 0),
        (0, None),
        ("nan", 0.0),
        ("UNMEASURABLE", {"error": "INSUFFICIENT_DATA"}),
        (1, {"error": 1}),
        (None, {"error": None}),
        ({"10.01": 1}, {"10.00": 1}),
        ({"a": None}, {}),
        ("inf", "-inf"),
        ("inf", 1e300),
        ([1, 2], [1]),
        ([1, 2], [2, 1]),
        ({"a": 1}, {}),
        ({"a": 1}, [1]),
        ("green", "red"),
        ("green", 1),
    ],
)
def test_not_equal(expected: object, got: object) -> None:
    assert not equal(expected, got, 1e-9)


def test_a_tolerance_of_zero_asks_for_the_same_value() -> None:
    assert equal(0.1, 0.1, 0)
    assert not equal(0.3, 0.1 + 0.2, 0)


def test_answers_are_written_as_vectors_write_them() -> None:
    given = {"a": np.array([1.0, np.nan, -np.inf]), "b": Decimal("1.50"), "c": (date(2026, 1, 2), np.int64(3)), "d": np.True_}
    assert answer(given) == {"a": [1.0, "nan", "-inf"], "b": "1.50", "c": ["2026-01-02", 3], "d": True}


def test_arguments_follow_the_annotation() -> None:
    values = argument([0.1, "0.2", "nan", 3], Sequence[float])
    assert values[:2] == [0.1, 0.2]
    assert np.isnan(values[2])
    assert argument(0.1, Decimal) == Decimal("0.1")
    assert argument("0.10", Decimal | None) == Decimal("0.10")
    assert argument("2026-01-02", date) == date(2026, 1, 2)
    assert argument("nan", Literal["nan", "linear"]) == "nan"
    assert argument({"method": "inf"}, dict[str, str]) == {"method": "inf"}
