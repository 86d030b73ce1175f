"""From targets to trades."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.trading import Side
from apps.portfolios.domain.rebalancing import Costs, Every, Line, Rebalance, TradeReason, period, rebalance

COSTS = Costs(commission=Decimal(1), slippage_bps=Decimal(5))
FREE = Costs(commission=Decimal(0), slippage_bps=Decimal(0))


def line(symbol: str, quantity: str, price: str, target: str, **fields: object) -> Line:
    numbers = {"quantity": Decimal(quantity), "price": Decimal(price), "target_weight": Decimal(target), "lot_size": Decimal(1)}
    return Line(symbol=symbol, **{**numbers, **fields})


def run(*lines: Line, cash: str = "0", costs: Costs = FREE, band: str = "0", exits_only: bool = False) -> Rebalance:
    equity = Decimal(cash) + sum(one.quantity * one.price for one in lines)
    return rebalance(equity=equity, cash=Decimal(cash), lines=lines, costs=costs, band=Decimal(band), exits_only=exits_only)


def shown(found: Rebalance) -> list[tuple[str, str, Decimal]]:
    return [(trade.side.value, trade.symbol, trade.quantity) for trade in found.trades]


class TestRebalance:
    def test_sales_come_first_and_pay_for_the_purchases(self):
        found = run(line("MSFT", "0", "50", "0.5"), line("AAPL", "100", "100", "0.5"))
        assert shown(found) == [("sell", "AAPL", 50), ("buy", "MSFT", 100)]
        assert found.cash_after == 0

    def test_costs_are_of_the_first_design(self):
        """1 per trade and 5 bps of the value."""
        [trade] = run(line("AAPL", "0", "100", "0.5"), cash="10000", costs=COSTS).trades
        assert (trade.quantity, trade.value, trade.commission, trade.slippage) == (50, 5000, 1, Decimal("2.5"))
        assert trade.cash_change == Decimal("-5003.5")

    def test_weights_before_and_after(self):
        [trade] = run(line("AAPL", "20", "100", "0.5"), cash="8000").trades
        assert (trade.weight_before, trade.target_weight, trade.weight_after) == (Decimal("0.2"), Decimal("0.5"), Decimal("0.5"))

    def test_a_small_drift_is_left_alone(self):
        found = run(line("AAPL", "49", "100", "0.5"), line("IBM", "0", "10", "0.1"), cash="5100", band="0.01")
        assert shown(found) == [("buy", "IBM", 100)]
        assert [(one.symbol, one.why) for one in found.skipped] == [("AAPL", "its drift is within the band")]

    def test_what_has_no_target_is_sold_however_little_it_is(self):
        [trade] = run(line("AAPL", "1", "1", "0"), cash="9999", band="0.5").trades
        assert (trade.side, trade.reason) == (Side.SELL, TradeReason.NO_TARGET)

    def test_a_stop_ends_a_position_whatever_its_target(self):
        lines = (line("AAPL", "10", "100", "0.5", exit=True), line("IBM", "0", "10", "0.5"))
        found = run(*lines, cash="1000", exits_only=True)
        assert shown(found) == [("sell", "AAPL", 10)]
        assert found.trades[0].reason is TradeReason.STOP_LOSS
        assert shown(run(*lines, cash="1000")) == [("sell", "AAPL", 10), ("buy", "IBM", 100)]

    def test_purchases_shrink_together_where_the_cash_does_not_reach(self):
        held = line("DARK", "80", "100", "0.8")  # on target, and not to be sold
        found = run(held, line("AAPL", "0", "10", "0.2"), line("IBM", "0", "10", "0.2"), cash="2000")
        assert shown(found) == [("buy", "AAPL", 99), ("buy", "IBM", 99)]

    def test_a_sale_that_costs_more_than_it_brings_is_not_made(self):
        found = run(line("PENNY", "1", "0.5", "0"), cash="0", costs=COSTS)
        assert found.trades == ()
        assert [one.symbol for one in found.skipped] == ["PENNY"]

    def test_a_short_position_is_bought_back(self):
        found = run(line("AAPL", "-10", "100", "0"), cash="5000")
        assert shown(found) == [("buy", "AAPL", 10)]

    def test_without_equity_everything_that_is_held_is_sold(self):
        assert shown(rebalance(equity=Decimal(0), cash=Decimal(-100), lines=[line("AAPL", "1", "100", "1")], costs=FREE, band=Decimal(0))) == [
            ("sell", "AAPL", 1)
        ]


LOTS = st.sampled_from([Decimal("0.0001"), Decimal(1), Decimal(100)])


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Decimal, list[Line]]:
    """Cash (never negative) and long positions, with targets of at most 1 in all."""
    symbols = draw(st.lists(st.sampled_from("ABCDEFGH"), unique=True, max_size=8))
    share = Decimal(1) / max(1, len(symbols))
    lines = [
        Line(
            symbol=symbol,
            quantity=draw(st.decimals(min_value=0, max_value=10**6, places=6)),
            price=draw(st.decimals(min_value="0.0001", max_value=10**5, places=6)),
            lot_size=draw(LOTS),
            target_weight=round(draw(st.decimals(min_value=0, max_value=1, places=6)) * share, 5),
            exit=draw(st.booleans()),
        )
        for symbol in symbols
    ]
    return draw(st.decimals(min_value=0, max_value=10**7, places=4)), lines


@given(
    portfolio=portfolios(),
    commission=st.decimals(min_value=0, max_value=50, places=2),
    slippage_bps=st.decimals(min_value=0, max_value=100, places=2),
    band=st.decimals(min_value=0, max_value="0.2", places=4),
    exits_only=st.booleans(),
)
def test_nothing_is_oversold_and_the_cash_never_falls_below_nothing(
    portfolio: tuple[Decimal, list[Line]], commission: Decimal, slippage_bps: Decimal, band: Decimal, exits_only: bool
) -> None:
    cash, lines = portfolio
    equity = cash + sum(one.quantity * one.price for one in lines)
    costs = Costs(commission=commission, slippage_bps=slippage_bps)
    found = rebalance(equity=equity, cash=cash, lines=lines, costs=costs, band=band, exits_only=exits_only)
    held = {one.symbol: one for one in lines}
    spent = cash
    for trade in found.trades:  # in the order in which they are sent
        own = held[trade.symbol]
        spent += trade.cash_change
        assert spent >= 0
        assert trade.quantity > 0
        assert trade.quantity % own.lot_size == 0
        if trade.side is Side.SELL:
            assert trade.quantity <= own.quantity
        else:
            assert not own.exit
            assert (own.quantity + trade.quantity) * own.price <= equity * own.target_weight + own.price * own.lot_size
        off = abs(own.quantity * own.price / equity - own.target_weight)
        assert own.exit or not own.target_weight or off > band
        assert own.exit or not exits_only
    assert found.cash_after == spent
    assert [trade.side for trade in found.trades] == sorted((trade.side for trade in found.trades), reverse=True)
    assert len({trade.symbol for trade in found.trades}) == len(found.trades)


@given(portfolio=portfolios())
def test_what_was_rebalanced_needs_no_second_time(portfolio: tuple[Decimal, list[Line]]) -> None:
    """Without costs: the second time only the cash that lots left over could buy another lot, and a lot it is not."""
    cash, lines = portfolio
    equity = cash + sum(one.quantity * one.price for one in lines)
    first = rebalance(equity=equity, cash=cash, lines=lines, costs=FREE, band=Decimal(0))
    changes = {trade.symbol: trade.side.sign * trade.quantity for trade in first.trades}
    after = [replace(one, quantity=one.quantity + changes.get(one.symbol, 0)) for one in lines]
    second = rebalance(equity=equity, cash=first.cash_after, lines=after, costs=FREE, band=Decimal(0))
    assert not [trade for trade in second.trades if trade.side is Side.SELL]


@pytest.mark.parametrize(
    ("every", "same", "later"),
    [
        (Every.DAY, date(2024, 1, 3), date(2024, 1, 4)),
        (Every.WEEK, date(2024, 1, 7), date(2024, 1, 8)),
        (Every.MONTH, date(2024, 1, 31), date(2024, 2, 1)),
        (Every.QUARTER, date(2024, 3, 31), date(2024, 4, 1)),
    ],
)
def test_periods(every: Every, same: date, later: date) -> None:
    first = period(every, date(2024, 1, 3))
    assert period(every, same) == first < period(every, later)


def test_weeks_of_a_year_s_end_go_on() -> None:
    assert period(Every.WEEK, date(2024, 12, 31)) == period(Every.WEEK, date(2025, 1, 3)) < period(Every.WEEK, date(2025, 1, 6))
