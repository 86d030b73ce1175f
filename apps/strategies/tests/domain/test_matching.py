"""Every case of the matching function in a table, its promises as properties, and the compiled form bit by bit."""

import struct
from dataclasses import dataclass, replace
from math import floor, inf, isnan, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.strategies.domain.matching import FillAt, OrderTypeCode, TifCode, match

MARKET, LIMIT, STOP, STOP_LIMIT = OrderTypeCode
DAY, GTC, IOC, FOK = TifCode
BUY, SELL = 1, -1


@dataclass(frozen=True, kw_only=True)
class Case:
    """An order of 100 shares against the bar 100, 105, 95, 102 with plenty of volume."""

    order_type: int = MARKET
    side_sign: int = BUY
    leaves: float = 100.0
    limit: float = nan
    stop: float = nan
    stop_triggered: bool = False
    tif: int = GTC
    open_: float = 100.0
    high: float = 105.0
    low: float = 95.0
    close: float = 102.0
    vwap: float = nan
    volume: float = 1e6
    fill_at: int = FillAt.CLOSE
    max_volume_pct: float = 0.1
    slippage_bps: float = 0.0

    def match(self):
        return match(**{name: getattr(self, name) for name in self.__dataclass_fields__})


def filled(quantity, price, *, triggered=False, done=None):
    return (quantity, price, triggered, quantity == 100.0 if done is None else done)


def unfilled(*, triggered=False, done=False):
    return (0.0, None, triggered, done)


def outcome(case):
    quantity, price, triggered, done = case.match()
    return (quantity, None if isnan(price) else price, triggered, done)


class TestMarketOrders:
    @pytest.mark.parametrize(
        ("fill_at", "vwap", "price"),
        [
            (FillAt.CLOSE, nan, 102.0),
            (FillAt.OPEN, nan, 100.0),
            (FillAt.VWAP, 101.5, 101.5),
            (FillAt.VWAP, nan, (105.0 + 95.0 + 102.0) / 3.0),
        ],
    )
    @pytest.mark.parametrize("side_sign", [BUY, SELL])
    @pytest.mark.parametrize("tif", list(TifCode))
    def test_trade_whole_at_the_chosen_price(self, fill_at, vwap, price, side_sign, tif):
        assert outcome(Case(fill_at=fill_at, vwap=vwap, side_sign=side_sign, tif=tif)) == filled(100.0, price)

    @pytest.mark.parametrize(("side_sign", "price"), [(BUY, 102.0 * (1 + 25 * 1e-4)), (SELL, 102.0 * (1 - 25 * 1e-4))])
    def test_pay_slippage_against_the_trader(self, side_sign, price):
        assert outcome(Case(side_sign=side_sign, slippage_bps=25.0)) == filled(100.0, price)

    @pytest.mark.parametrize("tif", list(TifCode))
    def test_do_not_trade_where_there_is_no_bar(self, tif):
        case = Case(tif=tif, open_=nan, high=nan, low=nan, close=nan, volume=nan)
        for fill_at in FillAt:
            assert outcome(replace(case, fill_at=fill_at)) == unfilled(done=tif in (IOC, FOK))


class TestLimitOrders:
    @pytest.mark.parametrize(
        ("side_sign", "limit", "price"),
        [
            (BUY, 103.0, 100.0),  # marketable at the open: better than its limit
            (BUY, 100.0, 100.0),
            (BUY, 99.0, 99.0),  # reached inside the bar
            (BUY, 95.0, 95.0),  # touched
            (BUY, 94.99, None),
            (SELL, 97.0, 100.0),
            (SELL, 100.0, 100.0),
            (SELL, 101.0, 101.0),
            (SELL, 105.0, 105.0),
            (SELL, 105.01, None),
        ],
    )
    @pytest.mark.parametrize("fill_at", list(FillAt))
    def test_trade_at_the_open_when_it_is_through_and_else_at_their_limit(self, side_sign, limit, price, fill_at):
        wanted = unfilled() if price is None else filled(100.0, price)
        assert outcome(Case(order_type=LIMIT, side_sign=side_sign, limit=limit, fill_at=fill_at)) == wanted

    def test_take_a_gap_that_is_good_for_them(self):
        bar = {"open_": 90.0, "high": 93.0, "low": 88.0, "close": 91.0}
        assert outcome(Case(order_type=LIMIT, limit=95.0, **bar)) == filled(100.0, 90.0)
        up = {"open_": 110.0, "high": 112.0, "low": 108.0, "close": 111.0}
        assert outcome(Case(order_type=LIMIT, side_sign=SELL, limit=105.0, **up)) == filled(100.0, 110.0)

    @pytest.mark.parametrize(
        ("limit", "price"),
        [
            (103.0, 100.0 * (1 + 50 * 1e-4)),  # slips on the way to the limit
            (100.2, 100.2),  # and stops there
            (99.0, 99.0),  # a resting order does not slip
        ],
    )
    def test_slip_never_past_the_limit(self, limit, price):
        assert outcome(Case(order_type=LIMIT, limit=limit, slippage_bps=50.0)) == filled(100.0, price)

    @pytest.mark.parametrize("tif", [IOC, FOK])
    @pytest.mark.parametrize(
        ("fill_at", "limit", "price"),
        [
            (FillAt.OPEN, 101.0, 100.0),
            (FillAt.OPEN, 99.0, None),  # the low comes after the order is gone
            (FillAt.CLOSE, 103.0, 102.0),
            (FillAt.CLOSE, 101.0, None),  # the open was before the order came
        ],
    )
    def test_that_are_immediate_see_one_price_only(self, tif, fill_at, limit, price):
        case = Case(order_type=LIMIT, limit=limit, tif=tif, fill_at=fill_at)
        assert outcome(case) == (unfilled(done=True) if price is None else filled(100.0, price))


class TestStopOrders:
    @pytest.mark.parametrize(
        ("side_sign", "stop", "price"),
        [
            (BUY, 103.0, 103.0),
            (BUY, 105.0, 105.0),
            (BUY, 105.01, None),
            (BUY, 99.0, 100.0),  # gapped through: the open is worse than the stop
            (SELL, 97.0, 97.0),
            (SELL, 95.0, 95.0),
            (SELL, 94.99, None),
            (SELL, 101.0, 100.0),
        ],
    )
    @pytest.mark.parametrize("fill_at", list(FillAt))
    def test_trade_at_the_stop_or_at_an_open_beyond_it(self, side_sign, stop, price, fill_at):
        case = Case(order_type=STOP, side_sign=side_sign, stop=stop, fill_at=fill_at)
        assert outcome(case) == (unfilled() if price is None else filled(100.0, price, triggered=True))

    def test_slip(self):
        assert outcome(Case(order_type=STOP, stop=103.0, slippage_bps=10.0)) == filled(100.0, 103.0 * (1 + 10 * 1e-4), triggered=True)

    @pytest.mark.parametrize("fill_at", list(FillAt))
    def test_once_triggered_are_market_orders(self, fill_at):
        stop = Case(order_type=STOP, stop=200.0, stop_triggered=True, fill_at=fill_at)
        assert outcome(stop) == (*outcome(Case(fill_at=fill_at))[:2], True, True)

    def test_stay_triggered_when_volume_leaves_a_rest(self):
        assert outcome(Case(order_type=STOP, stop=103.0, volume=500.0)) == filled(50.0, 103.0, triggered=True)

    @pytest.mark.parametrize("tif", [IOC, FOK])
    def test_that_are_immediate_and_not_triggered_are_cancelled(self, tif):
        assert outcome(Case(order_type=STOP, stop=104.0, tif=tif)) == unfilled(done=True)


class TestStopLimitOrders:
    @pytest.mark.parametrize(
        ("stop", "limit", "bar", "wanted"),
        [
            (103.0, 104.0, {}, filled(100.0, 103.0, triggered=True)),
            (106.0, 107.0, {}, unfilled()),
            # The trigger is above the limit. Whether the low came before or after it, a bar does not say; the close is after.
            (104.0, 103.0, {"close": 102.0}, filled(100.0, 103.0, triggered=True)),
            (104.0, 101.0, {"close": 102.0}, unfilled(triggered=True)),
            # Gapped through the stop.
            (98.0, 103.0, {}, filled(100.0, 100.0, triggered=True)),
            # Gapped through the limit too: the low came after the open that triggered, so the limit was reached.
            (98.0, 99.0, {}, filled(100.0, 99.0, triggered=True)),
            (93.0, 94.0, {}, unfilled(triggered=True)),
        ],
    )
    def test_of_buyers(self, stop, limit, bar, wanted):
        assert outcome(Case(order_type=STOP_LIMIT, stop=stop, limit=limit, **bar)) == wanted

    def test_of_sellers_mirror_those_of_buyers(self):
        rng = np.random.default_rng(11)
        for _ in range(500):
            low, open_, close, high = np.sort(rng.integers(90, 111, 4).astype(float))[[0, *rng.permutation([1, 2]), 3]]
            stop, limit = rng.integers(88, 113, 2).astype(float)
            buyer = Case(order_type=STOP_LIMIT, stop=stop, limit=limit, open_=open_, high=high, low=low, close=close)
            mirrored = {"open_": 200 - open_, "high": 200 - low, "low": 200 - high, "close": 200 - close}
            seller = Case(order_type=STOP_LIMIT, side_sign=SELL, stop=200 - stop, limit=200 - limit, **mirrored)
            quantity, price, triggered, done = outcome(buyer)
            assert outcome(seller) == (quantity, None if price is None else 200 - price, triggered, done)

    def test_once_triggered_are_limit_orders(self):
        for limit in (94.0, 95.0, 99.0, 103.0):
            waiting = Case(order_type=STOP_LIMIT, stop=200.0, limit=limit, stop_triggered=True)
            plain = outcome(Case(order_type=LIMIT, limit=limit))
            assert outcome(waiting) == (plain[0], plain[1], True, plain[3])


class TestVolume:
    @pytest.mark.parametrize(
        ("volume", "tif", "wanted"),
        [
            (999.0, GTC, filled(99.0, 102.0)),  # whole shares of 99.9
            (999.0, DAY, filled(99.0, 102.0)),
            (999.0, IOC, filled(99.0, 102.0, done=True)),
            (999.0, FOK, unfilled(done=True)),
            (1000.0, FOK, filled(100.0, 102.0)),
            (9.0, GTC, unfilled()),
            (0.0, GTC, unfilled()),
            (0.0, DAY, unfilled()),
            (0.0, IOC, unfilled(done=True)),
            (nan, GTC, filled(100.0, 102.0)),  # not known, so no bound
            (inf, FOK, filled(100.0, 102.0)),
        ],
    )
    def test_bounds_the_fill(self, volume, tif, wanted):
        assert outcome(Case(volume=volume, tif=tif)) == wanted

    def test_of_fractional_quantities_counts_in_millionths(self):
        quantity, *_ = Case(leaves=5.5, volume=12.3456789).match()
        assert quantity == pytest.approx(1.234567, abs=1e-12)


PRICES = st.floats(1.0, 1000.0)


@st.composite
def cases(draw, **fixed):
    low, a, b, high = sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES)))
    open_, close = draw(st.permutations((a, b)))
    made = {
        "order_type": draw(st.sampled_from(OrderTypeCode)),
        "side_sign": draw(st.sampled_from((BUY, SELL))),
        "leaves": float(draw(st.integers(1, 10_000))),
        "limit": draw(PRICES),
        "stop": draw(PRICES),
        "stop_triggered": draw(st.booleans()),
        "tif": draw(st.sampled_from(TifCode)),
        "open_": open_,
        "high": high,
        "low": low,
        "close": close,
        "vwap": draw(st.one_of(st.just(nan), st.floats(low, high))),
        "volume": draw(st.one_of(st.just(nan), st.floats(0.0, 200_000.0))),
        "fill_at": draw(st.sampled_from(FillAt)),
        "max_volume_pct": draw(st.floats(0.001, 1.0)),
        "slippage_bps": draw(st.floats(0.0, 500.0)),
    }
    return Case(**(made | fixed))


class TestPromises:
    @given(cases())
    def test_never_more_than_the_leaves_or_the_volume_allows(self, case):
        quantity, *_ = case.match()
        assert 0.0 <= quantity <= case.leaves
        assert isnan(case.volume) or quantity <= case.max_volume_pct * case.volume

    @given(cases())
    def test_never_worse_than_the_limit(self, case):
        assume(case.order_type in (LIMIT, STOP_LIMIT))
        quantity, price, *_ = case.match()
        assert quantity == 0.0 or (price - case.limit) * case.side_sign <= 0.0

    @given(cases(slippage_bps=0.0, vwap=nan))
    def test_without_slippage_only_at_prices_of_the_bar(self, case):
        quantity, price, *_ = case.match()
        assert quantity == 0.0 or case.low * (1 - 1e-12) <= price <= case.high * (1 + 1e-12)

    @given(cases(tif=FOK))
    def test_fill_or_kill_is_all_or_nothing(self, case):
        quantity, _, _, done = case.match()
        assert quantity in (0.0, case.leaves)
        assert done

    @given(cases(tif=IOC))
    def test_immediate_or_cancel_never_waits(self, case):
        assert case.match()[3]

    @given(cases(tif=GTC))
    def test_good_till_cancel_ends_only_when_all_has_traded(self, case):
        quantity, _, _, done = case.match()
        assert done == (quantity == case.leaves)

    @given(cases(), st.floats(0.0, 500.0))
    def test_more_slippage_is_never_better(self, case, more):
        quantity, price, *_ = case.match()
        slipped_quantity, slipped_price, *_ = replace(case, slippage_bps=case.slippage_bps + more).match()
        assert slipped_quantity == quantity
        assert quantity == 0.0 or (slipped_price - price) * case.side_sign >= 0.0

    @given(cases())
    def test_a_trigger_is_never_taken_back(self, case):
        _, _, triggered, _ = case.match()
        assert triggered or not case.stop_triggered

    @given(cases())
    def test_a_price_comes_with_a_quantity_and_only_then(self, case):
        quantity, price, *_ = case.match()
        assert isnan(price) == (quantity == 0.0)

    @given(cases(leaves=100.0))
    def test_whole_orders_fill_in_whole_shares(self, case):
        quantity, *_ = case.match()
        assert quantity == floor(quantity)


def _bits(result):
    quantity, price, triggered, done = result
    return struct.pack("<dd??", quantity, nan if isnan(price) else price, triggered, done)


class TestCompiledForm:
    def test_gives_the_same_bits_on_thousands_of_inputs(self):
        import numba

        compiled = numba.njit(match)
        rng = np.random.default_rng(20_241_120)
        different = []
        for _ in range(20_000):
            arguments = _random_arguments(rng)
            if _bits(compiled(*arguments)) != _bits(match(*arguments)):
                different.append(arguments)
        assert different == []


def _random_arguments(rng):
    """Mostly sensible bars on a coarse grid, where ties are common, and now and then a missing number."""
    low, open_, close, high = np.sort(rng.integers(80, 121, 4) / (1.0 if rng.random() < 0.5 else 7.0))[[0, *rng.permutation([1, 2]), 3]]
    limit, stop = (rng.integers(78, 123, 2) / (1.0 if rng.random() < 0.5 else 7.0)).tolist()
    missing = rng.random(7) < 0.03
    numbers = [nan if gone else float(value) for gone, value in zip(missing, (open_, high, low, close, limit, stop, 0.0), strict=True)]
    volume = float(rng.choice([nan, inf, 0.0, float(rng.integers(0, 5000)), rng.random() * 5000]))
    vwap = nan if rng.random() < 0.5 else float((open_ + close) / 2)
    leaves = float(rng.integers(1, 1000)) if rng.random() < 0.7 else float(rng.random() * 1000)
    return (
        int(rng.integers(0, 4)),
        int(rng.choice([1, -1])),
        leaves,
        numbers[4],
        numbers[5],
        bool(rng.random() < 0.3),
        int(rng.integers(0, 4)),
        *numbers[:4],
        vwap,
        volume,
        int(rng.integers(0, 3)),
        float(rng.choice([0.01, 0.1, 1.0])),
        float(rng.choice([0.0, 5.0, 37.5])),
    )
