import numpy as np
import pytest

from apps.portfolios.domain.excursions import excursion

HIGH, LOW = np.array([105.0, np.nan, 120.0]), np.array([95.0, np.nan, 101.0])


def test_a_long_suffers_from_lows_and_gains_from_highs():
    found = excursion(entry_price=100, exit_price=110, long=True, high=HIGH, low=LOW)
    assert (found.adverse, found.favourable) == (pytest.approx(-0.05), pytest.approx(0.2))


def test_a_short_the_other_way_round():
    found = excursion(entry_price=100, exit_price=110, long=False, high=HIGH, low=LOW)
    assert (found.adverse, found.favourable) == (pytest.approx(-0.2), pytest.approx(0.05))


def test_its_own_ends_count_where_bars_do_not_reach():
    found = excursion(entry_price=100, exit_price=90, long=True, high=np.array([]), low=np.array([]))
    assert (found.adverse, found.favourable) == (pytest.approx(-0.1), 0)


def test_an_entry_price_is_positive():
    with pytest.raises(ValueError, match="positive"):
        excursion(entry_price=0, exit_price=90, long=True, high=HIGH, low=LOW)
