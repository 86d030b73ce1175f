"""Fills become round trips, first in, first out."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.trading import Side
from apps.strategies.domain.round_trips import EngineFill, round_trips

START = datetime(2020, 1, 1, tzinfo=UTC)


def fill(day, signed, price, *, symbol="A", fee=0.0, closing=False):
    side = Side.BUY if signed > 0 else Side.SELL
    time = START + timedelta(days=day)
    return EngineFill(bar=day, time=time, symbol=symbol, side=side, quantity=abs(signed), price=price, fee=fee, closing=closing)


def short(trip):
    return trip.quantity, trip.entry_price, trip.exit_price, trip.pnl


class TestRoundTrips:
    def test_of_one_purchase_and_one_sale(self):
        (trip,) = round_trips([fill(0, 100, 10.0, fee=1.0), fill(5, -100, 12.0, fee=1.0)])
        assert trip.as_dict() == {
            "symbol": "A",
            "entry_time": "2020-01-01T00:00:00+00:00",
            "exit_time": "2020-01-06T00:00:00+00:00",
            "entry_price": 10.0,
            "exit_price": 12.0,
            "quantity": 100,
            "pnl": 198.0,
            "return": 0.198,
            "holding_period": 5.0,
            "exit_reason": "signal",
        }

    def test_take_the_oldest_purchase_first_and_share_the_fees(self):
        trips = round_trips([fill(0, 60, 10.0, fee=6.0), fill(1, 40, 11.0), fill(2, -80, 12.0, fee=8.0), fill(3, -20, 13.0)])
        assert [short(trip) for trip in trips] == [(60, 10.0, 12.0, 108.0), (20, 11.0, 12.0, 18.0), (20, 11.0, 13.0, 40.0)]

    def test_are_kept_apart_by_symbol(self):
        trips = round_trips([fill(0, 10, 10.0), fill(0, 10, 20.0, symbol="B"), fill(1, -10, 21.0, symbol="B"), fill(2, -10, 9.0)])
        assert [(trip.symbol, trip.pnl) for trip in trips] == [("B", 10.0), ("A", -10.0)]

    def test_of_a_short_sale_have_a_negative_quantity(self):
        (trip,) = round_trips([fill(0, -100, 10.0, fee=1.0), fill(5, 100, 8.0, fee=1.0)])
        assert (*short(trip), trip.return_) == (-100, 10.0, 8.0, 198.0, 0.198)

    def test_go_through_zero_in_one_fill(self):
        trips = round_trips([fill(0, 100, 10.0), fill(1, -150, 12.0), fill(2, 50, 11.0)])
        assert [short(trip) for trip in trips] == [(100, 10.0, 12.0, 200.0), (-50, 12.0, 11.0, 50.0)]

    def test_say_when_the_end_of_the_run_closed_them(self):
        assert [trip.exit_reason for trip in round_trips([fill(0, 1, 10.0), fill(1, -1, 10.0, closing=True)])] == ["end"]

    def test_leave_out_what_is_still_open(self):
        assert round_trips([fill(0, 100, 10.0)]) == ()

    @given(st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 50)), max_size=30))
    def test_earn_what_the_cash_shows(self, trades):
        fills = [fill(day, signed, float(price), fee=0.5) for day, (signed, price) in enumerate(trades)]
        if held := sum(signed for signed, _ in trades):
            fills.append(fill(len(fills), -held, 7.0, fee=0.5, closing=True))
        cash = -sum(each.quantity * each.side.sign * each.price + each.fee for each in fills)
        assert sum(trip.pnl for trip in round_trips(fills)) == pytest.approx(cash, abs=1e-9)
