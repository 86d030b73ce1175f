import numpy as np
import pytest

from apps.analytics.domain.performance import Period, performance, period_start


def series(first, days, returns=None):
    """Values at 21:00 UTC of consecutive days."""
    ts = np.datetime64(f"{first}T21:00", "us") + np.arange(days) * np.timedelta64(1, "D")
    returns = np.full(days, 0.001) if returns is None else np.array(returns)
    returns[0] = np.nan
    return {"ts": ts, "total": 100 * np.cumprod(1 + np.nan_to_num(returns)), "daily_return": returns}


class TestPeriods:
    @pytest.mark.parametrize(
        ("period", "base"),
        [
            (Period.ALL, "2023-01-01"),
            (Period.WEEK, "2024-03-26"),
            (Period.MONTH, "2024-02-29"),  # 31 March less a month
            (Period.QUARTER, "2023-12-31"),
            (Period.YEAR, "2023-03-31"),
            (Period.YEAR_TO_DATE, "2023-12-31"),
        ],
    )
    def test_it_starts_from_the_last_value_before(self, period, base):
        ts = series("2023-01-01", 456)["ts"]
        assert ts[-1].astype("datetime64[D]") == np.datetime64("2024-03-31")
        assert ts[period_start(period, ts)].astype("datetime64[D]") == np.datetime64(base)

    def test_a_young_portfolio_starts_at_its_beginning(self):
        assert period_start(Period.YEAR, series("2024-01-01", 5)["ts"]) == 0


class TestPerformance:
    def test_measures_of_known_returns(self):
        found = performance(period=Period.ALL, **series("2024-01-01", 5, [0, 0.1, -0.05, 0.02, 0.0]))
        assert found.total_return == pytest.approx(1.1 * 0.95 * 1.02 - 1)
        assert found.max_drawdown == pytest.approx(-0.05)
        assert (found.observations, found.win_rate) == (4, 0.5)
        assert found.annualized_return == pytest.approx((1.1 * 0.95 * 1.02) ** (252 / 4) - 1)
        assert list(found.cumulative) == pytest.approx([0, 0.1, 0.045, 0.0659, 0.0659])

    def test_the_base_s_own_return_belongs_to_the_time_before(self):
        returns = np.full(40, 0.001)
        returns[10] = 0.5
        found = performance(period=Period.MONTH, **series("2024-01-22", 40, returns))
        assert found.ts[0].astype("datetime64[D]") == np.datetime64("2024-02-01")  # the row with the 50 %
        assert found.total_return == pytest.approx(1.001**29 - 1)
        assert found.cumulative[0] == 0

    def test_nothing_recorded_is_unknown(self):
        empty = np.array([])
        found = performance(period=Period.ALL, ts=np.array([], "datetime64[us]"), total=empty, daily_return=empty)
        assert found.observations == 0
        assert {found.total_return, found.sharpe_ratio, found.max_drawdown, found.win_rate} == {None}

    def test_one_return_is_too_few_for_a_ratio(self):
        found = performance(period=Period.ALL, **series("2024-01-01", 2))
        assert found.total_return == pytest.approx(0.001)
        assert {found.annualized_return, found.sharpe_ratio, found.volatility} == {None}

    def test_a_day_without_a_return_is_left_out(self):
        found = performance(period=Period.ALL, **series("2024-01-01", 4, [0, 0.1, np.nan, 0.1]))
        assert found.observations == 2
        assert found.total_return == pytest.approx(0.21)
