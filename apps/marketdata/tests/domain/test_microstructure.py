"""Microstructure measures against second computations and what must always hold. Published cases are in fixtures/vectors/marketdata.json."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InsufficientData, InvalidInput, Unmeasurable
from apps.marketdata.domain.microstructure.flow import lee_ready, microprice, ofi, queue_imbalance, tick_signs
from apps.marketdata.domain.microstructure.liquidity import amihud, illiquidity, kyle_lambda, roll, roll_spread
from apps.marketdata.domain.microstructure.profile import volume_profile
from apps.marketdata.domain.microstructure.spreads import (
    effective_spread,
    measurable,
    price_impact,
    quoted_spread,
    realised_spread,
    time_weighted_spread,
)
from apps.marketdata.domain.microstructure.toxicity import bucket_buys, buy_fractions, vpin

RANDOM = np.random.default_rng(29)


class TestSpreads:
    @pytest.mark.parametrize(("bid", "ask"), [(10.05, 10.03), (10.0, 10.0), (0.0, 10.0), (10.0, math.nan), (math.nan, 10.0)])
    def test_without_a_midpoint_there_is_no_spread(self, bid: float, ask: float) -> None:
        for call in (lambda: quoted_spread(bid, ask), lambda: effective_spread("BUY", 10.0, bid, ask), lambda: realised_spread("BUY", 10, bid, ask)):
            with pytest.raises(Unmeasurable):
                call()
        assert not measurable(np.array([bid]), np.array([ask]))[0]

    @given(
        side=st.sampled_from(["BUY", "SELL"]),
        price=st.integers(9000, 11000),
        bid=st.integers(9000, 9900),
        width=st.integers(1, 1000),
        move=st.integers(-1000, 1000),
    )
    def test_effective_is_realised_and_impact(self, side: str, price: int, bid: int, width: int, move: int) -> None:
        later = (bid + move, bid + move + width)
        effective, realised = effective_spread(side, price, bid, bid + width), realised_spread(side, price, *later)
        assert effective == realised + price_impact(side, bid, bid + width, *later)

    def test_v_a3_1_averages(self) -> None:
        """Three orders on one quote: share-weighted effective and realised spreads of domain A3."""
        orders = [("BUY", 10.03, 200, 10.035), ("SELL", 10.00, 300, 10.00), ("BUY", 10.05, 100, 10.03)]
        shares = np.array([order[2] for order in orders])
        effective = [effective_spread(side, price, 10.00, 10.04) for side, price, _, _ in orders]
        realised = [realised_spread(side, price, later - 0.02, later + 0.02) for side, price, _, later in orders]
        assert float(np.average(effective, weights=shares)) == pytest.approx(0.0366667, abs=5e-8)
        assert float(np.average(realised, weights=shares)) == pytest.approx(0.0033333, abs=5e-8)

    def test_bad_input_is_named(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            effective_spread("LONG", 10, 9, 11)
        assert refused.value.field == "side"
        with pytest.raises(InvalidInput, match="price"):
            effective_spread("BUY", -1, 9, 11)
        with pytest.raises(InvalidInput, match="ascend"):
            time_weighted_spread([1, 1], [2, 2], [1, 0], 3)
        with pytest.raises(InsufficientData):
            time_weighted_spread([2], [1], [0], 3)


class TestFlow:
    def test_ofi_case_by_case(self) -> None:
        """The three cases of each side written out, as the paper's section 2.1 tells them, instead of by indicators."""
        ticks = RANDOM.integers(-2, 3, (300, 2)).cumsum(axis=0)
        quotes = np.column_stack([ticks[:, 0], RANDOM.integers(1, 9, 300), ticks[:, 1] + 1000, RANDOM.integers(1, 9, 300)]).astype(float)
        expected = 0.0
        for (b0, q0, a0, r0), (b1, q1, a1, r1) in pairwise(quotes):
            expected += q1 if b1 > b0 else q1 - q0 if b1 == b0 else -q0
            expected -= r1 if a1 < a0 else r1 - r0 if a1 == a0 else -r0
        assert ofi(quotes.tolist()) == expected

    def test_ofi_sees_a_size_change_at_an_unchanged_price(self) -> None:
        assert ofi([[10, 5, 11, 5], [10, 8, 11, 5]]) == 3

    @pytest.mark.parametrize("quotes", [[[1, 2, 3]], [[1, 2, 3, math.nan]], [1, 2, 3, 4]])
    def test_ofi_refuses_what_is_no_quote(self, quotes: list) -> None:
        with pytest.raises(InvalidInput):
            ofi(quotes)

    def test_the_tick_test_looks_back_to_the_last_different_price(self) -> None:
        assert tick_signs(np.array([5.0, 5, 6, 6, 6, 5, 5, 5])).tolist() == [0, 0, 1, 1, 1, -1, -1, -1]

    def test_lee_ready_without_a_quote_uses_the_tick_test(self) -> None:
        assert lee_ready([10.0, 10.1, 10.1], [math.nan, math.nan, 10.05], [math.nan, math.nan, 10.06]) == [0, 1, 1]

    def test_lee_ready_takes_each_trade_its_quote_in_force(self) -> None:
        quotes = {"bids": [10.0, 11.0], "asks": [10.2, 11.2], "quote_times": [1.0, 2.0]}
        assert lee_ready([10.15, 10.15, 10.15], times=[0.5, 1.0, 2.0], **quotes) == [0, 1, -1]
        assert lee_ready([10.15, 10.15, 10.15], times=[5.5, 6.0, 7.0], quote_lag=5, **quotes) == [0, 1, -1]

    @pytest.mark.parametrize(
        "wrong",
        [{"bids": [1.0]}, {"quote_lag": 5.0}, {"times": [1.0, 2.0]}, {"times": [1.0, 2.0], "quote_times": [2.0, 1.0]}, {"prices": [1, math.nan]}],
        ids=str,
    )
    def test_lee_ready_refuses_what_does_not_fit(self, wrong: dict) -> None:
        with pytest.raises(InvalidInput):
            lee_ready(**{"prices": [1.0, 2.0], "bids": [1.0, 1.0], "asks": [2.0, 2.0]} | wrong)

    def test_microprice_leans_to_the_side_with_the_shorter_queue(self) -> None:
        assert 10.02 < microprice(10.00, 300, 10.04, 100) < 10.04
        assert queue_imbalance(0, 5) == -1
        with pytest.raises(InsufficientData):
            microprice(10, 0, 11, 0)
        with pytest.raises(InvalidInput):
            queue_imbalance(-1, 5)


class TestLiquidity:
    @pytest.mark.parametrize("with_intercept", [True, False])
    def test_kyle_is_least_squares(self, with_intercept: bool) -> None:
        """Against NumPy's solver and the textbook covariance s2 (X'X)^-1."""
        x = RANDOM.normal(0, 800, 60)
        y = 2e-5 * x + 0.001 + RANDOM.normal(0, 0.004, 60)
        design = np.column_stack([x, np.ones(60)][: 1 + with_intercept])
        solution, squares, *_ = np.linalg.lstsq(design, y, rcond=None)
        error = math.sqrt(squares[0] / (60 - design.shape[1]) * np.linalg.inv(design.T @ design)[0, 0])
        found = kyle_lambda(y.tolist(), x.tolist(), with_intercept)
        assert found["lambda"] == pytest.approx(solution[0], rel=1e-10)
        assert found["t"] == pytest.approx(solution[0] / error, rel=1e-9)
        assert found["intercept"] == pytest.approx(solution[1] if with_intercept else 0, abs=1e-12)
        assert (found["observations"], found["small_sample"]) == (60, False)

    def test_kyle_at_its_edges(self) -> None:
        exact = kyle_lambda([1, 2, 3], [10, 20, 30])
        assert (exact["lambda"], exact["t"]) == (pytest.approx(0.1), math.inf)
        assert math.isnan(float(kyle_lambda([1, 2], [10, 20])["t"]))
        assert kyle_lambda([1, math.nan, 2, 4], [10, 5, 20, 30])["observations"] == 3
        for y, x in (([1], [1]), ([1, 2], [3, 3])):
            with pytest.raises(InsufficientData):
                kyle_lambda(y, x)
        with pytest.raises(InvalidInput):
            kyle_lambda([1, 2], [1])

    def test_amihud_counts_what_it_drops(self) -> None:
        found = illiquidity([0.01, 0.5, math.nan, -0.02], [2e6, 0, 1e6, 5e6])
        assert (found.days, found.dropped) == (2, 2)
        assert found.value == pytest.approx(0.0045)
        with pytest.raises(InvalidInput, match="negative"):
            amihud([0.1], [-1])

    def test_roll_finds_the_spread_of_a_bouncing_price(self) -> None:
        bounce = 100 + 0.05 * RANDOM.choice([-1, 1], 200_000)
        assert roll(bounce.tolist()) == pytest.approx(0.10, rel=0.02)
        change = np.diff(bounce)
        assert roll_spread(bounce).covariance == pytest.approx(np.cov(change[1:], change[:-1])[0, 1], rel=1e-12)

    def test_roll_says_when_there_is_nothing_to_see(self) -> None:
        trend = roll_spread([1, 2, 4, 8, 16])
        assert (trend.spread, trend.estimable) == (0, False)
        assert trend.covariance > 0
        with pytest.raises(InsufficientData):
            roll([1, 2, 3])
        with pytest.raises(InvalidInput):
            roll([1, 2, 3, math.nan])


class TestVpin:
    def test_bars_fill_buckets_share_by_share(self) -> None:
        """A second computation that deals single shares."""
        volumes = RANDOM.integers(0, 40, 50)
        fractions = RANDOM.random(50)
        shares = np.repeat(fractions, volumes)
        full = len(shares) // 100
        expected = shares[: full * 100].reshape(full, 100).sum(axis=1)
        np.testing.assert_allclose(bucket_buys(fractions, volumes.astype(float), 100), expected, rtol=1e-12)

    def test_bulk_classification_uses_the_normal_distribution(self) -> None:
        np.testing.assert_allclose(buy_fractions(np.array([0.02, -0.02, 0]), 0.02), [NormalDist().cdf(1), NormalDist().cdf(-1), 0.5], rtol=1e-15)
        changes = np.array([1.0, 2, 4])
        np.testing.assert_array_equal(buy_fractions(changes), buy_fractions(changes, float(np.std(changes, ddof=1))))

    def test_only_the_last_buckets_count(self) -> None:
        assert vpin(10, buys=[0.0] * 7 + [5.0] * 50) == 0
        assert vpin(10, buys=[10.0, 5, 5, 5], buckets=4) == 0.25

    def test_a_bucket_that_is_not_full_does_not_count(self) -> None:
        assert vpin(100, price_changes=[1e9, -1e9], sigma=1, volumes=[150, 99]) == pytest.approx(0.5 * (1 + 0))
        with pytest.raises(InsufficientData):
            vpin(100, price_changes=[1], sigma=1, volumes=[99])

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"buys": [1], "price_changes": [1]},
            {"buys": [11]},
            {"buys": [-1]},
            {"price_changes": [1, 2], "sigma": 0},
            {"price_changes": [1, 2], "sigma": 1, "volumes": [1]},
            {"buys": [1], "buckets": 0},
            {"price_changes": [math.nan], "sigma": 1},
        ],
        ids=str,
    )
    def test_bad_input(self, wrong: dict) -> None:
        with pytest.raises(InvalidInput):
            vpin(10, **wrong)


class TestVolumeProfile:
    @given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 100)), min_size=1, max_size=40), st.integers(1, 3))
    def test_the_value_area_holds_the_point_of_control_and_enough(self, rows: list[tuple[int, int]], step: int) -> None:
        prices, volumes = [price for price, _ in rows], [volume for _, volume in rows]
        found = volume_profile(prices, volumes, rows=step)
        sums = {price: sum(v for p, v in rows if p == price) for price in prices}
        inside = sum(volume for price, volume in sums.items() if found["val"] <= price <= found["vah"])
        assert found["val"] <= found["poc"] <= found["vah"]
        assert sums[int(found["poc"])] == max(sums.values())
        assert found["volume"] == inside >= 0.7 * sum(volumes) - 1e-9

    def test_equal_rows_are_added_above_first(self) -> None:
        assert volume_profile([1, 2, 3], [10, 20, 10]) == {"poc": 2, "val": 2, "vah": 3, "volume": 30}

    def test_bins_are_named_by_their_lower_edge_and_empty_ones_are_rows(self) -> None:
        found = volume_profile([10.00, 10.04, 10.05, 10.31], [1, 1, 5, 2], bin_size=0.05)
        assert found["poc"] == pytest.approx(10.05)
        assert found["volume"] == 7
        assert found["val"] == pytest.approx(10.00)

    @pytest.mark.parametrize(
        "wrong",
        [{"rows": 0}, {"value_area": 0}, {"bin_size": 0}, {"volumes": [1]}, {"volumes": [1, -1]}, {"prices": [1, math.nan]}, {"bin_size": 1e-9}],
        ids=str,
    )
    def test_bad_input(self, wrong: dict) -> None:
        with pytest.raises(InvalidInput):
            volume_profile(**{"prices": [1.0, 2.0], "volumes": [1.0, 1.0]} | wrong)

    def test_no_volume(self) -> None:
        for prices, volumes in (([], []), ([1], [0])):
            with pytest.raises(InsufficientData):
                volume_profile(prices, volumes)
