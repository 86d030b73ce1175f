"""How numbers and times are written."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from apps.desk.templatetags import desk


@pytest.mark.parametrize(
    ("writer", "value", "text"),
    [
        ("money", Decimal("18950"), "$18,950.00"),
        ("money", Decimal("-1204.5"), "−$1,204.50"),
        ("money", Decimal("-0.001"), "$0.00"),
        ("money", "0.005", "$0.01"),
        ("money_signed", Decimal("3"), "+$3.00"),
        ("money_signed", 0, "$0.00"),
        ("money_compact", Decimal("1250000"), "$1.25M"),
        ("money_compact", Decimal("853741.6"), "$853,742"),
        ("money_compact", Decimal("-2500000000"), "−$2.50B"),
        ("money_compact_signed", Decimal("12"), "+$12"),
        ("price", Decimal("189.5"), "189.50"),
        ("price", Decimal("28.254125"), "28.2541"),
        ("exact_price", Decimal("28.254125"), "28.254125"),
        ("quantity", Decimal("1250.000000"), "1,250"),
        ("quantity", Decimal("0.125000"), "0.125"),
        ("quantity", Decimal("-3"), "−3"),
        ("percent", 0.0124, "+1.24 %"),
        ("percent", -0.00001, "0.00 %"),
        ("points", 12.4, "+12.40 %"),
        ("share", Decimal("0.082"), "8.2 %"),
        ("bps", "-165.04", "−165.0"),
        ("ratio", np.float64(1.234), "1.23"),
    ],
)
def test_numbers(writer: str, value: Any, text: str) -> None:
    assert desk.register.filters[writer](value) == text


@pytest.mark.parametrize("writer", ["money", "money_signed", "money_compact", "price", "quantity", "percent", "points", "share", "ratio"])
@pytest.mark.parametrize("value", [None, "", float("nan"), float("inf"), "no number", True])
def test_the_unknown_is_a_dash_that_says_why(writer: str, value: Any) -> None:
    assert desk.register.filters[writer](value, "No price for AAPL") == '<span class="unknown" title="No price for AAPL">—</span>'


def test_a_reason_cannot_bring_markup_in() -> None:
    assert "<b>" not in desk.register.filters["money"](None, "<b>")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [("400000", "USD", "$400,000.00"), ("0.1", "fraction", "10.0 %"), ("900", "shares", "900"), ("5", "orders/min", "5 orders/min"), ("3", "", "3")],
)
def test_numbers_of_checks_are_written_in_their_unit(value: str, unit: str, text: str) -> None:
    assert desk.in_unit(value, unit) == text


@pytest.mark.parametrize(("fraction", "near"), [(0.5, ""), (0.7, "near"), (0.89, "near"), (0.9, "over"), (3, "over"), (None, "over")])
def test_a_limit_that_is_not_known_never_looks_fine(fraction: Any, near: str) -> None:
    assert desk.nearness(fraction) == near


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (datetime(2026, 11, 20, 14, 3, 11, tzinfo=UTC), "full", '<time datetime="2026-11-20T14:03:11+00:00">2026-11-20 14:03:11Z</time>'),
        ("2026-11-20T14:03:11Z", "day", '<time datetime="2026-11-20T14:03:11+00:00">11-20 14:03</time>'),
        (date(2008, 9, 12), "full", '<time datetime="2008-09-12">2008-09-12</time>'),
    ],
)
def test_times(value: Any, style: str, text: str) -> None:
    assert desk.moment(value, style) == text


@pytest.mark.parametrize("value", [None, "soon"])
def test_a_time_that_is_not_known(value: Any) -> None:
    assert "—" in desk.moment(value)


@pytest.mark.parametrize(("seconds", "text"), [(1.239, "1.24 s"), (200, "3 min 20 s"), (8040, "2 h 14 min")])
def test_durations(seconds: float, text: str) -> None:
    assert desk.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("IBM", "text", "IBM"),
        ("", "text", ""),
        ("no_data", "tag", '<span class="tag warn">no data</span>'),
        (date(2026, 11, 20), "date", '<time datetime="2026-11-20">2026-11-20</time>'),
        (0.0421, "p_value", "0.042"),
        (-0.012, "percent", "−1.20 %"),
        (Decimal("1204.5"), "money_signed", "+$1,204.50"),
        (Decimal("0.1"), "fraction", "10.0 %"),
        (None, "number", '<span class="unknown" title="Not known">—</span>'),
    ],
)
def test_cells_are_written_as_their_column_asks(value: Any, unit: str, text: str) -> None:
    assert desk.cell(value, unit) == text
