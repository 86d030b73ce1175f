"""The planner of algorithms over random markets: never more than the parent, never past its share or its end, two slices at most."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.execution.domain.algo_terms import parameters_check
from apps.execution.domain.algos import (
    PAUSE,
    REFUSALS,
    Algo,
    Deed,
    Market,
    Standing,
    Terms,
    child_order_id,
    decide,
    holdings_slices,
    participation,
    twap_slices,
    vwap_slices,
)

SEED = UUID(int=7)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def make_terms(algo, quantity, *, lot=1, count=6, cap=None, rate="0.1", display=100):
    quantity = Decimal(quantity * lot)
    slices = ()
    if algo is Algo.TWAP:
        slices = twap_slices(quantity=quantity, lot=Decimal(lot), horizon=HOUR, count=count, seed=SEED)
    elif algo is Algo.VWAP:
        slices = vwap_slices(quantity=quantity, lot=Decimal(lot), horizon=HOUR, curve=[Decimal(1 + at % 3) for at in range(count)])
    elif algo is Algo.SHORTFALL:
        slices = holdings_slices(
            quantity=quantity, lot=Decimal(lot), horizon=HOUR, holdings=[float(quantity) * 0.5**at for at in range(count)] + [0.0]
        )
    return Terms(
        algo=algo,
        quantity=quantity,
        lot=Decimal(lot),
        horizon=HOUR,
        slices=slices,
        rate=Decimal(rate) if algo is Algo.POV else None,
        display=Decimal(display * lot) if algo is Algo.ICEBERG else None,
        cap=cap,
    )


class Simulation:
    """A parent worked over a random market: each child fills in part or in full at some later moment, or is refused."""

    def __init__(self, terms):
        self.terms = terms
        self.filled = self.working = self.others = Decimal(0)
        self.next_slice = self.refused = 0
        self.last_sent = None
        self.sent = []
        self.ended = ""

    def step(self, elapsed, *, active, is_open, known, refuse):
        for _ in range(10):
            standing = Standing(
                elapsed=elapsed,
                filled=self.filled,
                working=self.working,
                next_slice=self.next_slice,
                last_sent=self.last_sent,
                refused=self.refused,
            )
            done = decide(self.terms, standing, Market(is_open=is_open, active=active, others=self.others if known else None))
            if done.deed is Deed.WITHDRAW:
                self.working = Decimal(0)
            elif done.deed is Deed.SEND:
                assert active
                assert is_open
                self.take(done, elapsed, refuse)
            else:
                if done.deed in (Deed.FINISH, Deed.STOP):
                    self.ended = done.reason
                return

    def take(self, done, elapsed, refuse):
        terms = self.terms
        assert done.slice >= self.next_slice
        assert done.quantity > 0
        assert done.quantity % terms.lot == 0
        assert timedelta(0) <= elapsed < terms.horizon
        assert self.filled + self.working + done.quantity <= terms.quantity
        if terms.cap is not None:
            assert self.filled + self.working + done.quantity <= participation(terms.cap, self.others)
        if terms.algo is Algo.POV:
            assert self.filled + self.working + done.quantity <= participation(terms.rate, self.others)
        if terms.algo is Algo.ICEBERG:
            assert self.working == 0
            assert done.quantity <= terms.display
        if terms.algo.has_schedule:
            assert done.quantity <= sum(item.quantity for item in terms.slices[max(0, done.slice - 1) : done.slice + 1])
            assert self.filled + self.working + done.quantity <= sum(item.quantity for item in terms.slices if item.start <= elapsed)
        self.next_slice = done.slice + 1
        self.last_sent = elapsed
        self.sent.append(done)
        if refuse:
            self.refused += 1
        else:
            self.refused = 0
            self.working += done.quantity


STEPS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 3000),
        st.floats(0, 1),
        st.booleans(),
        st.sampled_from([True, True, True, False]),
        st.booleans(),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=30,
)


@given(
    algo=st.sampled_from([algo for algo in Algo if algo is not Algo.SMART]),
    quantity=st.integers(1, 5000),
    lot=st.sampled_from([1, 10, 100]),
    cap=st.none() | st.decimals("0.01", "0.5", places=2),
    steps=STEPS,
)
def test_whatever_happens_the_parent_keeps_its_terms(algo, quantity, lot, cap, steps):
    run, elapsed = Simulation(make_terms(algo, quantity, lot=lot, cap=cap)), timedelta(minutes=-1)
    for seconds, volume, share, active, is_open, known, refuse in steps:
        elapsed += timedelta(seconds=seconds)
        run.others += volume
        traded = (run.working * Decimal(share)).quantize(Decimal(1))
        run.filled, run.working = run.filled + traded, run.working - traded
        run.step(elapsed, active=active, is_open=is_open, known=known, refuse=refuse)
        if run.ended:
            break
    assert run.filled + run.working <= run.terms.quantity
    run.step(HOUR, active=False, is_open=False, known=False, refuse=False)
    assert run.working == 0
    assert run.ended


def worked(terms, *, fill=True, minutes=range(61), others=0):
    run = Simulation(terms)
    for minute in minutes:
        run.others += others
        run.step(timedelta(minutes=minute), active=True, is_open=True, known=True, refuse=False)
        if fill:
            run.filled, run.working = run.filled + run.working, Decimal(0)
    return run


@pytest.mark.parametrize("algo", [Algo.TWAP, Algo.VWAP, Algo.SHORTFALL])
def test_a_market_that_takes_all_gets_the_schedule(algo):
    terms = make_terms(algo, 1000)
    run = worked(terms)
    assert [child.quantity for child in run.sent] == [item.quantity for item in terms.slices]
    assert (run.filled, run.ended) == (terms.quantity, "all of it has traded")


def test_what_was_missed_is_caught_up_by_two_slices_at_a_time():
    run = worked(make_terms(Algo.TWAP, 600), minutes=[0, 35, 40, 50, 60])
    assert [(child.slice, child.quantity) for child in run.sent] == [(0, 100), (3, 200), (4, 200), (5, 100)]


def test_what_cannot_be_caught_up_is_left_at_the_end():
    run = worked(make_terms(Algo.TWAP, 600), minutes=[55, 60])
    assert [child.quantity for child in run.sent] == [200]
    assert run.ended == "the end has come with 400 left"


def test_pov_follows_the_volume_of_others():
    """V-D3-2: 10 % of the total beside 9,000 of others is 1,000."""
    run = worked(make_terms(Algo.POV, 5000), minutes=[1], others=9000)
    assert run.filled == 1000


def test_an_iceberg_shows_the_next_part_when_the_last_has_traded():
    assert [child.quantity for child in worked(make_terms(Algo.ICEBERG, 250), minutes=[0, 1, 2, 3]).sent] == [100, 100, 50]
    assert len(worked(make_terms(Algo.ICEBERG, 250), fill=False).sent) == 1


def test_children_that_are_refused_in_a_row_stop_the_parent():
    run = Simulation(make_terms(Algo.ICEBERG, 250))
    for at in range(10):
        run.step(at * PAUSE, active=True, is_open=True, known=True, refuse=True)
    assert (len(run.sent), run.ended) == (REFUSALS, "3 children in a row were refused")


def test_a_cap_without_known_volume_sends_nothing():
    run = Simulation(make_terms(Algo.TWAP, 600, cap=Decimal("0.1")))
    run.step(MINUTE, active=True, is_open=True, known=False, refuse=False)
    assert run.sent == []


@given(st.integers(1, 10**6), st.integers(1, 50), st.decimals("0.01", "0.5", places=2), st.uuids())
def test_jitter_keeps_the_sum_and_repeats(quantity, count, jitter, seed):
    first, second = (twap_slices(quantity=Decimal(quantity), lot=Decimal(1), horizon=HOUR, count=count, jitter=jitter, seed=seed) for _ in range(2))
    assert first == second
    assert sum(item.quantity for item in first) == quantity
    assert [item.start for item in first] == sorted(item.start for item in first)


def test_a_slice_has_one_client_order_id():
    ids = {child_order_id(parent=SEED, portfolio_id=portfolio, number=number) for portfolio in (1, 2) for number in range(5)}
    assert len(ids) == 10
    assert child_order_id(parent=SEED, portfolio_id=1, number=0) in ids


@pytest.mark.parametrize(
    ("algo", "given", "limit", "field"),
    [
        (Algo.TWAP, {"slices": 0}, None, "parameters/slices"),
        (Algo.TWAP, {"jitter": "0.6"}, None, "parameters/jitter"),
        (Algo.TWAP, {"rate": "0.1"}, None, "parameters/rate"),
        (Algo.VWAP, {"curve": [0, 0]}, None, "parameters/curve"),
        (Algo.POV, {}, None, "parameters/rate"),
        (Algo.POV, {"rate": "nan"}, None, "parameters/rate"),
        (Algo.ICEBERG, {"display": "10"}, None, "limit_price"),
        (Algo.ICEBERG, {"display": "1000"}, "10", "parameters/display"),
        (Algo.ICEBERG, {"display": "9"}, "10", "parameters/display"),
        (Algo.SHORTFALL, {"risk_aversion": "-1"}, None, "parameters/risk_aversion"),
        (Algo.SMART, {"remainder": "post"}, None, "limit_price"),
    ],
)
def test_a_wrong_parameter_is_named(algo, given, limit, field):
    with pytest.raises(InvalidInput) as refused:
        parameters_check(algo, given, quantity=Decimal(100), lot=Decimal(10), limit_price=limit and Decimal(limit))
    assert refused.value.field == field
