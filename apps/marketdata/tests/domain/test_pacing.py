"""How long to wait before a vendor is asked again."""

from hypothesis import given
from hypothesis import strategies as st

from apps.marketdata.domain.pacing import RetryRule, retry_pause

RULE = RetryRule(attempts=10, first_seconds=1.0, most_seconds=8.0)


def test_pauses_double_up_to_the_most() -> None:
    assert [retry_pause(RULE, attempt=n, retry_after=None, chance=1.0) for n in range(1, 7)] == [1, 2, 4, 8, 8, 8]


@given(attempt=st.integers(1, 60), retry_after=st.none() | st.floats(-5, 3600), chance=st.floats(0, 1, exclude_max=True))
def test_never_earlier_than_the_vendor_asks_and_never_negative(attempt: int, retry_after: float | None, chance: float) -> None:
    pause = retry_pause(RULE, attempt=attempt, retry_after=retry_after, chance=chance)
    least = max(0.0, retry_after or 0.0)
    assert least <= pause <= least + RULE.most_seconds
