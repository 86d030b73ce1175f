"""Tests of forecasts against SciPy's distributions and Kupiec's table. Published cases are in fixtures/vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apps.core.errors import InvalidInput
from apps.risk.domain.backtesting import basel_zone, binomial_cdf, christoffersen, conditional_coverage, kupiec, transitions


@pytest.mark.parametrize(("days", "fewest", "most"), [(255, 7, 20), (510, 17, 35), (1000, 38, 64)])
def test_non_rejection_regions_of_kupiecs_table(days: int, fewest: int, most: int) -> None:
    """V-B6-3: at 95 %, a 5 % test."""
    accepted = [count for count in range(days + 1) if kupiec(days, count, 0.05)["p_value"] > 0.05]
    assert (min(accepted), max(accepted)) == (fewest, most)


@given(st.integers(1, 2000), st.data(), st.floats(0.001, 0.2))
def test_p_values_are_scipys(days: int, data: st.DataObject, probability: float) -> None:
    exceptions = data.draw(st.integers(0, days))
    found = kupiec(days, exceptions, probability)
    assert found["p_value"] == pytest.approx(stats.chi2.sf(found["statistic"], 1), abs=1e-12)
    assert binomial_cdf(exceptions, days, probability) == pytest.approx(stats.binom.cdf(exceptions, days, probability), abs=1e-9)


@given(st.lists(st.booleans(), min_size=2, max_size=300))
def test_both_tests_together_are_the_sum_of_the_two(hits: list[bool]) -> None:
    n00, n01, n10, n11 = transitions(hits)
    assert n00 + n01 + n10 + n11 == len(hits) - 1
    together = conditional_coverage(len(hits), sum(hits), 0.05, n00, n01, n10, n11)
    alone = kupiec(len(hits), sum(hits), 0.05)["statistic"], christoffersen(n00, n01, n10, n11)["statistic"]
    assert together["statistic"] == pytest.approx(sum(alone))
    assert together["p_value"] == pytest.approx(stats.chi2.sf(together["statistic"], 2), abs=1e-12)


def test_a_forecast_that_counts_right_but_fails_in_a_row_is_found_out() -> None:
    clustered = [False] * 240 + [True] * 12
    assert kupiec(252, 12, 0.05)["p_value"] > 0.5
    assert christoffersen(*transitions(clustered))["p_value"] < 1e-6


@given(st.integers(10, 1000))
def test_more_exceptions_never_lead_to_a_better_zone(days: int) -> None:
    order = ["green", "yellow", "red"]
    zones = [basel_zone(count, days) for count in range(min(days, 30) + 1)]
    ranks = [order.index(str(zone["zone"])) for zone in zones]
    additions = [zone["multiplier_add"] for zone in zones]
    assert ranks == sorted(ranks)
    assert additions == sorted(additions)


@pytest.mark.parametrize(
    ("days", "exceptions", "probability", "field"), [(0, 0, 0.05, "observations"), (10, 11, 0.05, "exceptions"), (10, 1, 1, "probability")]
)
def test_counts_that_cannot_be_are_named(days: int, exceptions: int, probability: float, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        kupiec(days, exceptions, probability)
    assert refused.value.field == field
