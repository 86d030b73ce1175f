"""Stops and the circuit breaker: where each stands, and what holds for every course of prices."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.execution.domain.protection import (
    ONE,
    LivePosition,
    Look,
    Protection,
    StopKind,
    StopLossConfig,
    breaker_reset,
    check_stops,
    drawdown,
    stop_levels,
)

D = Decimal
PRICES = st.decimals("0.01", "10000", places=2)
PATHS = st.lists(PRICES, min_size=1, max_size=25)
FRACTIONS = st.decimals("0.01", "0.9", places=2)


def held(price, *, cost="100", quantity="10"):
    return LivePosition(symbol="AAPL", quantity=D(quantity), average_cost=D(cost), current_price=None if price is None else D(price))


def look(price, *, equity="100000", day="0", flows="0", **position):
    positions = () if price == "flat" else (held(price, **position),)
    return Look(positions=positions, equity=None if equity is None else D(equity), day_return=None if day is None else D(day), flows=D(flows))


def config(**fractions):
    return StopLossConfig(**{name: D(value) if isinstance(value, str) else value for name, value in fractions.items()})


class TestStopLoss:
    @pytest.mark.parametrize(("price", "closes"), [("95.01", False), ("95", True), ("60", True)])
    def test_at_its_level_and_below(self, price, closes):
        found = check_stops(config(position_stop_pct="0.05"), Protection(), look(price))
        assert [(exit.kind, exit.level, exit.seen, exit.quantity) for exit in found.exits] == (
            [(StopKind.STOP_LOSS, D(95), D(price), D(10))] if closes else []
        )
        assert not found.blocked
        assert not found.trips

    def test_an_unknown_price_reaches_none(self):
        assert check_stops(config(position_stop_pct="0.05", trailing_stop_pct="0.05"), Protection(), look(None)).exits == ()


class TestTrailingStop:
    def test_follows_the_highest_price_and_never_comes_down(self):
        settings, state = config(trailing_stop_pct="0.1"), Protection()
        for price, closes in (("100", False), ("120", False), ("108.01", False), ("119", False), ("108", True)):
            found = check_stops(settings, state, look(price))
            assert bool(found.exits) is closes, price
            state = found.state
        assert state.marks == {"AAPL": D("1.2")}
        assert found.exits[0].reason == "AAPL at 108 is at or below 108, which is 10.00% below the highest price since it was opened"

    def test_a_split_moves_it_with_the_shares(self):
        settings = config(trailing_stop_pct="0.1")
        state = check_stops(settings, Protection(), look("120")).state
        assert check_stops(settings, state, look("59", cost="50", quantity="20")).exits == ()
        assert check_stops(settings, state, look("54", cost="50", quantity="20")).exits

    def test_a_new_position_starts_afresh(self):
        settings = config(trailing_stop_pct="0.1")
        state = check_stops(settings, Protection(), look("200")).state
        state = check_stops(settings, state, look("flat")).state
        assert state.marks == {}
        assert check_stops(settings, state, look("100")).exits == ()

    @given(PATHS, FRACTIONS)
    def test_its_level_is_the_highest_price_so_far_less_the_share(self, prices, share):
        settings, state = StopLossConfig(trailing_stop_pct=share), Protection()
        top = D(100)
        for price in prices:
            found = check_stops(settings, state, look(price))
            assert found.state.marks["AAPL"] >= state.marks.get("AAPL", ONE)
            top, state = max(top, price), found.state
            assert stop_levels(settings, held(price), state.marks["AAPL"])[StopKind.TRAILING_STOP] == pytest.approx(top * (1 - share))
            assert bool(found.exits) is (price <= top * (1 - share))


class TestPortfolio:
    def test_a_day_too_bad_closes_everything_and_trips_the_breaker_once(self):
        settings = config(portfolio_stop_pct="0.03")
        assert not check_stops(settings, Protection(), look("100", day="-0.0299")).exits
        found = check_stops(settings, Protection(), look("100", day="-0.03"))
        assert [exit.kind for exit in found.exits] == [StopKind.PORTFOLIO_STOP]
        assert found.trips
        assert found.blocked == "the circuit breaker is open: the portfolio's day stands at -3.00%, the portfolio stop at -3.00%"
        again = check_stops(settings, found.state, look("100", day="-0.03"))
        assert (again.trips, again.state, bool(again.exits)) == (False, found.state, True)

    def test_the_breaker_stays_open_when_the_day_is_good_again(self):
        settings = config(portfolio_stop_pct="0.03")
        state = check_stops(settings, Protection(), look("100", day="-0.05")).state
        found = check_stops(settings, state, look("100", day="0.01"))
        assert found.blocked
        assert found.exits == ()
        assert not check_stops(settings, breaker_reset(state, equity=D(100_000)), look("100", day="0.01")).blocked

    def test_without_a_breaker_only_the_breach_itself_blocks(self):
        settings = config(portfolio_stop_pct="0.03", enable_circuit_breaker=False)
        found = check_stops(settings, Protection(), look("100", day="-0.05"))
        assert (found.trips, bool(found.exits), bool(found.blocked)) == (False, True, True)
        assert not check_stops(settings, found.state, look("100", day="-0.01")).blocked

    def test_a_fall_from_the_peak(self):
        settings = config(max_drawdown_pct="0.1")
        state = check_stops(settings, Protection(), look("100", equity="120000")).state
        assert not check_stops(settings, state, look("100", equity="108000.01")).exits
        found = check_stops(settings, state, look("100", equity="108000"))
        assert [exit.kind for exit in found.exits] == [StopKind.MAX_DRAWDOWN]
        reset = breaker_reset(found.state, equity=D(108_000))
        assert not check_stops(settings, reset, look("100", equity="107000")).exits

    def test_money_paid_out_is_no_fall(self):
        settings = config(max_drawdown_pct="0.1")
        state = check_stops(settings, Protection(), look("100", equity="100000", flows="100000")).state
        found = check_stops(settings, state, look("100", equity="60000", flows="60000"))
        assert found.exits == ()
        assert drawdown(found.state.peak, D(60_000)) == 0

    @pytest.mark.parametrize("fields", [{"portfolio_stop_pct": "0.03"}, {"max_drawdown_pct": "0.1"}])
    def test_what_is_unknown_closes_nothing_and_opens_nothing(self, fields):
        found = check_stops(config(**fields), Protection(), look(None, equity=None, day=None))
        assert found.exits == ()
        assert "unknown" in found.blocked
        assert not found.trips


SETTINGS = st.builds(
    StopLossConfig,
    position_stop_pct=st.none() | FRACTIONS,
    trailing_stop_pct=st.none() | FRACTIONS,
    portfolio_stop_pct=st.none() | FRACTIONS,
    max_drawdown_pct=st.none() | FRACTIONS,
    enable_circuit_breaker=st.booleans(),
)
LOOKS = st.lists(
    st.builds(
        Look,
        positions=st.lists(
            st.builds(
                LivePosition,
                symbol=st.sampled_from(["AAPL", "MSFT"]),
                quantity=st.decimals("1", "1000", places=0),
                average_cost=PRICES,
                current_price=st.none() | PRICES,
            ),
            max_size=2,
            unique_by=lambda position: position.symbol,
        ).map(tuple),
        equity=st.none() | st.decimals("1", "1000000", places=2),
        day_return=st.none() | st.decimals("-0.9", "0.9", places=4),
        flows=st.decimals("-1000", "1000", places=0),
    ),
    min_size=1,
    max_size=12,
)


@given(SETTINGS, LOOKS)
def test_for_every_course(settings, looks):
    state, tripped = Protection(), False
    for seen in looks:
        found = check_stops(settings, state, seen)
        by_symbol = {position.symbol: position for position in seen.positions}
        assert all(0 < exit.quantity <= by_symbol[exit.symbol].quantity for exit in found.exits)  # reductions only
        assert len({exit.symbol for exit in found.exits}) == len(found.exits)
        assert set(found.state.marks) == set(by_symbol)
        assert found.state.tripped >= tripped  # nothing but a person closes it
        assert found.trips is (found.state.tripped and not tripped)
        assert not (found.state.tripped and not found.blocked)
        again = check_stops(settings, found.state, seen)
        assert (again.state, again.exits, again.blocked, again.trips) == (found.state, found.exits, found.blocked, False)
        state, tripped = found.state, found.state.tripped


@given(LOOKS)
def test_no_stop_configured_does_nothing(looks):
    state = Protection()
    for seen in looks:
        found = check_stops(StopLossConfig(), state, seen)
        assert (found.exits, found.blocked, found.trips) == ((), "", False)
        state = found.state
