"""What a status and a header mean, and what survives a split."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.marketdata.providers.failures import check_status, reading, retry_after
from apps.marketdata.providers.protocol import RateLimited, UnknownVendorSymbol, VendorNonsense, VendorRefused, VendorUnavailable
from apps.marketdata.providers.raw import Splits, shortest
from apps.marketdata.providers.shaping import Row


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"Retry-After": "-1"}, 0.0),
        ({"Retry-After": "Wed, 02 Sep 2020 12:01:00 GMT", "Date": "Wed, 02 Sep 2020 12:00:18 GMT"}, 42.0),
        ({"Retry-After": "Wed, 02 Sep 2020 12:00:00 GMT", "Date": "Wed, 02 Sep 2020 12:00:18 GMT"}, 0.0),
        ({"Retry-After": "in a while"}, None),
        ({"Retry-After": ""}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, VendorNonsense),
        (400, VendorNonsense),
        (401, VendorRefused),
        (403, VendorRefused),
        (404, UnknownVendorSymbol),
        (408, VendorUnavailable),
        (429, RateLimited),
        (502, VendorUnavailable),
    ],
)
def test_a_status_is_raised_with_the_vendors_own_words(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"acme answered {status}: no such thing"):
        check_status("acme", status, {}, "no \n such   thing")


@given(st.floats(0.125, 900_000.0, width=32))
def test_a_four_byte_float_stays_the_same_four_bytes(value: float) -> None:
    assert np.float32(shortest(value)) == np.float32(value)


@given(st.decimals("0.01", "9999.99", places=2), st.sampled_from(["2", "4", "7", "28", "1.5", "0.1", "0.05"]))
def test_cents_survive_a_split_and_four_bytes(price: Decimal, ratio: str) -> None:
    """What was traded, divided by the ratio and kept in four bytes, comes back to the cent."""
    day = date(2020, 8, 3)
    splits = Splits(((date(2020, 8, 31), Decimal(ratio)),))
    sent = shortest(float(np.float32(float(price) / float(ratio))))
    row = splits.undo(Row(datetime(2020, 8, 3, tzinfo=UTC), sent, sent, sent, sent, 100.0), day)
    assert row.close == float(price)


def test_success_is_silent_and_numbers_of_eight_bytes_stay() -> None:
    check_status("acme", 200, {}, "")
    assert shortest(612_345.67) == 612_345.67
    assert shortest(310.3500061035156) == 310.35


def test_reading_turns_what_breaks_into_nonsense_and_lets_our_own_errors_pass() -> None:
    with pytest.raises(VendorNonsense, match="acme sent bars that cannot be read: KeyError: 'c'"), reading("acme", "bars"):
        {}["c"]
    with pytest.raises(InvalidInput), reading("acme", "bars"):
        raise InvalidInput("ours")


def test_not_a_number_of_seconds_is_no_advice() -> None:
    assert retry_after({"Retry-After": "nan"}) is None
    assert retry_after({"Retry-After": "inf"}) is None
