"""What a status and a header mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.marketdata.providers.failures import check_status, reading, retry_after
from apps.marketdata.providers.protocol import RateLimited, UnknownVendorSymbol, VendorNonsense, VendorRefused, VendorUnavailable


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


@given(st.integers(200, 299))
def test_success_is_silent(status: int) -> None:
    check_status("acme", status, {}, "")


def test_reading_turns_what_breaks_into_nonsense_and_lets_our_own_errors_pass() -> None:
    with pytest.raises(VendorNonsense, match="acme sent bars that cannot be read: KeyError: 'c'"), reading("acme", "bars"):
        {}["c"]
    with pytest.raises(InvalidInput), reading("acme", "bars"):
        raise InvalidInput("ours")


def test_not_a_number_of_seconds_is_no_advice() -> None:
    assert retry_after({"Retry-After": "nan"}) is None
    assert retry_after({"Retry-After": "inf"}) is None
