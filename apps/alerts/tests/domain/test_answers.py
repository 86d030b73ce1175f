from datetime import UTC, datetime
from uuid import UUID

import pytest

from apps.alerts.domain.answers import LONGEST_WAIT, MOST_ATTEMPTS, Outcome, http_answer, retry_after, wait_seconds
from apps.alerts.domain.signing import signature

NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)
KEYS = [UUID(int=n) for n in range(50)]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SENT),
        (204, Outcome.SENT),
        (301, Outcome.REFUSED),
        (307, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.REFUSED),
        (408, Outcome.RETRY),
        (429, Outcome.RETRY),
        (500, Outcome.RETRY),
        (503, Outcome.RETRY),
    ],
)
def test_a_status_says_whether_the_same_again_may_help(status: int, outcome: Outcome) -> None:
    answer = http_answer(status, {}, now=NOW)
    assert (answer.outcome, answer.status) == (outcome, status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90", 90.0),
        ("-1", 0.0),
        ("1e9", LONGEST_WAIT),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Tue, 02 Jan 2024 15:02:00 GMT", 120.0),
        ("Tue, 02 Jan 2024 14:00:00 GMT", 0.0),
    ],
)
def test_the_pause_that_is_asked_for_is_kept_within_bounds(value: str, seconds: float | None) -> None:
    assert retry_after({"RETRY-After": value}, now=NOW) == seconds


def test_pauses_double_are_spread_and_never_shorter_than_asked() -> None:
    for attempt in range(1, MOST_ATTEMPTS + 1):
        base = min(LONGEST_WAIT, 30.0 * 2 ** (attempt - 1))
        waits = [wait_seconds(attempt=attempt, key=key) for key in KEYS]
        assert all(0.8 * base <= wait <= 1.2 * base for wait in waits)
        assert len(set(waits)) == len(KEYS)
    assert wait_seconds(attempt=1, key=KEYS[0], asked=500.0) == 500.0


def test_a_signature_is_what_anybody_computes_with_openssl() -> None:
    # printf '1704207600.k.{"a":1}' | openssl dgst -sha256 -hmac secret
    found = signature(secret="secret", timestamp=1704207600, key="k", body=b'{"a":1}')
    assert found == "v1=8ee6aa92b048ee08fb51079a4a78506363b3b432a6fe8d8770dd63aafee1d293"
    assert found != signature(secret="secret", timestamp=1704207601, key="k", body=b'{"a":1}')
