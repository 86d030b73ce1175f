"""Factor scores: each definition by hand, the rules of the cross-section, and no look into the future."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.core.errors import InsufficientData, InvalidInput
from apps.marketdata.domain import factors
from apps.marketdata.domain.cross_section import information_coefficient, quantile_spread, ranks, z_scores
from apps.marketdata.domain.factors import FACTORS, FactorSettings, Missing, Proxy, missing_reasons, scores_panel
from apps.marketdata.domain.windows import carried, window_max, window_sum

SHORT = FactorSettings(momentum=10, skip=2, risk=8, value=12, value_half_width=2, stale=1, least_names=3)


def walk(rows: int, names: int, *, seed: int = 1) -> np.ndarray:
    """Closes [rows, names] of random walks."""
    return np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (rows, names)), axis=0)) * 100


class TestWindows:
    @given(arrays(float, (30, 2), elements=st.floats(-1e6, 1e6)), st.integers(1, 40))
    def test_they_hold_the_last_rows(self, values, rows) -> None:
        frame = pd.DataFrame(values)
        assert np.allclose(window_sum(values, rows), frame.rolling(rows, min_periods=1).sum(), atol=1e-6)
        assert np.array_equal(window_max(values, rows), frame.rolling(rows, min_periods=1).max())

    def test_a_sum_is_the_same_to_the_last_bit_however_much_came_before(self) -> None:
        values = walk(400, 5)
        assert np.array_equal(window_sum(values, 252)[300:], window_sum(values[48:], 252)[252:])

    def test_a_number_is_carried_only_so_far(self) -> None:
        values = np.array([[1.0], [np.nan], [np.nan], [np.nan], [5.0]])
        assert np.array_equal(carried(values, 2)[:, 0], [1, 1, 1, np.nan, 5], equal_nan=True)


class TestRawFactors:
    def test_momentum_leaves_the_last_month_out(self) -> None:
        closes = [100.0, *[110.0] * 231, *[500.0] * 21]
        assert factors.momentum(closes) == pytest.approx(0.10)

    def test_volatility_is_the_negative_sample_deviation(self) -> None:
        closes = walk(300, 1)[:, 0]
        expected = -pd.Series(closes).pct_change().tail(252).std() * np.sqrt(252)
        assert factors.volatility(closes.tolist()) == pytest.approx(expected, rel=1e-12)

    def test_quality_proxy_is_the_mean_distance_from_the_high(self) -> None:
        closes = walk(600, 1)[:, 0]
        series = pd.Series(closes)
        expected = (series / series.rolling(252).max() - 1).tail(252).mean()
        assert factors.quality(closes.tolist()) == pytest.approx(expected, rel=1e-12)

    def test_value_proxy_is_the_fall_from_five_years_ago(self) -> None:
        closes = walk(1_500, 1)[:, 0]
        expected = np.log(closes[-1 - 1_386 : -1 - 1_134 + 1].mean() / closes[-1])
        assert factors.value(closes.tolist()) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("name", ["momentum", "volatility", "quality", "value"])
    def test_too_little_history_is_no_number(self, name) -> None:
        with pytest.raises(InsufficientData, match="history"):
            getattr(factors, name)(walk(200, 1)[:, 0].tolist())

    def test_too_many_gaps_are_no_number(self) -> None:
        closes = walk(600, 1)[:, 0]
        closes[400:520] = np.nan
        with pytest.raises(InsufficientData, match="missing"):
            factors.volatility(closes.tolist())


class TestCrossSection:
    def test_scores_have_mean_0_and_deviation_1_after_the_ends_are_drawn_in(self) -> None:
        values = np.array([[1.0, 2.0, 3.0, 4.0, 1000.0, np.nan]])
        drawn = np.clip(values[0, :5], *np.quantile(values[0, :5], [0.05, 0.95]))
        expected = (drawn - drawn.mean()) / drawn.std()
        scores = z_scores(values, winsor=0.05, least=5)[0]
        assert np.allclose(scores[:5], expected)
        assert np.isnan(scores[5])

    def test_equal_values_score_0_and_too_few_score_nothing(self) -> None:
        assert np.array_equal(z_scores(np.full((1, 5), 0.1), winsor=0.05, least=5), np.zeros((1, 5)))
        assert np.isnan(z_scores(np.array([[1.0, 2.0, np.nan]]), winsor=0.05, least=3)).all()

    def test_equal_scores_share_the_better_rank(self) -> None:
        assert ranks(np.array([[0.5, 2.0, np.nan, 0.5, -1.0]])).tolist() == [[2, 1, 0, 2, 4]]

    @given(arrays(float, st.integers(5, 30), elements=st.floats(-10, 10), unique=True))
    def test_information_coefficient_is_spearmans(self, scores) -> None:
        returns = np.round(np.sin(scores * 7), 1)
        expected = pd.Series(scores).rank().corr(pd.Series(returns).rank())
        assert information_coefficient(scores, returns) == pytest.approx(expected, abs=1e-9, nan_ok=True)

    def test_spread_is_top_less_bottom(self) -> None:
        assert quantile_spread([4, 3, 2, 1], [0.10, 0.08, 0.02, 0.0], quantiles=2) == pytest.approx(0.08)
        assert np.isnan(quantile_spread([1.0, np.nan], [0.1, 0.2]))


class TestScores:
    def test_nothing_after_a_date_changes_its_scores(self) -> None:
        closes = walk(60, 6)
        whole = scores_panel(closes, settings=SHORT)
        for row in (20, 35, 50):
            cut = scores_panel(closes[: row + 1], settings=SHORT)
            for name in (*FACTORS, "composite", "rank", "missing", "proxies"):
                assert np.array_equal(getattr(whole, name)[row], getattr(cut, name)[row], equal_nan=name not in ("rank", "missing", "proxies"))

    def test_more_history_changes_nothing_either(self) -> None:
        closes = walk(80, 6)
        begin = 80 - SHORT.warm_up - 10
        late = scores_panel(closes[begin:], first=SHORT.warm_up, settings=SHORT)
        whole = scores_panel(closes, first=begin + SHORT.warm_up, settings=SHORT)
        assert np.array_equal(late.composite, whole.composite)
        assert not np.isnan(late.composite).any()

    def test_composite_is_the_weighted_mean_and_rank_1_is_its_highest(self) -> None:
        weights = {"momentum": 0.5, "quality": 0.2, "value": 0.2, "volatility": 0.1}
        scores = scores_panel(walk(60, 6), settings=FactorSettings(**{**SHORT.as_dict(), "weights": weights}))
        expected = sum(getattr(scores, name)[-1] * weight for name, weight in weights.items())
        assert np.allclose(scores.composite[-1], expected)
        assert scores.composite[-1].argmax() == scores.rank[-1].argmin()
        assert (scores.proxies[-1] == Proxy.QUALITY | Proxy.VALUE).all()

    def test_a_young_instrument_has_reasons_and_no_rank(self) -> None:
        closes = walk(60, 6)
        closes[:58, 0] = np.nan
        scores = scores_panel(closes, settings=SHORT)
        assert scores.rank[-1, 0] == 0
        assert np.isnan(scores.composite[-1, 0])
        assert missing_reasons(int(scores.missing[-1, 0])) == dict.fromkeys(FACTORS, "too little history before this date")
        assert (scores.rank[-1, 1:] > 0).all()

    def test_too_few_names_have_no_scores(self) -> None:
        scores = scores_panel(walk(60, 2), settings=SHORT)
        assert np.isnan(scores.composite).all()
        assert missing_reasons(int(scores.missing[-1, 0]))["momentum"] == "too few instruments to compare with"

    def test_an_absent_close_is_an_absent_score(self) -> None:
        closes = walk(60, 6)
        closes[-1, 2] = np.nan
        scores = scores_panel(closes, settings=SHORT)
        assert scores.rank[-1, 2] == 0
        assert scores.rank[-2, 2] > 0

    def test_a_missing_factor_leaves_the_mean_of_the_others(self) -> None:
        assert factors.composite({"momentum": 1.0, "quality": 0.0}) == pytest.approx(0.5)
        assert np.isnan(factors.composite({"momentum": 1.0}))
        with pytest.raises(InvalidInput, match="growth"):
            factors.composite({"growth": 1.0})

    def test_fundamentals_replace_the_proxy_where_enough_have_them(self) -> None:
        closes = walk(60, 6)
        ratio = np.full(closes.shape, np.nan)
        ratio[:, :4] = [0.1, 0.2, 0.3, 0.4]
        scores = scores_panel(closes, quality=[ratio], settings=SHORT)
        assert (np.diff(scores.quality[-1, :4]) > 0).all()
        assert scores.proxies[-1].tolist() == [2, 2, 2, 2, 3, 3]
        ratio[:, 2:] = np.nan
        assert (scores_panel(closes, quality=[ratio], settings=SHORT).proxies[-1] == 3).all()

    @pytest.mark.parametrize("bad", [{"weights": {"momentum": 1.0}}, {"skip": 300}, {"winsor": 0.5}, {"least_names": 1}])
    def test_settings_that_make_no_score_are_refused(self, bad) -> None:
        with pytest.raises(InvalidInput):
            FactorSettings(**bad)

    def test_reasons_fit_their_bits(self) -> None:
        assert max(Missing) < 4
