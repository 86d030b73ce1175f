"""The event engine, step by step on bars made by hand, then as promises on random ones."""

from dataclasses import dataclass
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.core.trading import Side
from apps.strategies.domain.matching import FillAt
from apps.strategies.domain.registry import strategy_build
from apps.strategies.domain.strategy import BUY, SELL, Strategy
from apps.strategies.engines.event import EventEngine
from apps.strategies.engines.protocol import Costs
from apps.strategies.tests.panels import cut, panel_of_bars, panel_of_closes, random_panel


@dataclass(frozen=True, slots=True)
class NoParameters:
    """Nothing can be set."""


class Script(Strategy):
    """Says what it was told to say: {(bar, symbol): signal}."""

    name = "script"
    Parameters = NoParameters

    def __init__(self, said):
        super().__init__()
        self.said = said

    def signals(self, panel):
        result = np.zeros(panel.close.shape, np.int8)
        for (t, n), value in self.said.items():
            if t < len(panel):
                result[t, n] = value
        return result


def run(panel, said, **costs):
    return EventEngine().run(strategy=Script(said), panel=panel, costs=Costs(**costs))


def short(fill):
    return fill.bar, fill.side, fill.quantity, fill.price, fill.fee, fill.closing


CLOSES = np.array([[100.0], [110.0], [120.0], [90.0], [95.0]])


class TestFillAt:
    """A signal of bar 1, and one of bar 3, at each of the three prices; the last bar ends the run."""

    SAID = {(1, 0): BUY, (3, 0): SELL}

    def test_close_is_the_close_of_the_bar_of_the_signal(self):
        result = run(panel_of_closes(CLOSES), self.SAID, cash=11_000.0)
        assert [short(fill) for fill in result.fills] == [(1, Side.BUY, 100.0, 110.0, 0.0, False), (3, Side.SELL, 100.0, 90.0, 0.0, False)]
        assert result.equity.tolist() == [11_000.0, 11_000.0, 12_000.0, 9_000.0, 9_000.0]

    def test_open_is_the_open_of_the_next_bar(self):
        panel = panel_of_closes(CLOSES)
        panel.open[:, 0] = [99.0, 104.0, 108.0, 118.0, 92.0]
        result = run(panel, self.SAID, cash=11_000.0, fill_at=FillAt.OPEN)
        assert [short(fill) for fill in result.fills] == [(2, Side.BUY, 100.0, 108.0, 0.0, False), (4, Side.SELL, 100.0, 92.0, 0.0, False)]
        assert result.equity.tolist() == [11_000.0, 11_000.0, 12_200.0, 9_200.0, 9_400.0]

    def test_vwap_is_the_typical_price_of_the_next_bar_where_bars_have_none(self):
        panel = panel_of_bars(CLOSES, CLOSES + 6, CLOSES - 3, CLOSES, np.full(CLOSES.shape, 1e9))
        result = run(panel, self.SAID, cash=11_000.0, fill_at=FillAt.VWAP)
        assert [(fill.bar, fill.price) for fill in result.fills] == [(2, 121.0), (4, 96.0)]

    @pytest.mark.parametrize("fill_at", [FillAt.OPEN, FillAt.VWAP])
    def test_a_signal_of_the_last_bar_meets_no_next_one(self, fill_at):
        assert run(panel_of_closes(CLOSES), {(4, 0): BUY}, fill_at=fill_at).fills == ()


class TestMoney:
    def test_slippage_and_one_commission_per_order_are_paid(self):
        result = run(panel_of_closes(CLOSES), {(1, 0): BUY, (3, 0): SELL}, cash=20_000.0, size_fraction=0.5, slippage_bps=100.0, commission=7.0)
        buy, sell = result.fills
        assert (buy.quantity, buy.price, buy.fee) == (90.0, pytest.approx(111.1), 7.0)
        assert (sell.quantity, sell.price, sell.fee) == (90.0, pytest.approx(89.1), 7.0)
        assert result.equity[-1] == pytest.approx(20_000 - 90 * 111.1 + 90 * 89.1 - 14)

    def test_no_more_is_bought_than_the_cash_pays_for(self):
        result = run(panel_of_closes(CLOSES), {(1, 0): BUY}, cash=11_000.0, commission=1.0)
        assert result.fills[0].quantity == 99.0

    def test_a_gap_takes_what_the_cash_pays_for_and_forgets_the_rest(self):
        panel = panel_of_closes(np.array([[100.0], [100.0], [200.0], [50.0], [50.0]]))
        panel.open[2] = 150.0
        result = run(panel, {(1, 0): BUY}, cash=10_000.0, fill_at=FillAt.OPEN)
        assert [(fill.bar, fill.quantity, fill.price) for fill in result.fills if not fill.closing] == [(2, 66.0, 150.0)]

    def test_new_positions_share_the_equity_equally(self):
        panel = panel_of_closes(np.full((4, 4), 10.0))
        result = run(panel, {(1, n): BUY for n in range(4)}, cash=1_000.0)
        assert [fill.quantity for fill in result.fills if not fill.closing] == [25.0] * 4

    def test_a_position_is_sized_on_the_equity_of_its_day(self):
        panel = panel_of_closes(np.array([[10.0, 10.0], [10.0, 10.0], [30.0, 10.0], [30.0, 10.0]]))
        result = run(panel, {(1, 0): BUY, (2, 1): BUY}, cash=1_000.0)
        assert [fill.quantity for fill in result.fills if not fill.closing] == [50.0, 50.0]  # half of 2000 wants 100, the cash pays for 50


class TestOrders:
    def test_a_buy_when_invested_and_a_sale_without_shares_do_nothing(self):
        result = run(panel_of_closes(CLOSES), {(0, 0): SELL, (1, 0): BUY, (2, 0): BUY, (3, 0): SELL, (4, 0): SELL}, cash=11_000.0)
        assert [(fill.bar, fill.side) for fill in result.fills] == [(1, Side.BUY), (3, Side.SELL)]

    def test_what_volume_does_not_allow_waits_for_the_next_bars(self):
        panel = panel_of_closes(np.full((6, 1), 10.0), volume=400.0)
        result = run(panel, {(1, 0): BUY}, cash=1_000.0, max_volume_pct=0.1, commission=2.0)
        assert [(fill.bar, fill.quantity, fill.fee) for fill in result.fills if not fill.closing] == [(1, 40.0, 2.0), (2, 40.0, 0.0), (3, 19.0, 0.0)]
        assert [trip.quantity for trip in result.trades] == [40.0, 40.0, 19.0]

    def test_a_sale_withdraws_what_is_still_to_be_bought(self):
        panel = panel_of_closes(np.full((8, 1), 10.0), volume=400.0)
        result = run(panel, {(1, 0): BUY, (2, 0): SELL}, cash=1_000.0, max_volume_pct=0.1)
        assert [(fill.bar, fill.side, fill.quantity) for fill in result.fills] == [
            (1, Side.BUY, 40.0),
            (2, Side.BUY, 40.0),
            (2, Side.SELL, 40.0),
            (3, Side.SELL, 40.0),
        ]

    def test_wait_while_their_symbol_has_no_bar(self):
        panel = panel_of_closes(np.array([[10.0, 5.0], [10.0, 5.0], [nan, 5.0], [12.0, 5.0], [12.0, 5.0]]))
        panel.open[3, 0] = 11.0
        result = run(panel, {(1, 0): BUY}, cash=1_000.0, fill_at=FillAt.OPEN)
        assert (result.fills[0].bar, result.fills[0].price) == (3, 11.0)
        assert result.equity.tolist() == pytest.approx([1_000, 1_000, 1_000, 1_050, 1_050])

    def test_a_missing_bar_is_valued_at_the_close_before(self):
        panel = panel_of_closes(np.array([[10.0, 5.0], [10.0, 5.0], [nan, 5.0], [12.0, 5.0]]))
        assert run(panel, {(1, 0): BUY}, cash=1_000.0).equity.tolist() == [1_000.0, 1_000.0, 1_000.0, 1_100.0]

    def test_at_the_end_everything_is_sold_at_the_last_close_and_marked(self):
        panel = panel_of_closes(CLOSES, volume=1_000.0)
        result = run(panel, {(1, 0): BUY}, cash=11_000.0, slippage_bps=10.0, commission=1.0, max_volume_pct=1.0)
        last = result.fills[-1]
        assert short(last) == (4, Side.SELL, 99.0, pytest.approx(95 * 0.999), 1.0, True)
        assert [trip.exit_reason for trip in result.trades] == ["end"]
        assert result.equity[-1] == pytest.approx(11_000 + sum(trip.pnl for trip in result.trades))


class TestPromises:
    STRATEGY = strategy_build("sma_cross", {"fast": 3, "slow": 8})

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        fill_at=st.sampled_from(FillAt),
        commission=st.sampled_from([0.0, 3.0]),
        slippage_bps=st.sampled_from([0.0, 30.0]),
        volume=st.sampled_from([1_000.0, 20_000.0, 1e9]),
    )
    def test_the_books_balance(self, seed, fill_at, commission, slippage_bps, volume):
        panel = random_panel(150, 3, seed=seed, missing=0.05, volume=volume)
        costs = Costs(cash=50_000.0, fill_at=fill_at, commission=commission, slippage_bps=slippage_bps)
        result = EventEngine().run(strategy=self.STRATEGY, panel=panel, costs=costs)
        held, cash = np.zeros(3), costs.cash
        for fill in result.fills:
            n = panel.symbols.index(fill.symbol)
            held[n] += fill.quantity * fill.side.sign
            cash -= fill.quantity * fill.side.sign * fill.price + fill.fee
            assert held[n] >= 0
            assert cash >= -1e-6 - costs.commission  # a sale may end with its fee unpaid by its proceeds, never a purchase
            assert fill.closing or fill.quantity <= 0.1 * panel.volume[fill.bar, n]
        assert not held.any()
        assert result.equity[-1] == pytest.approx(cash, rel=1e-12)
        assert sum(trip.pnl for trip in result.trades) == pytest.approx(cash - costs.cash, abs=1e-6)

    @pytest.mark.parametrize("fill_at", list(FillAt))
    def test_the_future_changes_nothing_before_it(self, fill_at):
        panel, costs = random_panel(300, 2, seed=4), Costs(fill_at=fill_at, slippage_bps=5.0)
        whole = EventEngine().run(strategy=self.STRATEGY, panel=panel, costs=costs)
        for end in (50, 120, 299):
            part = EventEngine().run(strategy=self.STRATEGY, panel=cut(panel, end), costs=costs)
            np.testing.assert_array_equal(part.equity[:-1], whole.equity[: end - 1])
            assert [fill for fill in part.fills if not fill.closing] == [fill for fill in whole.fills if fill.bar < end and not fill.closing]

    def test_the_same_input_gives_the_same_bits(self):
        panel, costs = random_panel(2_000, 3, seed=2), Costs(commission=1.0, slippage_bps=5.0)
        first, second = (EventEngine().run(strategy=self.STRATEGY, panel=panel, costs=costs) for _ in range(2))
        assert first.equity.tobytes() == second.equity.tobytes()
        assert first.fills == second.fills

    @pytest.mark.parametrize("fill_at", list(FillAt))
    def test_compiled_and_plain_python_give_the_same_bits(self, fill_at, monkeypatch):
        panel = random_panel(250, 3, seed=3, missing=0.05, volume=3_000.0)
        costs = Costs(cash=60_000.0, fill_at=fill_at, commission=1.5, slippage_bps=7.0)
        compiled = EventEngine().run(strategy=self.STRATEGY, panel=panel, costs=costs)
        from apps.strategies.engines import simulation

        for name in ("match_compiled", "_put", "_affordable", "_meet", "_ordered", "_worth", "_sell_all", "simulate"):
            monkeypatch.setattr(simulation, name, getattr(simulation, name).py_func)
        plain = EventEngine().run(strategy=self.STRATEGY, panel=panel, costs=costs)
        assert len(plain.fills) > 10
        assert plain.equity.tobytes() == compiled.equity.tobytes()
        assert plain.fills == compiled.fills

    def test_event_style_and_array_style_agree(self):
        array_style = strategy_build("sma_cross", {"fast": 3, "slow": 8})

        class BarByBar(Strategy):
            name = "bar_by_bar"
            Parameters = NoParameters

            def generate_signals(self, snapshot):
                return array_style.generate_signals(snapshot)

        panel, costs = random_panel(200, 2, seed=6), Costs(slippage_bps=5.0)
        expected = EventEngine().run(strategy=array_style, panel=panel, costs=costs)
        result = EventEngine().run(strategy=BarByBar(), panel=panel, costs=costs)
        assert result.fills == expected.fills
        assert result.equity.tobytes() == expected.equity.tobytes()


@pytest.mark.parametrize(
    ("field", "value"),
    [("cash", 0.0), ("cash", nan), ("commission", -1.0), ("slippage_bps", -1.0), ("slippage_bps", 10_000.0), ("max_volume_pct", 0.0),
     ("max_volume_pct", 1.1), ("size_fraction", 0.0), ("size_fraction", 1.5)],
)  # fmt: skip
def test_costs_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(InvalidInput) as refused:
        Costs(**{field: value})
    assert refused.value.field == field
